"""One simulated problem: what is asked, what is true, and what every trial gives."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.curves import Curve
from orchestrator.inference.threshold import Asked, Status, Tally

Array = NDArray[np.float64]

PLANTED_WITHIN, PLANTED_BEYOND = 5, 2.0
"""The first of this many outcomes with |s (log n - log n_star)| above this is made false."""


@dataclass(frozen=True)
class Law:
    """log n_star = mean + basis @ theta, theta ~ N(0, 1): what the oracle knows in advance.

    mean: (C,); basis: (C, p).
    """

    mean: Array
    basis: Array


@dataclass(frozen=True)
class Problem:
    """A draw of a family. `asked`, `curves` and `odd` go together, one of each per threshold.

    `law` is None where an oracle would know everything. `odd` is the status that a threshold was
    built to have, None for an ordinary one.
    """

    family: str
    number: int
    asked: tuple[Asked, ...]
    curves: tuple[Curve, ...]
    law: Law | None = None
    odd: tuple[Status | None, ...] = ()
    planted: bool = False

    def place(self, d: int, k: int) -> int:
        """Which threshold (d, k) is."""
        return next(i for i, ask in enumerate(self.asked) if (ask.d, ask.k) == (d, k))

    def chance(self, i: int, n: int) -> float:
        """P(success) of a trial at n of the i-th threshold."""
        return float(self.curves[i](np.array(math.log(n))))

    def bounds(self, i: int) -> tuple[float, float]:
        """The range of the i-th threshold in log n."""
        return math.log(self.asked[i].low), math.log(self.asked[i].high)

    def status(self, i: int) -> Status:
        """What a method should say of the i-th threshold in the end."""
        odd = self.odd[i] if self.odd else None
        if odd is not None:
            return odd
        (low, high), (first, last) = self.bounds(i), self.curves[i].truth
        if last < low:
            return "below_range"
        return "above_range" if first > high else "found"


class Trials:
    """The trials of one problem as a method runs them: numbered, counted, and answered by chance.

    Outcome number i is decided by the i-th uniform of the problem's own stream, so methods share
    their luck; a planted outcome follows the order of asking.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.spent = 0
        self.work = 0.0
        self.counts: dict[tuple[int, int], list[int]] = {}
        self._luck = _uniforms(problem)
        self._to_plant = problem.planted

    def run(self, i: int, n: int) -> bool:
        """Whether one more trial at n of the i-th threshold succeeds. Its work is n times d."""
        curve = self.problem.curves[i]
        success = next(self._luck) < self.problem.chance(i, n)
        away = curve.slope * (math.log(n) - curve.log_n_star)
        if self._to_plant and self.spent < PLANTED_WITHIN and abs(away) > PLANTED_BEYOND:
            success, self._to_plant = away < 0, False
        self.spent += 1
        self.work += float(n) * self.problem.asked[i].d
        tally = self.counts.setdefault((i, n), [0, 0])
        tally[0] += success
        tally[1] += 1
        return bool(success)

    def tallies(self) -> tuple[Tally, ...]:
        """All outcomes so far as tallies, sorted."""
        rows = [
            Tally(self.problem.asked[i].d, self.problem.asked[i].k, n, s, t)
            for (i, n), (s, t) in self.counts.items()
        ]
        return tuple(sorted(rows, key=lambda tally: (tally.d, tally.k, tally.n)))

    def of(self, i: int) -> tuple[Array, Array, Array]:
        """Columns log n, successes and trials of the i-th threshold, ascending in n."""
        rows = sorted((n, s, t) for (j, n), (s, t) in self.counts.items() if j == i)
        log_n, successes, trials = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        return np.log(log_n), successes, trials


def _uniforms(problem: Problem) -> Iterator[float]:
    rng = np.random.default_rng([*problem.family.encode(), problem.number, 1])
    while True:
        yield from rng.random(256).tolist()
