"""The plain peer: joblib on two processes, nothing recorded."""

import time
from typing import Any

from joblib import Parallel, delayed  # type: ignore[import-untyped]

from benchmarks.engine.by_hand import train
from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sizes import SIZES

WORKERS = 2


def measure(size: str, trials: int) -> dict[str, Any]:
    with Parallel(n_jobs=WORKERS, batch_size=1) as pool:
        pool(delayed(train)(SIZES[size], -1 - one) for one in range(2 * WORKERS))
        cpu, started = TreeCpu(), time.perf_counter()
        found = pool(delayed(train)(SIZES[size], seed) for seed in range(trials))
        seconds, spent = time.perf_counter() - started, cpu.seconds()
    trained = sum(one.cpu_s for one in found)
    return {"rate": trials / seconds, "training": trained / spent, "cpu_ms": 1e3 * spent / trials}


if __name__ == "__main__":
    answer(measure)
