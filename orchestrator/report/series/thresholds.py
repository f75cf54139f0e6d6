"""Thresholds as marks, the lines they lie on, laws and theory along those lines."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked
from orchestrator.report.series.rates import Floats

Letter = Literal["d", "k"]


@dataclass(frozen=True)
class Mark:
    """A threshold as a mark: `value` with its interval, or only a bound, or nothing known."""

    kind: Literal["value", "above", "below", "between", "unknown"]
    value: float | None
    low: float | None
    high: float | None
    settled: bool


def mark(found: FoundThreshold, divisor: float = 1.0) -> Mark:
    """How to draw the threshold, in units of `divisor`."""
    value, low, high = (
        None if one is None else one / divisor
        for one in (found.threshold.n_star, found.threshold.low, found.threshold.high)
    )
    settled = found.threshold.status == "found"
    if value is not None:
        return Mark("value", value, low, high, settled)
    if low is not None and high is not None:
        return Mark("between", None, low, high, settled)
    if low is not None:
        return Mark("above", None, low, None, settled)
    if high is not None:
        return Mark("below", None, None, high, settled)
    return Mark("unknown", None, None, None, settled)


MOST_SHOWN = 24
"""Thresholds of an arm that get a curve or a strip of their own; beyond, eyes and legends fail. By
hand."""


def shown(arm: ArmAnswer) -> list[FoundThreshold]:
    """The arm's thresholds, or so many of them, evenly spread, as a picture has room for."""
    count = len(arm.thresholds)
    if count <= MOST_SHOWN:
        return list(arm.thresholds)
    last = MOST_SHOWN - 1
    return [arm.thresholds[round(step * (count - 1) / last)] for step in range(MOST_SHOWN)]


def letters(answer: Answer) -> list[Letter]:
    """Which of d and k vary over the asked thresholds; d when neither does."""
    asked = [found.asked for arm in answer.arms for found in arm.thresholds]
    varying: list[Letter] = []
    if len({one.d for one in asked}) > 1:
        varying.append("d")
    if len({one.k for one in asked}) > 1:
        varying.append("k")
    return varying or ["d"]


@dataclass(frozen=True)
class Line:
    """Thresholds that belong on one line of a picture, in order along its axis.

    `name` says what they share ("k = 2"), or is empty where there is one line only.
    """

    name: str
    thresholds: tuple[FoundThreshold, ...]


def lines(arm: ArmAnswer, along: Letter) -> list[Line]:
    """The arm's thresholds as lines along d (of like k) or along k (of equal d).

    Along d, like k means equal k, equal k/d, or equal rank of k at its d, whichever leaves fewest
    lines: files fix k, or tie it to d, in all three ways.
    """
    if along == "k":
        return _grouped(arm, along, lambda asked: f"d = {asked.d}")
    ranks = _ranks(arm)
    ways: Sequence[Callable[[Asked], str]] = (
        lambda asked: f"k = {asked.k}",
        lambda asked: f"k/d = {asked.k / asked.d:.3g}",
        lambda asked: "" if len(set(ranks.values())) == 1 else f"k no. {ranks[asked]}",
    )
    return min((_grouped(arm, along, way) for way in ways), key=len)


def _ranks(arm: ArmAnswer) -> dict[Asked, int]:
    at: dict[int, list[int]] = defaultdict(list)
    for found in arm.thresholds:
        at[found.asked.d].append(found.asked.k)
    return {
        found.asked: sorted(at[found.asked.d]).index(found.asked.k) + 1 for found in arm.thresholds
    }


def _grouped(arm: ArmAnswer, along: Letter, way: Callable[[Asked], str]) -> list[Line]:
    groups: dict[str, list[FoundThreshold]] = defaultdict(list)
    for found in sorted(arm.thresholds, key=lambda one: (one.asked.k, one.asked.d)):
        groups[way(found.asked)].append(found)
    return [
        Line(name, tuple(sorted(group, key=lambda one: getattr(one.asked, along))))
        for name, group in groups.items()
    ]


def fitted(arm: ArmAnswer, found: FoundThreshold) -> float | None:
    """n_star as the law has it, from its residual; None where the law did not use it."""
    residual = arm.law.residuals.get((found.asked.d, found.asked.k)) if arm.law else None
    if residual is None or found.threshold.n_star is None:
        return None
    return float(found.threshold.n_star * np.exp(-residual))


def smooth(x: Sequence[float], y: Sequence[float], count: int = 80) -> tuple[Floats, Floats]:
    """A monotone curve through points of a law, straight for a power law in log-log.

    The law's values are known exactly at the thresholds it used; between them this interpolates,
    and it never extrapolates.
    """
    at, value = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    if len(at) < 2:
        return np.exp(at), np.exp(value)
    grid = np.linspace(at[0], at[-1], count)
    return np.exp(grid), np.exp(PchipInterpolator(at, value)(grid))


def law_curve(arm: ArmAnswer, line: Line, along: Letter) -> tuple[Floats, Floats] | None:
    """The fitted law along a line, in units of n; None with fewer than two points."""
    known = {
        float(getattr(found.asked, along)): value
        for found in line.thresholds
        if (value := fitted(arm, found)) is not None
    }
    return smooth(list(known), list(known.values())) if len(known) > 1 else None


def theory_points(
    line: Iterable[FoundThreshold], x: Callable[[Asked], float], y: Callable[[Asked], float]
) -> tuple[list[float], list[float]]:
    """Theory along a line: x, and n_star divided by `y`, where theory says something."""
    known = [(x(one.asked), one.theory / y(one.asked)) for one in line if one.theory is not None]
    return [at for at, _ in known], [value for _, value in known]


def theory_name(arms: Iterable[ArmAnswer]) -> str:
    """`theory (exact)`, or all kinds that stand beside thresholds."""
    kinds = dict.fromkeys(
        found.theory_kind
        for arm in arms
        for found in arm.thresholds
        if found.theory is not None and found.theory_kind
    )
    return f"theory ({', '.join(kinds)})" if kinds else "theory"
