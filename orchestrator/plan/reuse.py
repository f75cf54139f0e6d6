"""Trials that cost nothing, because the store has their results already.

Results are shared by key, so a trial that any other sweep has answered is never trained again. What
is decided here is that a search knows which those are. The list is found when a sweep is first
opened and noted in the ledger, because a proposal must not depend on what other sweeps finish
meanwhile: a sweep that is resumed or replayed reads the note. A trial that another sweep settles
later is still reused when it is asked for, but it was not foreseen and counts like any other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from orchestrator.domain.learner import Learner
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell
from orchestrator.spec import ExperimentSpec


@dataclass(frozen=True)
class Wanted:
    """What a sweep may ask for in one arm: at each (d, k), n from the first to the second end."""

    arm: int
    target: Target
    learner: Learner
    ranges: Mapping[tuple[int, int], tuple[int, int]]

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


def wanted(spec: ExperimentSpec) -> list[Wanted]:
    """What each arm may ask for, with its plug-ins as the file sets them.

    A search that tunes asks for other settings too; what is known of those it reuses unforeseen.
    """
    return [
        Wanted(
            arm.index,
            arm.target,
            arm.learner,
            {(asked.d, asked.k): (asked.low, asked.high) for asked in spec.asked(arm)},
        )
        for arm in spec.arms
    ]


def reusable(arms: Sequence[Wanted], answered: Iterable[tuple[str, Point, int]]) -> list[Reusable]:
    """What the arms may ask for among answered trials: each its cell's key, point and repeat.

    The trials have the sweep's seed. One entry for each point of an arm, in a fixed order.
    """
    arm_of = cache(lambda point: {c.key: a.arm for a in arms if (c := a.cell(point)) is not None})
    repeats: dict[tuple[int, Point], list[int]] = {}
    for key, point, repeat in answered:
        arm = arm_of(point).get(key)
        if arm is not None:
            repeats.setdefault((arm, point), []).append(repeat)
    found = [Reusable(arm, point, tuple(sorted(own))) for (arm, point), own in repeats.items()]
    return sorted(found, key=lambda one: (one.arm, one.point.d, one.point.k, one.point.n))


class Stock:
    """What a sweep could reuse when it was first opened.

    The repeats of a point are asked for in order from 0 (`plan.expansion`), so what the next trials
    of a point cost follows from how many were asked for before.
    """

    def __init__(self, reusable: Iterable[Reusable] = ()) -> None:
        self._repeats = {(one.arm, one.point): frozenset(one.repeats) for one in reusable}

    def __bool__(self) -> bool:
        return bool(self._repeats)

    def cost(self, arm: int, point: Point, first: int, count: int) -> int:
        """How many of the `count` repeats from number `first` on have to be trained."""
        known = self._repeats.get((arm, point), frozenset())
        return sum(repeat not in known for repeat in range(first, first + count))

    def at_hand(self, arm: int, point: Point, first: int) -> int:
        """How many repeats from number `first` on cost nothing, up to the first that does."""
        known = self._repeats.get((arm, point), frozenset())
        count = 0
        while first + count in known:
            count += 1
        return count
