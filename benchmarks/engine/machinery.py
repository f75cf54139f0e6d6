"""The machinery alone: trials that take no time, through every step of the engine."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sweeps import nothing_words, staged


def measure(trials: int, repeats: int, slots: int | None) -> dict[str, Any]:
    """Trials per second from the first proposal to the last commit, and to the last one mirrored.

    `cpu_us` is what the whole process tree spent on a trial; a mirror's part is in it.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        staged(nothing_words(trials, repeats), Path(folder), slots=slots) as stage,
    ):
        cpu, driver, started = TreeCpu(), time.thread_time(), time.perf_counter()
        stage.answer()
        committed, driver = time.perf_counter() - started, time.thread_time() - driver
        stage.drain()
        mirrored = time.perf_counter() - started
        spent = cpu.seconds()
    return {
        "committed": trials / committed,
        "mirrored": trials / mirrored,
        "driver_us": 1e6 * driver / trials,
        "cpu_us": 1e6 * spent / trials,
    }


if __name__ == "__main__":
    answer(measure)
