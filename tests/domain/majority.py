"""What the first gradient of a rectified linear unit must find of a parity, by quadrature."""

import math

import numpy as np
from scipy import integrate, optimize, stats


def majority_coefficient(d: int, level: int) -> float:
    """E[maj(x) x_1 ... x_level] for uniform signs in odd d, by counting negative coordinates."""
    total = 0.0
    for inside in range(level + 1):  # negative ones among the first `level`
        for outside in range(d - level + 1):
            sign = 1.0 if 2 * (inside + outside) < d else -1.0
            ways = math.comb(level, inside) * math.comb(d - level, outside)
            total += sign * (-1.0) ** inside * ways
    return total / 2.0**d


def recovery(d: int, k: int, n: float) -> float:
    """Chance that k independent |N(a, (1/2 - a^2)/n)| all exceed d - k independent |N(b, …)|."""
    a, b = majority_coefficient(d, k - 1) / 2, majority_coefficient(d, k + 1) / 2
    on = _Folded(abs(a), math.sqrt((0.5 - a**2) / n))
    off = _Folded(abs(b), math.sqrt((0.5 - b**2) / n))
    top = abs(a) + 12 * on.sd
    least = lambda t: k * on.pdf(t) * (1 - on.cdf(t)) ** (k - 1) * off.cdf(t) ** (d - k)
    grid = np.linspace(0.0, top, 4001)
    return float(integrate.simpson(least(grid), x=grid))


class _Folded:
    """|N(mean, sd^2)|."""

    def __init__(self, mean: float, sd: float) -> None:
        self.mean, self.sd = mean, sd

    def cdf(self, t: np.ndarray) -> np.ndarray:
        return stats.norm.cdf(t, self.mean, self.sd) - stats.norm.cdf(-t, self.mean, self.sd)

    def pdf(self, t: np.ndarray) -> np.ndarray:
        return stats.norm.pdf(t, self.mean, self.sd) + stats.norm.pdf(-t, self.mean, self.sd)


def examples_needed(d: int, k: int) -> float:
    """The n at which that chance is one half, not rounded."""
    short = lambda log_n: recovery(d, k, math.exp(log_n)) - 0.5
    return math.exp(optimize.brentq(short, math.log(3.0), math.log(1e9)))
