"""Threshold search as the product does it, by the pure functions under `ThresholdSampler`.

Optuna's bookkeeping is left out for speed; a test shows that the sampler suggests the same points.
"""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from benchmarks.search.curves import LEVEL
from benchmarks.search.methods.informed import informed_interval
from benchmarks.search.methods.oracle import oracle_interval
from benchmarks.search.playing import Estimate
from benchmarks.search.problems import Trials
from orchestrator.inference.threshold import Choice
from orchestrator.search import planning
from orchestrator.search.planning import Goal, Group

GOAL = Goal(level=LEVEL)


class OneAtATime:
    """Every trial is chosen with all outcomes of those before it, as `study.ask` does."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    def ask(self) -> list[tuple[int, int]]:
        return self._chosen(self._group(), 1)

    def tell(self, i: int, n: int, success: bool) -> None:
        pass

    def estimate(self) -> Estimate:
        """The thresholds as they are reported; the range's end where one lies beyond it."""
        problem = self._trials.problem
        posterior = planning.posterior(self._group(), GOAL)
        found = [posterior.threshold(i) for i in range(len(problem.asked))]
        log_n_star = np.array([posterior.quantile(i, 0.5) for i in range(len(found))])
        for i, threshold in enumerate(found):
            if threshold.status in ("below_range", "above_range"):
                log_n_star[i] = problem.bounds(i)[threshold.status == "above_range"]
        ends = [
            [math.log(t.low), math.log(t.high)]
            if t.status in ("found", "undecided") and t.low is not None and t.high is not None
            else [math.nan, math.nan]
            for t in found
        ]
        low, high = np.array(ends).T
        status = tuple(t.status for t in found)
        return Estimate(
            log_n_star,
            low,
            high,
            status,
            informed=informed_interval(self._trials),
            oracle=oracle_interval(self._trials),
        )

    def _group(self, pending: tuple[Choice, ...] = ()) -> Group:
        return Group(self._trials.problem.asked, self._trials.tallies(), pending)

    def _chosen(self, group: Group, count: int) -> list[tuple[int, int]]:
        """The next trials; where all is settled, at tighter and tighter tolerances."""
        return self._trials_of(planning.plan_on([group], count, GOAL))

    def _trials_of(self, plan: Sequence[tuple[int, Choice]]) -> list[tuple[int, int]]:
        place = self._trials.problem.place
        return [(place(c.d, c.k), c.n) for _, c in plan for _ in range(c.repeats)]


class SixteenInFlight(OneAtATime):
    """Sixteen trials run at any time; the oldest ends first, and a new one is chosen then."""

    FLYING = 16

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self._flying: deque[tuple[int, int]] = deque()

    def ask(self) -> list[tuple[int, int]]:
        while len(self._flying) < self.FLYING:
            chosen = self._chosen(self._group(self._pending()), 1)
            if not chosen:
                break
            self._flying.extend(chosen)
        return [self._flying.popleft()] if self._flying else []

    def _pending(self) -> tuple[Choice, ...]:
        asked = self._trials.problem.asked
        counts: dict[tuple[int, int, int], int] = {}
        for i, n in self._flying:
            key = asked[i].d, asked[i].k, n
            counts[key] = counts.get(key, 0) + 1
        choices = [Choice(d, k, n, repeats) for (d, k, n), repeats in counts.items()]
        return tuple(sorted(choices, key=lambda choice: (choice.d, choice.k, choice.n)))


class RoundsOfFour(OneAtATime):
    """Four trials are designed jointly and awaited together."""

    ROUND = 4

    def ask(self) -> list[tuple[int, int]]:
        return self._chosen(self._group(), self.ROUND)


class UntilSettled(RoundsOfFour):
    """Rounds of four that end where a search would stop: when every threshold is settled."""

    def ask(self) -> list[tuple[int, int]]:
        return self._trials_of(planning.plan([self._group()], self.ROUND, GOAL))
