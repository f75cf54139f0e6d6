"""What more trials would bring: about how many would settle a threshold, or halve its interval.

Near the crossing one outcome at n = n_star tells of m = log n_star the Fisher information

    I = p'(m)^2 / (level * (1 - level)),    p' the slope of the success curve in log n,

whatever the link (the delta method, as for any quantile of a response curve; Finney 1971, Probit
Analysis, chapter 3), so r further trials bring the variance V of m to about 1 / (1/V + r E I). The
share E < 1 is what a search keeps that does not know the curve: its trials miss the crossing, tell
slope and lapses apart, and come in rounds. Where V is wide against the transition, outcomes first
bisect: about `BISECT` of them for every halving.

These are expectations of one number from a fitted curve, right to a factor of two or so (a test
holds them to that): enough to decide whether to go on, no more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from orchestrator.inference.best import best, is_settled
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.verdict import OWN_TRIALS, in_one_step

EFFICIENCY = 0.75
"""Share of a trial's information at the crossing that a search keeps. Measured over whole searches
with slopes 4 to 25 and lapses to 3%: half the predictions were within a factor 1.7 of the truth."""

BISECT = 3.0
"""Outcomes that halve a posterior much wider than the transition. Chosen by hand: one would do if
none were lost to luck, lapses and rounds."""

BRACKETED = 1.0
"""Standard deviations of log n_star, in widths of the transition, above which outcomes bisect."""

STEP = 0.1
"""Where the curve's slope is taken: this share of the n10-n90 range to either side of n_star."""


@dataclass(frozen=True)
class Prospect:
    """Where one threshold stands, and what more trials of its own would bring.

    `stands` is `settled`; `open`, when more trials would help; `gaps`, when it stays undecided
    because trials there get no answer; or `edge`, when it stays undecided so close to an end of
    its range that more trials hardly tell on which side it lies. `half_width` is that of the
    interval over n_star. `to_settle` and `to_halve` (the interval) are numbers of trials, None
    where they would not help or cannot be told, as where gaps widened the interval.
    """

    stands: Literal["settled", "open", "gaps", "edge"]
    half_width: float | None
    to_settle: int | None = None
    to_halve: int | None = None


def prospect(posteriors: Sequence[Posterior], i: int) -> Prospect:
    """The prospect of the i-th asked threshold; one posterior for each setting that was tuned."""
    answer = best(posteriors, i)
    one, tolerance = answer.threshold, posteriors[0].tolerance
    width = one.half_width
    to_halve = _together(posteriors, answer.contenders, i, 0.5)
    if one.low is not None and one.high is not None and in_one_step(one.low, one.high):
        to_halve = None  # success jumps between two integers: there is nothing inside
    if is_settled(posteriors, i, audited=False):
        if one.status == "undecided":
            return Prospect("gaps" if one.gaps else "edge", width)
        return Prospect("settled", width, 0, to_halve)
    share = tolerance / width if width and not one.widened else None
    return Prospect("open", width, _together(posteriors, answer.contenders, i, share), to_halve)


def _together(
    posteriors: Sequence[Posterior], contenders: Sequence[int], i: int, share: float | None
) -> int | None:
    """Trials that bring the interval to that share of its width, over all settings in question."""
    if share is None or not contenders:
        return None
    return sum(_trials(posteriors[place], i, share) for place in contenders)


def _trials(posterior: Posterior, i: int, share: float) -> int:
    """Trials of one setting that bring the i-th interval to `share` of its width; at least one."""
    own = posterior.threshold(i).trials
    lacking = max(1, OWN_TRIALS - own)
    tail = (1 - posterior.confidence) / 2
    ends = posterior.quantile(i, tail), posterior.quantile(i, 1 - tail)
    sd = (ends[1] - ends[0]) / 2 / float(ndtri(1 - tail))
    wanted, width = sd * share, _transition(posterior, i)
    bracketed = BRACKETED * width
    bisecting = BISECT * max(0.0, math.log2(sd / max(bracketed, wanted)))
    start = min(sd, bracketed)
    measuring = max(0.0, wanted**-2 - start**-2) / (EFFICIENCY * width**-2)
    return max(lacking, math.ceil(bisecting + measuring))


def _transition(posterior: Posterior, i: int) -> float:
    """Width of the transition in nats: standard deviation of m from one trial at the crossing."""
    middle = posterior.quantile(i, 0.5)
    low, high = posterior.spread(i)
    step = STEP * max(math.log(high / low), 1e-3)
    (below, above), _, _ = posterior.curve(i)([math.exp(middle - step), math.exp(middle + step)])
    slope = max(above - below, 1e-9) / (2 * step)
    level = posterior.marginals.level
    return math.sqrt(level * (1 - level)) / slope
