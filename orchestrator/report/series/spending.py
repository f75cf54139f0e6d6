"""Where trials were spent, round by round, and how the intervals shrank for it."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.answer import Answer, FoundThreshold
from orchestrator.narrowing import narrowing
from orchestrator.report.series.rates import room
from orchestrator.report.series.thresholds import shown

Cell = tuple[int, int]
"""A (d, k)."""


@dataclass(frozen=True)
class Dot:
    """Trials around one n in one round, gaps included; the first round is 0."""

    n: float
    round: int
    trials: int


def last_round(answer: Answer) -> int:
    """The number of the last round; 0 without rows."""
    return max((row.round for row in answer.rows), default=0)


def spent(answer: Answer, index: int) -> Mapping[Cell, list[Dot]]:
    """One arm's trials by (d, k), from the rows; without rows from the tallies, as one round.

    Where dots would be too many to tell apart, neighbouring rounds and n are drawn as one.
    """
    single: dict[Cell, Counter[tuple[int, int]]] = defaultdict(Counter)
    for row in answer.rows:
        if row.arm == index:
            single[row.point.d, row.point.k][row.round, row.point.n] += 1
    if not answer.rows:
        for found in answer.arms[index].thresholds:
            for tally in found.tallies:
                single[tally.d, tally.k][0, tally.n] += tally.trials + tally.gaps
    return _together(single, room(answer))


def _together(single: Mapping[Cell, Counter[tuple[int, int]]], most: int) -> dict[Cell, list[Dot]]:
    """At most about `most` dots a cell: exact, or rounds by log n in bands that all cells share."""
    last = max((number for counts in single.values() for number, _ in counts), default=0)
    exact = {
        cell: [Dot(n, number, trials) for (number, n), trials in sorted(counts.items())]
        for cell, counts in single.items()
    }
    for bands in (24, 16, 12, 8, 6, 4):
        if max(map(len, exact.values()), default=0) <= most:
            break
        rounds = max(1, -(-(last + 1) // bands))
        exact = {cell: _banded(own, rounds, 1.5 / bands, last) for cell, own in single.items()}
    return exact


def _banded(counts: Counter[tuple[int, int]], rounds: int, width: float, last: int) -> list[Dot]:
    """Dots that share a band of so many `rounds` and of `width` in log n, as one."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for (number, n), trials in counts.items():
        groups[number // rounds, int(math.log(n) // width)].append((n, trials))
    return [
        _dot(min(last, band * rounds + rounds // 2), group)
        for (band, _), group in sorted(groups.items())
    ]


def _dot(number: int, group: list[tuple[int, int]]) -> Dot:
    """Trials as (n, trials) at the mean of their log n."""
    trials = sum(count for _, count in group)
    middle = sum(math.log(n) * count for n, count in group) / trials
    return Dot(math.exp(middle), number, trials)


def heaviest(dots: Mapping[Cell, list[Dot]]) -> int:
    """Trials of the largest dot, against which the others are drawn; at least a dozen."""
    return max(12, *(dot.trials for own in dots.values() for dot in own), 0)


@dataclass(frozen=True)
class Shrinking:
    """Half the width of one threshold's interval over its n_star, by the trials spent on it."""

    found: FoundThreshold
    trials: tuple[int, ...]
    widths: tuple[float, ...]


def shrinking(answer: Answer, index: int) -> list[Shrinking]:
    """How the intervals of one arm narrowed, of those thresholds that are known at two looks."""
    looks = narrowing(answer, index)
    drawn = {one.asked for one in shown(answer.arms[index])}
    found = []
    for place, one in enumerate(answer.arms[index].thresholds):
        known = {
            look.trials[place]: width
            for look in looks
            if (width := look.thresholds[place].half_width) is not None and look.trials[place]
        }
        if one.asked in drawn and len(known) > 1:
            found.append(Shrinking(one, tuple(known), tuple(known.values())))
    return found
