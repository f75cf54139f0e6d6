"""Optuna studies that live for one round."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unannounced() -> Iterator[None]:
    """Optuna does not log, inside, that a study was created in memory: one is, for every round."""
    logger = logging.getLogger("optuna.storages._in_memory")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
