"""Two arms side by side: ratios of thresholds and differences of apparent exponents.

Arms are trained apart, on concepts and data of their own, so their errors are independent.
"""

import math
from collections.abc import Sequence

from orchestrator.inference.threshold import Interval, Law, Threshold


def ratios(
    first: Sequence[Threshold], second: Sequence[Threshold]
) -> tuple[tuple[int, int, float, float, float], ...]:
    """(d, k, ratio, low, high) of n_star, first over second, where both are found."""
    theirs = {(one.d, one.k): one for one in second}
    found = []
    for one in first:
        ratio = _ratio(one, theirs.get((one.d, one.k)))
        if ratio:
            found.append((one.d, one.k, ratio.value, ratio.low, ratio.high))
    return tuple(found)


def exponent_gaps(
    first: Law | None, second: Law | None
) -> tuple[tuple[str, float, float, float], ...]:
    """(letter, gap, low, high) of exponents that both laws have, first minus second.

    The laws are of one family. Each exponent's interval comes from its law's whole fit, scatter
    about the law included, so that a gap is not called clear on the strength of correlated errors.
    """
    if first is None or second is None:
        return ()
    gaps = []
    for letter in sorted(first.exponents.keys() & second.exponents.keys()):
        gap = difference(first.exponents[letter], second.exponents[letter])
        gaps.append((letter, gap.value, gap.low, gap.high))
    return tuple(gaps)


def difference(a: Interval, b: Interval) -> Interval:
    """First minus second of independent estimates: half-widths towards each side add in squares.

    Keeps the skew of either interval. Source: Zou & Donner (2008), "Construction of confidence
    limits about effect measures", Statistics in Medicine 27:1693 (the MOVER).
    """
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value, low, high)


def _ratio(first: Threshold, second: Threshold | None) -> Interval | None:
    """n_star over n_star; None unless both are found."""
    logs = [_log_interval(one) for one in (first, second) if one and one.status == "found"]
    if len(logs) < 2:
        return None
    gap = difference(*logs)
    return Interval(math.exp(gap.value), math.exp(gap.low), math.exp(gap.high))


def _log_interval(one: Threshold) -> Interval:
    ends = [end for end in (one.n_star, one.low, one.high) if end is not None]
    return Interval(*(math.log(end) for end in ends))
