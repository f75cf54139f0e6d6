"""Looks away from the crossing, so that success that falls again is not missed.

Soon nearly all trials of a threshold lie at its crossing, and a fall elsewhere (double descent near
n = d, say) would go unseen. A few single trials, spaced evenly in log n on both sides,
look for outcomes against the curve, or against "below the range" and "above" it; where one is
found, it is tried again until it is either a lapse or a fall (`monotone`). One look is at n = d
itself: there a linear model begins to fit its examples, and with noise its error has a peak too
narrow for looks that are evenly spaced (Advani, Saxe & Sompolinsky 2020, section 2).
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.inference.ladder import rungs
from orchestrator.inference.threshold import Tally

if TYPE_CHECKING:
    from orchestrator.inference.posterior import Posterior

FIRST, STEP, LAST = 0.7, 1.0, 3.0
"""Looks lie this many nats beyond the n of 90% success, then so far apart, and no further than
that; likewise below the n of 10%. A fall as wide as the steps is seen. Chosen by hand."""

NEAR = 0.4
"""A trial this close in nats stands for a look. Chosen by hand."""

AT_D = 0.05
"""A trial this close in nats to n = d stands for the look there. Chosen by hand."""

FIRM = 8
"""Trials at a point that contradicts the curve before it is left alone: all eight against it are a
fall with probability over 0.95. Chosen by hand."""


DUE = 30
"""Trials of its own after which a cell is looked at though its interval is wide still: looks cost
a fifth of them at most. Chosen by hand."""


def is_due(posterior: "Posterior", i: int) -> bool:
    """Whether the i-th threshold has trials enough for looks to cost little."""
    return sum(tally.trials for tally in posterior.own(i)) >= DUE


def looks(posterior: "Posterior", i: int) -> list[tuple[int, int]]:
    """(n, repeats) that the i-th threshold still owes before its curve is taken for monotone."""
    ask = posterior.asked[i]
    own = posterior.own(i)
    n10, n90 = posterior.spread(i)
    n10, n90 = min(n10, float(ask.high)), max(n90, float(ask.low))  # beyond the range none look
    owed = {t.n: FIRM - t.trials - t.gaps for t in own if _contradicts(t, n10, n90)}
    tested = np.log([t.n for t in own])
    for n in _places(ask.low, ask.high, n10, n90):
        if not (np.abs(tested - math.log(n)) <= NEAR).any():
            owed[n] = 1
    away = math.exp(NEAR / 2)
    if ask.low <= ask.d <= ask.high and (ask.d > n90 * away or ask.d < n10 / away):
        n = _rung(ask.low, ask.high, ask.d)
        if not (np.abs(tested - math.log(n)) <= AT_D).any():
            owed[n] = 1
    return sorted((n, count) for n, count in owed.items() if count > 0)


def _contradicts(tally: Tally, n10: float, n90: float) -> bool:
    """Whether half the outcomes or more, away from the crossing, are not what the curve says."""
    away = math.exp(NEAR / 2)
    if tally.n > n90 * away:
        return 2 * tally.successes <= tally.trials and tally.trials > 0
    return tally.n < n10 / away and 2 * tally.successes >= tally.trials > 0


def _places(low: int, high: int, n10: float, n90: float) -> list[int]:
    """Rungs at which to look, above and below, inside the range."""
    offsets = np.arange(FIRST, LAST, STEP)
    wanted = np.concatenate([n90 * np.exp(offsets), n10 * np.exp(-offsets)])
    return sorted({_rung(low, high, n) for n in wanted if low <= n <= high})


def _rung(low: int, high: int, n: float) -> int:
    """The step of the range's ladder nearest to n."""
    ladder = rungs(low, high)
    return int(ladder[np.abs(ladder - n).argmin()])
