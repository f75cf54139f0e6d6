"""Optuna's TPE and GP samplers as one would use them for a threshold: minimise |success - level|.

One outcome is 0 or 1, always 1/2 away from a level of 1/2, so a trial of Optuna is three trials
at one n, and its value |share of successes - level|. Thresholds take turns: log d and log k are
fixed (`PartialFixedSampler`) and the sampler suggests n (int, log), knowing all trials at all d and
k. A threshold is read off as the n of least value at its (d, k), ties averaged in log n; the other
readings are those of all peers.
"""

import math
import warnings

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, PartialFixedSampler, TPESampler

from benchmarks.search.curves import LEVEL
from benchmarks.search.methods.readings import joint_fit, logistic_fits
from benchmarks.search.playing import Estimate
from benchmarks.search.problems import Trials

REPEATS = 3

STARTUP = 5
"""Trials at random before a model is used: half of Optuna's default, as there are so few."""


class OptunaMinimiser:
    """A sampler of Optuna at work; a session."""

    def __init__(self, trials: Trials, sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._trials, self._sampler = trials, sampler
        self._study = optuna.create_study(sampler=sampler)
        self._running: optuna.Trial | None = None
        self._outcomes: list[bool] = []
        self._values: list[tuple[int, int, float]] = []

    def ask(self) -> list[tuple[int, int]]:
        asked = self._trials.problem.asked
        i = len(self._values) % len(asked)
        place = {"log_d": math.log(asked[i].d), "log_k": math.log(asked[i].k)}
        ends = [(math.log(ask.d), math.log(ask.k)) for ask in asked]
        lows, highs = np.min(ends, axis=0), np.max(ends, axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fixing parameters is experimental in Optuna
            self._study.sampler = PartialFixedSampler(place, self._sampler)
            trial = self._study.ask()
            for name, low, high in zip(place, lows, highs, strict=True):
                trial.suggest_float(name, low, max(high, low + 1e-9))
            n = trial.suggest_int("n", asked[i].low, asked[i].high, log=True)
        self._running = trial
        return [(i, n)] * REPEATS

    def tell(self, i: int, n: int, success: bool) -> None:
        self._outcomes.append(success)
        if len(self._outcomes) == REPEATS:
            assert self._running is not None
            value = abs(sum(self._outcomes) / REPEATS - LEVEL)
            self._study.tell(self._running, value)
            self._values.append((i, n, value))
            self._outcomes = []

    def estimate(self) -> Estimate:
        own = np.full(len(self._trials.problem.asked), np.nan)
        for i in range(len(own)):
            mine = [(value, math.log(n)) for j, n, value in self._values if j == i]
            least = min((value for value, _ in mine), default=0.0)
            if mine:
                own[i] = np.mean([log_n for value, log_n in mine if value == least])
        readings = {"fit": logistic_fits(self._trials), "joint": joint_fit(self._trials)}
        return Estimate(own, readings=readings)


def tpe(trials: Trials) -> OptunaMinimiser:
    """TPE over all parameters jointly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `multivariate` is experimental in Optuna
        sampler = TPESampler(
            seed=trials.problem.number, multivariate=True, n_startup_trials=STARTUP
        )
    return OptunaMinimiser(trials, sampler)


def gp(trials: Trials) -> OptunaMinimiser:
    """Gaussian process with expected improvement, told that outcomes are noisy."""
    sampler = GPSampler(
        seed=trials.problem.number, deterministic_objective=False, n_startup_trials=STARTUP
    )
    return OptunaMinimiser(trials, sampler)
