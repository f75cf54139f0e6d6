"""Honest answers: the status of a threshold, its interval, and whether it is settled.

`below_range` and `above_range` say that success at the range's low end already reaches the level,
or at its high end does not yet, with probability at least `confidence`; `not_sharp` that the slope
is under `GENTLE`; `not_monotone` that success falls again (`monotone`). `found` needs a trial of
its own and at least `confidence` of its probability inside the range; everything else is
`undecided`, with what is known so far, if only from other cells.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.inference.audit import looks
from orchestrator.inference.monotone import chance_of_a_fall
from orchestrator.inference.threshold import Status, Threshold

if TYPE_CHECKING:
    from orchestrator.inference.posterior import Posterior

GENTLE = 0.5
"""A slope below this climbs from 10% to 90% success over a factor of more than 6,500 in n: no
threshold anyone would quote. Chosen by hand."""

OUTSIDE: tuple[Status, ...] = ("below_range", "above_range")
"""What a threshold is said to be that does not lie in its range of n."""

OWN_TRIALS = 8
"""Answered trials a cell needs before it is settled, whatever its neighbours say. By hand."""

GAPS_ALLOWED = 0.1
"""Share of gaps inside the transition above which a threshold is undecided."""


def judged(posterior: "Posterior", i: int) -> Threshold:
    """The i-th asked threshold with its status and interval, in the units of n."""
    ask, sure = posterior.asked[i], posterior.confidence
    own = posterior.own(i)
    trials, gaps = sum(t.trials for t in own), sum(t.gaps for t in own)
    answer = Threshold(ask.d, ask.k, "undecided", None, None, None, sure, trials, gaps)
    if not posterior.tallies:
        return answer
    status = _odd(posterior, i)
    if status == "below_range":
        return replace(answer, status=status, high=math.exp(posterior.quantile(i, sure)))
    if status == "above_range":
        return replace(answer, status=status, low=math.exp(posterior.quantile(i, 1 - sure)))
    if status == "not_sharp":
        return replace(answer, status=status, n10_n90=posterior.spread(i))
    return replace(answer, status=status) if status else _located(posterior, i, answer)


def _odd(posterior: "Posterior", i: int) -> Status | None:
    """What keeps the i-th threshold from being found, if the outcomes of its own cell show it."""
    ask, own, sure = posterior.asked[i], posterior.own(i), posterior.confidence
    if not any(tally.trials for tally in own):
        return None
    if chance_of_a_fall(own) >= sure:
        return "not_monotone"
    if posterior.below(i, math.log(ask.low)) >= sure:
        return "below_range"
    if 1 - posterior.below(i, math.log(ask.high)) >= sure:
        return "above_range"
    return "not_sharp" if posterior.gentler(i, math.log(GENTLE)) >= sure else None


def _located(posterior: "Posterior", i: int, answer: Threshold) -> Threshold:
    """The answer with its interval: found where it lies in the range on the cell's own word."""
    n_star, low, high = interval(posterior, i)
    spread = posterior.spread(i)
    widened = (low, high) != _without_gaps(posterior, i)[1:]
    answer = replace(answer, n_star=n_star, low=low, high=high, n10_n90=spread, widened=widened)
    ask = posterior.asked[i]
    outside = posterior.below(i, math.log(ask.low)) + 1 - posterior.below(i, math.log(ask.high))
    narrow = _is_narrow(posterior, n_star, low, high)
    inside = outside <= 1 - posterior.confidence or (narrow and ask.low <= n_star <= ask.high)
    answered = _gap_share(posterior, i, spread) <= GAPS_ALLOWED
    return replace(answer, status="found") if answer.trials and inside and answered else answer


def is_settled(posterior: "Posterior", i: int, *, audited: bool = True) -> bool:
    """Whether more trials of the i-th threshold are not needed, or would not help.

    A narrow one, or one outside its range, is settled once falls have been looked for elsewhere
    (`audit`), unless `audited` is False. A threshold undecided only because too many of its trials
    are gaps is left alone once its interval is narrow, or once gaps outnumber answers: asking again
    would make more gaps.
    """
    own = posterior.own(i)
    trials, gaps = sum(t.trials for t in own), sum(t.gaps for t in own)
    if gaps > max(trials, 2 * OWN_TRIALS):
        return True
    if trials < OWN_TRIALS:
        return False
    status = _odd(posterior, i)
    if status in ("not_sharp", "not_monotone"):
        return True
    known = status in OUTSIDE or is_narrow(posterior, i)
    return known and not (audited and looks(posterior, i))


def is_outside(posterior: "Posterior", i: int) -> bool:
    """Whether the i-th threshold lies below its range of n, or above it."""
    return _odd(posterior, i) in OUTSIDE


def is_narrow(posterior: "Posterior", i: int) -> bool:
    """Whether the interval meets the tolerance, or lies within one integer step."""
    return _is_narrow(posterior, *interval(posterior, i))


def _is_narrow(posterior: "Posterior", n_star: float, low: float, high: float) -> bool:
    return high - low <= 2 * posterior.tolerance * n_star or in_one_step(low, high)


def in_one_step(low: float, high: float) -> bool:
    """Whether some [a, a + 1] between integers contains [low, high]."""
    return high <= math.floor(low) + 1


def interval(posterior: "Posterior", i: int) -> tuple[float, float, float]:
    """n_star with its ends; refits with gaps filled in that leave the interval widen it."""
    n_star, low, high = _without_gaps(posterior, i)
    if posterior.with_gaps_filled is not None:
        filled = [math.exp(x) for x in posterior.with_gaps_filled[:, i]]
        low, high = min([low, *filled]), max([high, *filled])
    return n_star, low, high


def _without_gaps(posterior: "Posterior", i: int) -> tuple[float, float, float]:
    """n_star with its ends: quantiles, or one integer step where that holds enough mass."""
    tail = (1 - posterior.confidence) / 2
    n_star, low, high = (math.exp(posterior.quantile(i, share)) for share in (0.5, tail, 1 - tail))
    step = math.ceil(n_star) - 1
    inside = posterior.below(i, math.log(step + 1)) - posterior.below(i, math.log(max(step, 0.5)))
    wide = high - low > 2 * posterior.tolerance * n_star
    if wide and inside >= posterior.confidence:
        low, high = max(float(step), 0.5), float(step + 1)
    return n_star, low, high


def _gap_share(posterior: "Posterior", i: int, spread: tuple[float, float]) -> float:
    """Share of gaps among the trials between 10% and 90% success."""
    low, high = math.floor(spread[0]), math.ceil(spread[1])
    inside = [t for t in posterior.own(i) if low <= t.n <= high]
    gaps = sum(t.gaps for t in inside)
    return gaps / max(1, gaps + sum(t.trials for t in inside))
