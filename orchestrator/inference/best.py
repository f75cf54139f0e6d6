"""The least of several thresholds: what a learner needs at its best setting.

At one (d, k) let t_h be log n_star under setting h, each known from trials of its own, and M the
least of them. The interval of M must bear that the best was picked by looking at the same data: of
several near-equal settings, the one that looks best mostly looks better than it is.

    low  = least of the settings' low ends, each at (1 - confidence) / 2
    high = least of the settings' high ends, each at (1 - confidence) / 2 / contenders

Low end: M = t_b for the setting b that is truly best, so M < low implies t_b < low_b, one event;
however many settings were tried, no correction is due (Berger's intersection-union argument: Berger
1982, Technometrics 24:295). High end: M > high implies that some setting exceeds its own high end,
a union, so its chance is shared out (Bonferroni) among the contenders, those settings whose
interval reaches below the best one's. Nothing is assumed of how settings depend on each other. The
posterior of the minimum under independent priors would not do: of five equal settings it covered
the truth in well under 95% of cases, because it takes ties for impossible.

A setting that was tried little has a low end far down and holds the interval open until it is shown
to be worse; settings without a sharp or monotone threshold do not take part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Status, Threshold
from orchestrator.inference.verdict import in_one_step

BARRED = ("not_sharp", "not_monotone")
"""Findings that leave a setting without a threshold to compare."""


@dataclass(frozen=True)
class Best:
    """The answer for the best of several settings: `threshold`, with an interval of the least one.

    Its n_star, trials, gaps and n at 10% and 90% are those of the chosen setting, `chosen` its
    place; `contenders` are the places of the settings that may be the best.
    """

    threshold: Threshold
    chosen: int
    contenders: tuple[int, ...]


def best(posteriors: Sequence[Posterior], i: int) -> Best:
    """The best setting for the i-th asked threshold; one posterior per setting, equally asked."""
    found = [posterior.threshold(i) for posterior in posteriors]
    if len(found) == 1:
        return Best(found[0], 0, (0,))
    entered = [h for h, one in enumerate(found) if one.status not in BARRED]
    below = [h for h in entered if found[h].status == "below_range"]
    if below:
        return _below(posteriors, i, found, entered, below)
    located = [h for h in entered if found[h].status == "found"] or [
        h for h in entered if found[h].status == "undecided" and found[h].trials
    ]
    if located:
        return _located(posteriors, i, found, entered, located)
    if entered and all(found[h].status == "above_range" for h in entered):
        chosen = min(entered, key=lambda h: found[h].low or 0.0)
        return Best(found[chosen], chosen, tuple(entered))
    chosen = max(range(len(found)), key=lambda h: found[h].trials)
    undecided = replace(found[chosen], status="undecided", n_star=None, low=None, high=None)
    return Best(undecided if entered else found[chosen], chosen, tuple(entered))


def is_settled(posteriors: Sequence[Posterior], i: int, *, audited: bool = True) -> bool:
    """Whether the best is known to the tolerance, and needs no more trials of any setting; unless
    `audited`, a lone setting may owe looks away from its crossing.

    With several settings it does not wait for looks away from the crossing (`audit`): a fall of one
    setting is no fall of the best.
    """
    if len(posteriors) == 1:
        return posteriors[0].settled(i, audited=audited)
    answer = best(posteriors, i)
    if not posteriors[answer.chosen].settled(i, audited=False):
        return False
    one = answer.threshold
    if one.n_star is None or one.low is None or one.high is None:
        return one.status != "undecided"
    wide = one.high - one.low > 2 * posteriors[answer.chosen].tolerance * one.n_star
    return not wide or in_one_step(one.low, one.high)


def _below(
    posteriors: Sequence[Posterior],
    i: int,
    found: Sequence[Threshold],
    entered: Sequence[int],
    below: Sequence[int],
) -> Best:
    """Below the range, if that holds for one setting however many were looked at (Bonferroni)."""
    doubt = (1 - posteriors[0].confidence) / len(entered)
    highs = {h: math.exp(posteriors[h].quantile(i, 1 - doubt)) for h in below}
    chosen = min(below, key=lambda h: highs[h])
    is_sure = highs[chosen] <= posteriors[chosen].asked[i].low
    status: Status = "below_range" if is_sure else "undecided"
    answer = replace(found[chosen], status=status, high=highs[chosen])
    return Best(answer, chosen, tuple(below) if is_sure else tuple(entered))


def _located(
    posteriors: Sequence[Posterior],
    i: int,
    found: Sequence[Threshold],
    entered: Sequence[int],
    located: Sequence[int],
) -> Best:
    """The best of those that were located, held open by all that entered."""
    tail = (1 - posteriors[0].confidence) / 2
    chosen = min(located, key=lambda h: found[h].n_star or math.inf)
    lows = {h: low_end(posteriors[h], i, found[h], tail) for h in entered}
    bound = found[chosen].high or math.inf
    contenders = [h for h in entered if h == chosen or lows[h] < bound]
    highs = [high_end(posteriors[h], i, found[h], tail / len(contenders)) for h in contenders]
    low, high = min(lows.values()), min(highs)
    one = found[chosen]
    held_open = low < min(posteriors[chosen].asked[i].low, one.low or math.inf)
    n_star = min(max(one.n_star or low, low), high)
    answer = replace(
        one,
        status="undecided" if held_open else one.status,
        n_star=n_star,
        low=low,
        high=high,
        widened=any(found[h].widened for h in contenders),
    )
    return Best(answer, chosen, tuple(contenders))


def low_end(posterior: Posterior, i: int, found: Threshold, tail: float) -> float:
    """The n above which the threshold lies but for probability `tail`."""
    if found.status in ("found", "undecided") and found.low is not None:
        return found.low
    return math.exp(posterior.quantile(i, tail))


def high_end(posterior: Posterior, i: int, found: Threshold, tail: float) -> float:
    """The n below which the threshold lies but for probability `tail`; gaps may raise it."""
    high = math.exp(posterior.quantile(i, 1 - tail))
    return high if found.high is None else max(high, found.high)
