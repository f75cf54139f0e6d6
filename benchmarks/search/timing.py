"""How long an ask takes: 2,000 points seen, 50 thresholds asked; CPU seconds."""

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import create_trial

from benchmarks.search.curves import LEVEL, crossing_at
from orchestrator.inference.threshold import Asked, Tally
from orchestrator.search import ThresholdSampler, planning
from orchestrator.search.planning import Goal, Group

THRESHOLDS, POINTS, BATCH, LOW, HIGH = 50, 2_000, 16, 5, 100_000

TIMES = 5
"""Asks that are timed, each after one more outcome; the median counts."""


def _seen(seed: int = 0) -> list[tuple[int, int, int]]:
    """(d, n, success) of `POINTS` + `TIMES` trials, spread about a power law by 0.8 nats."""
    rng = np.random.default_rng(seed)
    ds = [round(d) for d in np.geomspace(10, 1_000, THRESHOLDS)]
    rows = []
    for number in range(POINTS + TIMES):
        d = ds[number % THRESHOLDS]
        curve = crossing_at("probit", math.log(2.3 * d**1.2), 4.0, 0.01, 0.01)
        n = int(np.clip(round(math.exp(rng.normal(curve.log_n_star, 0.8))), LOW, HIGH))
        rows.append((d, n, int(rng.random() < curve(np.array(math.log(n))))))
    return rows


def _median_of(ask: Callable[[int], object]) -> float:
    spent = []
    for number in range(TIMES):
        started = time.process_time()
        ask(number)
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def by_planning(count: int) -> float:
    """Fit and choice of `count` trials, without Optuna's bookkeeping."""
    rows = _seen()
    asked = tuple(Asked(d, 1, LOW, HIGH) for d in sorted({d for d, _, _ in rows}))

    def ask(number: int) -> object:
        counts: dict[tuple[int, int], list[int]] = {}
        for d, n, success in rows[: POINTS + number]:
            tally = counts.setdefault((d, n), [0, 0])
            tally[0] += success
            tally[1] += 1
        tallies = tuple(Tally(d, 1, n, s, t) for (d, n), (s, t) in sorted(counts.items()))
        return planning.plan([Group(asked, tallies)], count, Goal(level=LEVEL))

    return _median_of(ask)


def by_sampler() -> float:
    """One ask through Optuna: context and n suggested, a study of 2,000 trials read."""
    rows = _seen()
    ds = sorted({d for d, _, _ in rows})
    contexts = [({"d": d}, LOW, HIGH) for d in ds]
    sampler = ThresholdSampler(n="n", context=["d"], level=LEVEL, seed=0, asked=contexts)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    places = {"d": CategoricalDistribution(ds), "n": IntDistribution(LOW, HIGH, log=True)}
    study.add_trials(
        create_trial(value=float(y), params={"d": d, "n": n}, distributions=places)
        for d, n, y in rows[:POINTS]
    )

    def ask(number: int) -> object:
        trial = study.ask()
        where = trial.suggest_categorical("d", ds), trial.suggest_int("n", LOW, HIGH, log=True)
        study.tell(trial, float(rows[POINTS + number][2]))
        return where

    return _median_of(ask)
