"""Executors: where packs run. Ray is imported only here, and only when a `RayExecutor` is made."""

from orchestrator.engine.inline import InlineExecutor
from orchestrator.engine.ray_executor import RayExecutor

__all__ = ["InlineExecutor", "RayExecutor"]
