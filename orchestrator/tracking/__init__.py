"""Tracking: a ledger that cannot lie, and a mirror in MLflow that people read."""

from orchestrator.tracking.memory import Memory, MemoryTracker
from orchestrator.tracking.tracker import open_tracker

__all__ = ["Memory", "MemoryTracker", "open_tracker"]
