"""Trials that cost nothing, because the store has their results already.

Results are shared by key, so a trial that any other sweep has answered is never trained again. What
is decided here is that a search knows which those are. The list is found when a sweep is first
opened and noted in the ledger, because a proposal must not depend on what other sweeps finish
meanwhile: a sweep that is resumed or replayed reads the note. A trial that another sweep settles
later is still reused when it is asked for, but it was not foreseen and counts like any other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell
from orchestrator.plan.expansion import tuned
from orchestrator.spec import ExperimentSpec

NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Wanted:
    """What a sweep may ask for in one arm: at each (d, k), n from the first to the second end.

    `tuned` are the fields in which the plug-ins differ from the arm's own, as in `plan.asks.Ask`.
    """

    arm: int
    target: Target
    learner: Learner
    ranges: Mapping[tuple[int, int], tuple[int, int]]
    tuned: Mapping[str, Any] = field(default_factory=dict)

    def cell(self, point: Point) -> Cell | None:
        """The arm's cell at that point; None for a point that the sweep does not ask for."""
        low, high = self.ranges.get((point.d, point.k), (1, 0))
        return Cell(self.target, self.learner, point) if low <= point.n <= high else None


@dataclass(frozen=True)
class Reusable:
    """Trials of one arm at one point that have a result: their repeat numbers, ascending."""

    arm: int
    point: Point
    repeats: tuple[int, ...]
    tuned: Mapping[str, Any] = field(default_factory=dict)


def wanted(spec: ExperimentSpec) -> list[Wanted]:
    """What each arm may ask for, in every setting with which tuning begins.

    Settings that a search makes up on its way are reused when they meet, but cannot be foreseen.
    """
    return [
        Wanted(arm.index, *tuned(arm.target, arm.learner, setting), ranges, setting)
        for arm in spec.arms
        for ranges in [{(asked.d, asked.k): (asked.low, asked.high) for asked in spec.asked(arm)}]
        for setting in spec.candidates(arm)
    ]


def reusable(arms: Sequence[Wanted], answered: Iterable[tuple[str, Point, int]]) -> list[Reusable]:
    """What the arms may ask for among answered trials: each its cell's key, point and repeat.

    The trials have the sweep's seed. One entry for each point of an arm, in a fixed order.
    """
    place_of = cache(
        lambda point: {c.key: i for i, a in enumerate(arms) if (c := a.cell(point)) is not None}
    )
    repeats: dict[tuple[int, Point], set[int]] = {}
    for key, point, repeat in answered:
        place = place_of(point).get(key)
        if place is not None:
            repeats.setdefault((place, point), set()).add(repeat)
    in_order = sorted(repeats, key=lambda at: (at[0], at[1].d, at[1].k, at[1].n))
    return [
        Reusable(arms[place].arm, point, tuple(sorted(repeats[place, point])), arms[place].tuned)
        for place, point in in_order
    ]


class Stock:
    """What a sweep could reuse when it was first opened.

    The repeats of a point are asked for in order from 0 (`plan.expansion`), so what the next trials
    of a point cost follows from how many were asked for before.
    """

    def __init__(self, reusable: Iterable[Reusable] = ()) -> None:
        self._repeats = {
            _place(one.arm, one.point, one.tuned): frozenset(one.repeats) for one in reusable
        }

    def __bool__(self) -> bool:
        return bool(self._repeats)

    def cost(
        self, arm: int, point: Point, first: int, count: int, tuned: Mapping[str, Any] = NONE
    ) -> int:
        """How many of the `count` repeats from number `first` on have to be trained."""
        known = self._repeats.get(_place(arm, point, tuned), frozenset())
        return sum(repeat not in known for repeat in range(first, first + count))

    def at_hand(self, arm: int, point: Point, first: int, tuned: Mapping[str, Any] = NONE) -> int:
        """How many repeats from number `first` on cost nothing, up to the first that does."""
        known = self._repeats.get(_place(arm, point, tuned), frozenset())
        count = 0
        while first + count in known:
            count += 1
        return count


def _place(arm: int, point: Point, tuned: Mapping[str, Any]) -> tuple[int, Point, str]:
    return arm, point, canonical_json(dict(tuned)) if tuned else ""
