"""Our way: packs on slot actors, a ledger, every trial mirrored in MLflow."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sizes import RATE, SIZES, STEPS, K, Size
from benchmarks.engine.sweeps import staged

STOPWATCH = Path(__file__).with_name("stopwatch.py")
PER_CELL = 64


def measure(size: str, trials: int) -> dict[str, Any]:
    """Trials per second until MLflow has been told of the last, and training's share of all CPU."""
    with tempfile.TemporaryDirectory() as folder:
        watch = Path(folder, "stopwatch")
        watch.mkdir()
        os.environ["PHASEFRONT_STOPWATCH"] = str(watch)
        words = words_of(SIZES[size], max(1, trials // PER_CELL))
        with staged(words, Path(folder, "store"), slots=2, plugins=[STOPWATCH]) as stage:
            cpu, started = TreeCpu(), time.perf_counter()
            stage.answer()
            stage.drain()
            seconds, spent = time.perf_counter() - started, cpu.seconds()
        trained = sum(float(file.read_text()) for file in watch.iterdir())
    count = PER_CELL * len(words["axes"]["n"])
    return {"rate": count / seconds, "training": trained / spent, "cpu_ms": 1e3 * spent / count}


def words_of(size: Size, cells: int) -> dict[str, Any]:
    return {
        "name": f"nets-{size.name}",
        "target": {"kind": "sparse_parity"},
        "learner": {
            "kind": "two_layer",
            "width": size.width,
            "batch_size": size.batch,
            "optimiser": "sgd",
            "learning_rate": RATE,
            "weight_decay": 0.0,
            "steps": STEPS,
        },
        "axes": {"d": [size.d], "k": K, "n": [size.n + cell for cell in range(cells)]},
        "repeats": PER_CELL,
        "search": {"kind": "grid"},
        "success": {"measure": "test_accuracy", "above": 0.95},
    }


if __name__ == "__main__":
    answer(measure)
