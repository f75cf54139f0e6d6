"""Peers that need no package: the grid, a staircase, bisection, and random points."""

import math

import numpy as np

from benchmarks.search.methods.readings import joint_fit, logistic_fits
from benchmarks.search.playing import Array, Estimate
from benchmarks.search.problems import Problem, Trials

GRID_VALUES = 20
"""Values of n in a grid, log-spaced over the range, ends included."""

FIRST_STEP, LAST_STEP = 2.0, 0.25
"""A staircase's steps in nats: halved at each reversal from the first to the last."""

BURN_IN = 2
"""Reversals of a staircase that are not averaged, once there are more."""

REPEATS = 3
"""Trials at each point of a bisection; the majority decides."""


class Grid:
    """Every d, 20 values of n, some repeats; one logistic fit per threshold."""

    def __init__(self, trials: Trials, repeats: int) -> None:
        self._trials, self._repeats, self._is_done = trials, repeats, False

    def ask(self) -> list[tuple[int, int]]:
        if self._is_done:
            return []
        self._is_done = True
        return [
            (i, round(n))
            for i, ask in enumerate(self._trials.problem.asked)
            for n in np.geomspace(ask.low, ask.high, GRID_VALUES).tolist()
            for _ in range(self._repeats)
        ]

    def tell(self, i: int, n: int, success: bool) -> None:
        pass

    def estimate(self) -> Estimate:
        return Estimate(logistic_fits(self._trials))


def grid_of_10(trials: Trials) -> Grid:
    return Grid(trials, 10)


def grid_of_20(trials: Trials) -> Grid:
    return Grid(trials, 20)


def grid_size(repeats: int, problem: Problem) -> int:
    """Outcomes of a grid."""
    return GRID_VALUES * repeats * len(problem.asked)


class _InTurn:
    """Thresholds take turns, and each is sought by itself from the middle of its range."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        problem = trials.problem
        self._ends = [problem.bounds(i) for i in range(len(problem.asked))]
        self._at = [(low + high) / 2 for low, high in self._ends]
        self._turn = 0

    def ask(self) -> list[tuple[int, int]]:
        i, self._turn = self._turn, (self._turn + 1) % len(self._at)
        return [(i, self._n(i))]

    def _n(self, i: int) -> int:
        ask = self._trials.problem.asked[i]
        return min(max(round(math.exp(self._at[i])), ask.low), ask.high)

    def _estimate(self, own: Array) -> Estimate:
        readings = {"fit": logistic_fits(self._trials), "joint": joint_fit(self._trials)}
        return Estimate(own, readings=readings)


class Staircase(_InTurn):
    """1 up, 1 down in log n; the mean of the reversals (Levitt 1971, J. Acoust. Soc. Am. 49:467).

    Before the first reversal the estimate is the next point.
    """

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self._step = [FIRST_STEP] * len(self._at)
        self._last: list[bool | None] = [None] * len(self._at)
        self._reversals: list[list[float]] = [[] for _ in self._at]

    def tell(self, i: int, n: int, success: bool) -> None:
        if self._last[i] is not None and self._last[i] != success:
            self._reversals[i].append(self._at[i])
            self._step[i] = max(self._step[i] / 2, LAST_STEP)
        self._last[i] = success
        low, high = self._ends[i]
        self._at[i] = min(max(self._at[i] + (-1 if success else 1) * self._step[i], low), high)

    def estimate(self) -> Estimate:
        late = [turns[BURN_IN:] or turns[-1:] for turns in self._reversals]
        means = [np.mean(turns) if turns else at for turns, at in zip(late, self._at, strict=True)]
        return self._estimate(np.array(means, dtype=np.float64))


class Bisection(_InTurn):
    """The middle of what is left, three trials each; the majority decides which half is left."""

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self._votes: list[list[bool]] = [[] for _ in self._at]

    def ask(self) -> list[tuple[int, int]]:
        return super().ask() * REPEATS

    def tell(self, i: int, n: int, success: bool) -> None:
        self._votes[i].append(success)
        if len(self._votes[i]) == REPEATS:
            low, high = self._ends[i]
            reached = sum(self._votes[i]) > REPEATS / 2
            self._ends[i] = (low, self._at[i]) if reached else (self._at[i], high)
            self._at[i] = sum(self._ends[i]) / 2
            self._votes[i] = []

    def estimate(self) -> Estimate:
        return self._estimate(np.array(self._at))


class AtRandom:
    """Thresholds and log n at random, one logistic regression that takes the law for a power."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        problem = trials.problem
        self._rng = np.random.default_rng([problem.number, 2])

    def ask(self) -> list[tuple[int, int]]:
        i = int(self._rng.integers(len(self._trials.problem.asked)))
        return [(i, round(math.exp(self._rng.uniform(*self._trials.problem.bounds(i)))))]

    def tell(self, i: int, n: int, success: bool) -> None:
        pass

    def estimate(self) -> Estimate:
        fits = logistic_fits(self._trials)
        return Estimate(fits, readings={"joint": joint_fit(self._trials)})
