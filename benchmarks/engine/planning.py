"""What `plan` of a grid of 10^6 trials costs beyond an import of the package, and what it loads."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import memory_mb

SPEC = """\
format: 1
name: a-million
target: {kind: random_labels}
learner: {kind: linear_separator}
axes:
  d: {low: 2, high: 1001, count: 1000, spacing: linear}
  n: {low: 1, high: 1000, count: 1000, spacing: linear}
success: {measure: train_error, above: 0}
repeats: 1
search: {kind: grid}
"""


def measure() -> dict[str, Any]:
    from orchestrator import api

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.yaml")
        path.write_text(SPEC)
        before, started = memory_mb(), time.perf_counter()
        found = api.outline(api.load_spec(path), place=api.Place(folder))
        seconds, held = time.perf_counter() - started, memory_mb() - before
    loaded = [name for name in ("mlflow", "ray", "optuna") if name in sys.modules]
    return {"seconds": seconds, "mb": held, "trials": found.trials, "loaded": loaded}


if __name__ == "__main__":
    answer(measure)
