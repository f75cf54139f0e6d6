"""Time of an ask of `ThresholdSampler`: 2,000 points seen, 50 thresholds asked.

    python benchmarks/ask_time.py [--points 2000] [--thresholds 50] [--flying 16] [--repeats 5]

Each line is the median over `--repeats`, in milliseconds of wall clock:
    alone      one trial asks right after an outcome was told
    in flight  as many trials as `--flying` ask one after another, with no outcome between them
The goals are 50 ms and 200 ms. An ask is `study.ask`, the context's suggestion and n's. Columns:
    fit, settled, choose   the inference core: the posterior, who is done, the design
    sampler                all else: reading the study, counting, grouping, and Optuna itself
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from orchestrator.inference import design, psychometric
from orchestrator.inference.ladder import rungs
from orchestrator.inference.posterior import Posterior
from orchestrator.search import ThresholdSampler

T = TypeVar("T")

LOW, HIGH = 5, 100_000
SHARPNESS = 8


class Clock:
    """Seconds spent in each of the timed functions, less those spent in others called from it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._within: list[str] = []
        self._since = 0.0

    def time(self, owner: Any, function: str) -> None:
        """Replace a function of a module or a class by one that is timed."""
        inner: Callable[..., Any] = getattr(owner, function)

        def timed(*args: Any, **words: Any) -> Any:
            self._turn()
            self._within.append(function)
            try:
                return inner(*args, **words)
            finally:
                self._turn()
                self._within.pop()

        setattr(owner, function, timed)

    def run(self, work: Callable[[], T]) -> tuple[T, dict[str, float]]:
        """What one run gives, and its seconds by function: `sampler` is all but the timed ones."""
        self.spent.clear()
        self._within, self._since = ["sampler"], time.perf_counter()
        result = work()
        self._turn()
        return result, dict(self.spent)

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._within:
            self.spent[self._within[-1]] += now - self._since
        self._since = now


def outcome(d: int, n: int, luck: float) -> float:
    """1 with probability one half at n = 2 d."""
    return float(luck < 1 / (1 + (2 * d / n) ** SHARPNESS))


def seen(ds: list[int], points: int, seed: int) -> list[FrozenTrial]:
    """Finished trials at the rungs nearest to each threshold, in the order of a search."""
    rng = np.random.default_rng(seed)
    ladder, each = rungs(LOW, HIGH), points // len(ds)
    space: dict[str, BaseDistribution] = {
        "d": CategoricalDistribution(ds),
        "n": IntDistribution(LOW, HIGH, log=True),
    }
    near = {d: ladder[np.abs(np.log(ladder / (2 * d))).argsort()[:each]] for d in ds}
    return [
        create_trial(
            params={"d": d, "n": int(near[d][place])},
            distributions=space,
            value=outcome(d, int(near[d][place]), rng.random()),
        )
        for place in range(each)
        for d in ds
    ]


def ask(study: optuna.Study, ds: list[int]) -> optuna.Trial:
    trial = study.ask()
    trial.suggest_categorical("d", ds)
    trial.suggest_int("n", LOW, HIGH, log=True)
    return trial


def line(clock: Clock, study: optuna.Study, ds: list[int], flying: int, repeats: int) -> str:
    rng = np.random.default_rng(1)
    runs = []
    for _ in range(repeats):
        asked, spent = clock.run(lambda: [ask(study, ds) for _ in range(flying)])
        runs.append(spent)
        for trial in asked:
            study.tell(trial, outcome(trial.params["d"], trial.params["n"], rng.random()))
    shares = [[1e3 * run.get(name, 0.0) for run in runs] for name in COLUMNS]
    totals = [1e3 * sum(run.values()) for run in runs]
    return " ".join(f"{statistics.median(ms):9.1f}" for ms in (*shares, totals))


COLUMNS = ("sampler", "fit", "settled", "choose")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--thresholds", type=int, default=50)
    parser.add_argument("--flying", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    words = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    clock = Clock()
    for owner, function in ((psychometric, "fit"), (design, "choose"), (Posterior, "settled")):
        clock.time(owner, function)
    ds = np.unique(np.geomspace(20, 2000, words.thresholds).round().astype(int)).tolist()
    print(f"{words.points} points seen, {len(ds)} thresholds asked; milliseconds")
    print(f"{'storage':10} {'asks':>14} " + " ".join(f"{name:>9}" for name in (*COLUMNS, "total")))
    with tempfile.TemporaryDirectory() as folder:
        storages = (("memory", None), ("SQLite", f"sqlite:///{Path(folder) / 'ask.db'}"))
        for seed, (storage, url) in enumerate(storages):
            study = optuna.create_study(
                storage=url, sampler=ThresholdSampler(n="n", context=["d"], seed=0)
            )
            study.add_trials(seen(ds, words.points, seed))
            study.tell(ask(study, ds), 1.0)  # reads all trials; every later ask reads what is new
            for name, flying in (("alone", 1), (f"{words.flying} in flight", words.flying)):
                figures = line(clock, study, ds, flying, words.repeats)
                print(f"{storage:10} {name:>14} {figures}", flush=True)


if __name__ == "__main__":
    main()
