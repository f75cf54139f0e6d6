"""What the pictures draw, as plain numbers: print and screen draw the same series."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.stats import binomtest

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked

Letter = Literal["d", "k"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """Success rate of the answered trials at one n, with its Wilson interval."""

    n: float
    successes: int
    trials: int
    gaps: int
    rate: float
    low: float
    high: float


@lru_cache(maxsize=4096)
def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval for a success rate; it stays inside [0, 1] and has width at 0 and 1."""
    found = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def rates(found: FoundThreshold) -> list[Rate]:
    """One rate per n that has an answered trial, by n."""
    level = found.threshold.confidence
    return [
        Rate(
            one.n,
            one.successes,
            one.trials,
            one.gaps,
            one.successes / one.trials,
            *wilson(one.successes, one.trials, level),
        )
        for one in sorted(found.tallies, key=lambda tally: tally.n)
        if one.trials
    ]


POOL_WITHIN = 1.15
"""Widest pool, last n over first. Chosen by hand: narrow beside most transitions (n90/n10 of 1.1 to
2 in the systems measured), wide enough to gather the trials of a search in its last rounds."""
POOL_TRIALS = 8
"""Trials from which a pool is full. Chosen by hand: its 95 % interval is then about 0.6 wide."""
FEWEST_FOR_BAR = 4
"""Trials below which an interval says nothing (wider than 0.5 even at a rate of 0 or 1)."""


def pooled(found: FoundThreshold) -> list[Rate]:
    """Rates with neighbouring n pooled for the eye: a search tries many n, a few times each.

    A pool's n is the mean of its log n, weighted by trials. The fit never sees pools.
    """
    pools: list[list[Rate]] = []
    for one in rates(found):
        full = not pools or sum(member.trials for member in pools[-1]) >= POOL_TRIALS
        if full or one.n > POOL_WITHIN * pools[-1][0].n:
            pools.append([])
        pools[-1].append(one)
    return [_together(pool, found.threshold.confidence) for pool in pools]


def _together(pool: list[Rate], confidence: float) -> Rate:
    successes, trials = sum(one.successes for one in pool), sum(one.trials for one in pool)
    n = float(np.exp(np.average(np.log([one.n for one in pool]), weights=[o.trials for o in pool])))
    ends = wilson(successes, trials, confidence)
    return Rate(n, successes, trials, sum(one.gaps for one in pool), successes / trials, *ends)


def gaps(found: FoundThreshold) -> list[tuple[int, int]]:
    """(n, trials without an answer) where there are any, by n."""
    return sorted((tally.n, tally.gaps) for tally in found.tallies if tally.gaps)


@dataclass(frozen=True)
class Band:
    """A fitted success curve on a grid of n: median with its lower and upper end."""

    n: Floats
    median: Floats
    low: Floats
    high: Floats


def band(found: FoundThreshold, count: int = 160) -> Band | None:
    """The fitted curve over the n that were tried; None where nothing was."""
    tried = [tally.n for tally in found.tallies]
    if not tried:
        return None
    ends = [*tried, *(found.threshold.n10_n90 or ())]
    # A lone n still gets a curve: half and twice as much on either side.
    low, high = (min(ends), max(ends)) if min(ends) < max(ends) else (ends[0] / 2, ends[0] * 2)
    n = np.geomspace(low, high, count)
    median, below, above = (np.asarray(one, dtype=float) for one in found.curve(n.tolist()))
    return Band(n, median, below, above)


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
