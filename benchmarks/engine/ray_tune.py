"""The usual peer: Ray Tune with Optuna and MLflow's callback, actors reused."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch

from benchmarks.engine.by_hand import train
from benchmarks.engine.isolated import answer
from benchmarks.engine.processes import TreeCpu
from benchmarks.engine.sizes import SIZES

WORKERS = 2
WARM = 4
"""Trials until both actors are up, which are not counted."""


class Net(tune.Trainable):  # type: ignore[misc]
    """One trial in one step."""

    def setup(self, config: dict[str, Any]) -> None:
        self._config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        found = train(SIZES[self._config["size"]], self._config["seed"])
        return {**found.measures, "cpu_s": found.cpu_s, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""


class Stopwatch(tune.Callback):  # type: ignore[misc]
    """Wall and CPU time from the end of the warm-up to the last trial."""

    def __init__(self) -> None:
        self.trials, self.trained, self.seconds, self.spent = 0, 0.0, 0.0, 0.0
        self._cpu, self._started = TreeCpu(), 0.0

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.trials += 1
        if self.trials == WARM:
            self._cpu, self._started = TreeCpu(), time.perf_counter()
        elif self.trials > WARM:
            self.trained += trial.last_result["cpu_s"]
            self.seconds = time.perf_counter() - self._started
            self.spent = self._cpu.seconds()


def measure(size: str, trials: int) -> dict[str, Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{Path(folder, 'mlflow.db')}"
        tune.Tuner(
            Net,
            param_space={"size": size, "seed": tune.randint(0, 1 << 30), **SIZES[size].params},
            tune_config=tune.TuneConfig(
                metric="test_accuracy",
                mode="max",
                num_samples=trials + WARM,
                search_alg=OptunaSearch(),
                max_concurrent_trials=WORKERS,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[MLflowLoggerCallback(uri, experiment_name="tune"), watch],
            ),
        ).fit()
    ray.shutdown()
    count = watch.trials - WARM
    return {
        "rate": count / watch.seconds,
        "training": watch.trained / watch.spent,
        "cpu_ms": 1e3 * watch.spent / count,
    }


if __name__ == "__main__":
    answer(measure)
