"""Grid: every point of every arm once, with the file's `repeats`."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Asked
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.spec import Arm, ExperimentSpec

ROUND_TRIALS = 1024
"""Fewest trials of a round. Nothing is learned between rounds of a grid, so they are as large as
keeps hundreds of slots busy while memory stays small. Chosen by hand."""


class GridProposer:
    """Asks for every (arm, d, k, n) exactly once with `repeats` trials; a `Proposer`.

    Where learners are tuned, for every (arm, setting, d, k, n): the settings the tuning begins
    with. The grid is never built: a round is cut out of the axes by position. In round r every arm
    and setting gives its next `width` points, so they advance together. `max_trials` cuts the grid
    off before the first point that would exceed it. Results play no part.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._repeats = spec.repeats
        self._max_trials = spec.search.max_trials
        per_round = max(ROUND_TRIALS, spec.search.round)
        self._lines = [
            _Line(spec, arm, setting) for arm in spec.arms for setting in spec.candidates(arm)
        ]
        self._width = max(1, per_round // (spec.repeats * len(self._lines)))

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """Round `number` of the grid; empty after its end."""
        first, last = number * self._width, (number + 1) * self._width
        asks = [
            Ask(line.arm.index, point, self._repeats, tuned=line.setting)
            for place in range(first, last)
            for line in self._lines
            if (point := line.point(place)) is not None
        ]
        return asks[: self._allowed(first)]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`max_trials` when it cut the grid off, else None: the design was completed."""
        if self._max_trials is None:
            return None
        whole = sum(line.length for line in self._lines) * self._repeats
        return "max_trials" if whole > self._max_trials else None

    def _allowed(self, first: int) -> int | None:
        """How many points may follow those before place `first`; None for any number."""
        if self._max_trials is None:
            return None
        before = sum(line.length_to(first) for line in self._lines)
        return max(0, self._max_trials // self._repeats - before)


class _Line:
    """The points of one arm and setting in a row, by place; contexts are measured when reached."""

    def __init__(self, spec: ExperimentSpec, arm: Arm, setting: Mapping[str, Any]) -> None:
        self._spec = spec
        self.arm = arm
        self.setting = setting
        self._asked: Sequence[Asked] = spec.asked(arm)
        self._starts = [0]  # the place of each context's first point, and of the next one to come
        self._newest: tuple[Asked, Sequence[int]] | None = None

    def point(self, place: int) -> Point | None:
        """The point at `place`; None beyond the last."""
        if place >= self.length_to(place + 1):
            return None
        context = bisect_right(self._starts, place) - 1
        asked = self._asked[context]
        n = self._grid(asked)[place - self._starts[context]]
        return Point(d=asked.d, n=n, k=asked.k)

    def length_to(self, place: int) -> int:
        """How many points there are before `place`."""
        while self._starts[-1] < place and len(self._starts) <= len(self._asked):
            asked = self._asked[len(self._starts) - 1]
            self._starts.append(self._starts[-1] + len(self._grid(asked)))
        return min(place, self._starts[-1])

    @property
    def length(self) -> int:
        """How many points there are."""
        return sum(len(self._grid(asked)) for asked in self._asked)

    def _grid(self, asked: Asked) -> Sequence[int]:
        """The n of one context; the newest is kept, as places are mostly visited in order."""
        if self._newest is None or self._newest[0] != asked:
            self._newest = (asked, self._spec.n_grid(self.arm, asked.d, asked.k))
        return self._newest[1]
