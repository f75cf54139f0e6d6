"""The mean of a number over trials, with its interval."""

import math
from collections.abc import Sequence

from scipy import stats

from orchestrator.inference.threshold import Interval


def mean_interval(values: Sequence[float], confidence: float) -> Interval:
    """The mean of at least two values with Student's interval, mean ± t s / sqrt(m).

    s is the standard deviation of the m values with m - 1 below, t the quantile of Student's
    distribution with m - 1 degrees of freedom. Where all are 0 or 1 the interval is that of Clopper
    and Pearson (1934), since equal values would leave Student's without width.
    """
    mean, tail = math.fsum(values) / len(values), (1.0 - confidence) / 2.0
    if set(values) <= {0.0, 1.0}:
        ones = stats.binomtest(round(math.fsum(values)), len(values))
        low, high = ones.proportion_ci(confidence, "exact")
        return Interval(mean, float(low), float(high))
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = float(stats.t.isf(tail, len(values) - 1)) * math.sqrt(spread / len(values))
    return Interval(mean, mean - half, mean + half)
