"""Tracking: a ledger that cannot lie, and a mirror in MLflow that people read.

The ledger (SQLite or PostgreSQL) is the truth about trials: one row per key, one transaction per
commit, fenced by the attempt number and by the driver's epoch. MLflow is never asked what is true:
its runs cannot be created idempotently, a batch is not one transaction, and infinities are altered
in silence (all measured on 3.17). It is told instead, from an outbox that the same transaction
fills, by one thread that can be stopped, killed or cut off at any point and goes on where it was.
"""

from orchestrator.tracking.export import check_suffix, table_of, trials_table, write_trials
from orchestrator.tracking.from_mlflow import rebuild
from orchestrator.tracking.memory import MemoryTracker
from orchestrator.tracking.memory_tables import Memory
from orchestrator.tracking.places import store_at
from orchestrator.tracking.reader import Reader
from orchestrator.tracking.repair import compared, repair
from orchestrator.tracking.tracker import open_tracker
from orchestrator.tracking.ui import cells_page, ui_command

__all__ = [
    "Memory",
    "MemoryTracker",
    "Reader",
    "cells_page",
    "check_suffix",
    "compared",
    "open_tracker",
    "rebuild",
    "repair",
    "store_at",
    "table_of",
    "trials_table",
    "ui_command",
    "write_trials",
]
