"""Sobol: points spread evenly over (d, k) and log n, without looking at results."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Asked
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.grid import ROUND_TRIALS
from orchestrator.spec import ExperimentSpec

POINTS_EACH = 16
"""Points per asked (d, k) where the file gives no `max_trials`: four to an e-fold over a range of
50 to 1, enough to see where success rises. Chosen by hand."""


class _Context(NamedTuple):
    asked: Asked
    grid: Sequence[int]


class SobolProposer:
    """Asks for the points of a scrambled Sobol sequence, `repeats` trials each; a `Proposer`.

    One coordinate chooses the asked (d, k), the other n in log n, snapped to the nearest n of the
    file's grid (rungs of the ladder, or the values it lists); points that fall together get their
    repeats added up. Every arm, and every setting where learners are tuned, is given the same
    sequence, so that they are compared at equal points. The design ends with the
    last whole point of every arm within `max_trials`, or after `POINTS_EACH` per asked threshold.

    Source: Owen (1998), scrambled nets, as in `scipy.stats.qmc.Sobol`.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._seed = spec.seed
        self._repeats = spec.repeats
        self._entries = [(arm.index, one) for arm in spec.arms for one in spec.candidates(arm)]
        self._contexts = [
            [_Context(asked, spec.n_grid(arm, asked.d, asked.k)) for asked in spec.asked(arm)]
            for arm in spec.arms
        ]
        per_point = spec.repeats * len(self._entries)
        most = spec.search.max_trials
        contexts = max(len(own) for own in self._contexts)
        self._points = POINTS_EACH * contexts if most is None else most // per_point
        per_round = max(1, max(ROUND_TRIALS, spec.search.round) // per_point)
        self._width = 1 << math.ceil(math.log2(per_round))  # Sobol points are even in powers of 2

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """Round `number` of the design; empty after its end."""
        first = number * self._width
        count = min(self._width, self._points - first)
        if count <= 0:
            return []
        sequence = qmc.Sobol(d=2, scramble=True, rng=np.random.default_rng(self._seed))
        if first:  # scipy cannot move by nothing
            sequence.fast_forward(first)
        unit = sequence.random(self._width)[:count]
        points = Counter(
            (entry, _point(self._contexts[arm], float(u), float(v)))
            for u, v in unit
            for entry, (arm, _) in enumerate(self._entries)
        )
        return [
            Ask(arm, point, times * self._repeats, tuned=setting)
            for (entry, point), times in points.items()
            for arm, setting in [self._entries[entry]]
        ]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """None: `max_trials` sizes the design, so it always ends by being completed."""
        return None


def _point(contexts: Sequence[_Context], u: float, v: float) -> Point:
    """The point at (u, v) of the unit square: u chooses the context, v the place in log n."""
    asked, grid = contexts[min(int(u * len(contexts)), len(contexts) - 1)]
    log_n = math.log(asked.low) + v * math.log(asked.high / asked.low)
    return Point(d=asked.d, n=min(grid, key=lambda n: abs(math.log(n) - log_n)), k=asked.k)
