"""The strong peer: one Ray task and one MLflow run for every trial, written by the driver.

Tasks in flight are kept at a window, so that workers train while the driver writes; a run takes
three calls of `MlflowClient`, the fewest there are: create with tags, one batch, terminate.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from benchmarks.engine.by_hand import Trained, train
from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sizes import SIZES, Size

WORKERS, WINDOW = 2, 8


def measure(size: str, trials: int) -> dict[str, Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{Path(folder, 'mlflow.db')}")
        experiment = client.create_experiment("peer", f"{folder}/artifacts")
        task = ray.remote(max_retries=0)(train)
        ray.get([task.remote(SIZES[size], -1 - one) for one in range(2 * WORKERS)])
        cpu, started, trained = TreeCpu(), time.perf_counter(), 0.0
        waiting: dict[Any, int] = {}
        for seed in range(trials + WINDOW):
            if seed < trials:
                waiting[task.remote(SIZES[size], seed)] = seed
            if len(waiting) < WINDOW and seed < trials:
                continue
            (done,), _ = ray.wait(list(waiting))
            found = ray.get(done)
            _record(client, experiment, SIZES[size], waiting.pop(done), found)
            trained += found.cpu_s
            if not waiting:
                break
        seconds, spent = time.perf_counter() - started, cpu.seconds()
    ray.shutdown()
    return {"rate": trials / seconds, "training": trained / spent, "cpu_ms": 1e3 * spent / trials}


def _record(client: MlflowClient, experiment: str, size: Size, seed: int, found: Trained) -> None:
    run = client.create_run(experiment, run_name=f"trial {seed}", tags={"role": "trial"})
    now = int(time.time() * 1000)
    metrics = {**found.measures, "seconds": found.cpu_s}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in {**size.params, "seed": seed}.items()],
    )
    client.set_terminated(run.info.run_id)


if __name__ == "__main__":
    answer(measure)
