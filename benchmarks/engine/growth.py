"""Whether a trial costs the same, and the driver holds the same, in a sweep of any size."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import memory_mb
from benchmarks.engine.sweeps import nothing_words, staged
from orchestrator.sweep import Progress

PER_CELL = 100
SETTLED = 10_000
"""Trials after which the driver's memory should not grow any more."""


def measure(trials: int) -> dict[str, Any]:
    """CPU of the whole process per trial, mirror included, in a sweep run in this process, and how
    far its memory rose above what it was after the first 10^4 trials.
    """
    seen: list[tuple[int, float]] = []

    def watch(progress: Progress) -> None:
        seen.append((progress.answered, memory_mb()))

    with (
        tempfile.TemporaryDirectory() as folder,
        staged(nothing_words(trials, PER_CELL), Path(folder)) as stage,
    ):
        cpu, started = time.process_time(), time.perf_counter()
        stage.answer(watch)
        stage.drain()
        seconds, spent = time.perf_counter() - started, time.process_time() - cpu
        seen.append((trials, memory_mb()))
    settled = [memory for answered, memory in seen if answered >= min(SETTLED, trials)]
    return {
        "cpu_us": 1e6 * spent / trials,
        "rate": trials / seconds,
        "growth_mb": max(settled) - settled[0],
    }


if __name__ == "__main__":
    answer(measure)
