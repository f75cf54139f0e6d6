"""What was seen at each n, and the curve fitted to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from orchestrator.answer import Answer, FoundThreshold

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


MOST_MARKS = 1_200
"""Marks of one picture beyond which neighbouring n are drawn as one. Chosen by hand: a phone draws
as many at once, and ten such pictures are 1 MB of page."""
FEWEST_MARKS = 8
"""Marks that each threshold keeps however many there are: a curve cannot be told from fewer."""


def room(answer: Answer) -> int:
    """Marks that each threshold of a picture may have."""
    thresholds = sum(len(arm.thresholds) for arm in answer.arms)
    return max(FEWEST_MARKS, MOST_MARKS // max(thresholds, 1))


MOST_POOLS = 24
"""Pools of one threshold: several curves share a panel, and every pool has a bar. By hand."""


def few(answer: Answer) -> int:
    """Pools that each threshold of a picture may have."""
    return min(MOST_POOLS, room(answer))


def gathered(found: FoundThreshold, most: int) -> list[Rate]:
    """One rate per n tried; where those are more than `most`, equally many neighbours together."""
    return _few(rates(found), most, found.threshold.confidence)


def _few(single: list[Rate], most: int, confidence: float) -> list[Rate]:
    if len(single) <= most:
        return single
    ends = [round(part * len(single) / most) for part in range(most + 1)]
    return [_together(single[a:b], confidence) for a, b in pairwise(ends)]


POOL_WITHIN = 1.15
"""Widest pool, last n over first. Chosen by hand: narrow beside most transitions (n90/n10 of 1.1 to
2 in the systems measured), wide enough to gather the trials of a search in its last rounds."""
POOL_TRIALS = 8
"""Trials from which a pool is full. Chosen by hand: its 95 % interval is then about 0.6 wide."""
FEWEST_FOR_BAR = 4
"""Trials below which an interval says nothing (wider than 0.5 even at a rate of 0 or 1)."""


def pooled(found: FoundThreshold, most: int = MOST_MARKS) -> list[Rate]:
    """Rates with neighbouring n pooled for the eye: a search tries many n, a few times each.

    A pool's n is the mean of its log n, weighted by trials. The fit never sees pools.
    """
    pools: list[list[Rate]] = []
    for one in rates(found):
        full = not pools or sum(member.trials for member in pools[-1]) >= POOL_TRIALS
        if full or one.n > POOL_WITHIN * pools[-1][0].n:
            pools.append([])
        pools[-1].append(one)
    confidence = found.threshold.confidence
    return _few([_together(pool, confidence) for pool in pools], most, confidence)


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


def band(found: FoundThreshold, count: int = 100) -> Band | None:
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
class Collapsed:
    """A threshold's rates and curve on the axis n / n_star, where all thresholds meet at 1."""

    found: FoundThreshold
    points: tuple[Rate, ...]
    curve: Band


def collapsed(found: FoundThreshold, most: int = MOST_POOLS) -> Collapsed | None:
    """None where n_star is not known, or nothing was tried."""
    n_star, fit = found.threshold.n_star, band(found, 80)
    if n_star is None or fit is None:
        return None
    points = tuple(replace(one, n=one.n / n_star) for one in pooled(found, most))
    return Collapsed(found, points, replace(fit, n=fit.n / n_star))


VIEW = 3.0
"""How far a view of collapsed curves reaches, in distances from n_star to the n at 10% and at 90%,
in log n. By hand: at 3 of them a logistic curve is within 0.2% of its end."""


def reach(shown: Sequence[Collapsed]) -> tuple[float, float]:
    """The stretch of n / n_star in which success rises, no wider than what was tried."""
    lows, highs = [], []
    for one in shown:
        n_star, ends = one.found.threshold.n_star or 1.0, one.found.threshold.n10_n90
        tried = [point.n for point in one.points] or [1.0]
        below, above = (end / n_star for end in ends) if ends else (min(tried), max(tried))
        lows.append(max(min(tried), below**VIEW))
        highs.append(min(max(tried), above**VIEW))
    low, high = min(lows, default=0.5), max(highs, default=2.0)
    return min(low, 0.8), max(high, 1.25)
