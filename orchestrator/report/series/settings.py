"""Settings of tuned learners as lines across parallel axes: what was tried, and what it needed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.answer import ArmAnswer
from orchestrator.inference.threshold import Threshold

WIDE = 8.0
"""Greatest over least from which an axis of positive numbers is logarithmic. Chosen by hand."""
MOST_TICKS = 6
ABSENT = "not set"
NOWHERE = "not known"


@dataclass(frozen=True)
class Tried:
    """One setting at one (d, k). `ratio` is its n_star over that of the best setting there."""

    d: int
    k: int
    tuned: Mapping[str, Any]
    threshold: Threshold
    chosen: bool
    ratio: float | None


def tried(arm: ArmAnswer) -> list[Tried]:
    """Every setting at every (d, k), worst first, so that the best is drawn on top."""
    found = [
        Tried(one.asked.d, one.asked.k, tuned, threshold, chosen, _ratio(threshold, one.threshold))
        for one in arm.thresholds
        if one.rivals
        for tuned, threshold, chosen in (
            (one.tuned, one.threshold, True),
            *((rival.tuned, rival.threshold, False) for rival in one.rivals),
        )
    ]
    return sorted(found, key=lambda one: (one.chosen, -(one.ratio or math.inf)))


def _ratio(one: Threshold, best: Threshold) -> float | None:
    if one.n_star is None or best.n_star is None:
        return None
    return one.n_star / best.n_star


@dataclass(frozen=True)
class Dimension:
    """One axis: where each line crosses it, from 0 to 1, and its ticks as (place, label)."""

    name: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def dimensions(lines: Sequence[Tried]) -> list[Dimension]:
    """D and k where they vary, every setting, and n_star; what is not known crosses above 1."""
    names = dict.fromkeys(name for one in lines for name in one.tuned)
    columns: list[tuple[str, list[Any]]] = [
        (letter, [getattr(one, letter) for one in lines])
        for letter in ("d", "k")
        if len({getattr(one, letter) for one in lines}) > 1
    ]
    columns += [(name, [one.tuned.get(name, ABSENT) for one in lines]) for name in names]
    return [
        *(_dimension(name, values) for name, values in columns),
        _dimension("n*", [one.threshold.n_star for one in lines]),
    ]


def _dimension(name: str, values: Sequence[Any]) -> Dimension:
    known = [one for one in values if _is_number(one)]
    if not known or any(not _is_number(one) and one is not None for one in values):
        return _named(name, values)
    low, high = min(known), max(known)
    scale = math.log if low > 0 and high / low >= WIDE else float

    def place(value: float | None) -> float:
        if value is None:
            return 1.12
        if high == low:
            return 0.5
        return (scale(value) - scale(low)) / (scale(high) - scale(low))

    shown = sorted(set(known))
    if len(shown) > MOST_TICKS:
        shown = _even(low, high, scale is math.log)
    ticks = [(place(one), f"{one:.3g}") for one in shown]
    if None in values:
        ticks.append((place(None), NOWHERE))
    return Dimension(name, tuple(place(one) for one in values), tuple(ticks))


def _named(name: str, values: Sequence[Any]) -> Dimension:
    """An axis of words, in order of appearance from the bottom."""
    words = [NOWHERE if one is None else str(one) for one in values]
    kinds = sorted(set(words))
    step = 1 / max(len(kinds) - 1, 1)
    places = {kind: 0.5 if len(kinds) == 1 else index * step for index, kind in enumerate(kinds)}
    return Dimension(
        name, tuple(places[one] for one in words), tuple((places[one], one) for one in kinds)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _even(low: float, high: float, is_log: bool) -> list[float]:
    steps = [index / (MOST_TICKS - 1) for index in range(MOST_TICKS)]
    even = [low * (high / low) ** step if is_log else low + step * (high - low) for step in steps]
    # Ends as they are; between them two digits, which read better.
    return [low, *(float(f"{one:.2g}") for one in even[1:-1]), high]
