"""The values of n that search tries: one global ladder, so that cells recur and trials are shared.

Every integer to 32, then round(32 * 2^(j/16)), about 4.4% apart. The fine
ladder has half that step: every integer to 64, then round(64 * 2^(j/32)); it contains the coarse
one. Where a transition is narrower than four rungs the rungs are all integers (`around`).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Rungs = NDArray[np.int64]

COARSE_END = 32
"""Last integer up to which every integer is a rung."""

RUNG = math.log(2) / 16
"""Spacing of the coarse ladder in nats."""

FINE_TOLERANCE = 0.02
"""A tolerance below this halves the step."""

MOST = 4096
"""Integers that are listed at most."""

NARROW_RUNGS = 4
"""A transition narrower than this many rungs makes every integer a rung."""


@lru_cache(maxsize=1024)
def rungs(low: int, high: int, fine: bool = False) -> Rungs:
    """The rungs n with low <= n <= high, ascending: int64, read-only; the nearest end when none
    lies between.

    The two ends are rungs too: a range is asked to its ends, and its ends decide whether a
    threshold lies outside it.
    """
    step = 32 if fine else 16
    start = 2 * COARSE_END if fine else COARSE_END
    top = max(0, math.ceil(step * math.log2(max(high, start) / start)) + 1)
    geometric = np.rint(start * 2.0 ** (np.arange(top + 1) / step)).astype(np.int64)
    ladder = np.concatenate([np.arange(1, start + 1), geometric, [low, high]])
    found = np.unique(ladder[(ladder >= low) & (ladder <= high)])
    found.setflags(write=False)
    return found


def around(low: int, high: int, start: float, end: float, *, fine: bool, every: bool) -> Rungs:
    """The rungs of [low, high] between `start` and `end` (in n), one more on each side.

    `every` asks for all integers instead of the ladder, or `MOST` of them spread evenly.
    """
    if every:
        first, last = max(low, math.floor(start)), min(high, math.ceil(end))
        clipped = np.clip([first, last], low, high)
        count = min(int(clipped[1] - clipped[0]) + 1, MOST)
        return np.unique(np.linspace(clipped[0], clipped[1], count).round().astype(np.int64))
    ladder = rungs(low, high, fine)
    first = max(0, int(np.searchsorted(ladder, start)) - 1)
    last = min(len(ladder), int(np.searchsorted(ladder, end, side="right")) + 1)
    return ladder[first : max(last, first + 1)]
