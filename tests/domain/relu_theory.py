"""What averaging reaches on an agnostic ReLU, as d grows with n / d fixed."""

import math

from scipy import optimize

MEAN = 1 / math.sqrt(2 * math.pi)
"""E max(0, z) for z ~ N(0, 1); E max(0, z)^2 is 1 / 2."""


def r_squared(cosine: float, fraction: float) -> float:
    """R^2 of the best multiple of max(0, <u, x>), <u, w> = cosine, on labels part of them parities.

    E max(0, <u, x>) max(0, <w, x>) is the arc-cosine kernel of degree 1: Cho & Saul (2009),
    "Kernel methods for deep learning", equation 6.
    """
    kernel = (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / (2 * math.pi)
    shared = (1 - fraction) * kernel + fraction * MEAN / 2
    mean = (1 - fraction) * MEAN + fraction / 2
    return 1 - (0.5 - 2 * shared**2) / (0.5 - mean**2)


def averaged(ratio: float, fraction: float) -> float:
    """R^2 of averaging at n / d = ratio."""
    return r_squared(1 / math.sqrt(1 + 2 / ((1 - fraction) ** 2 * ratio)), fraction)


def least_ratio(level: float, fraction: float) -> float:
    """The n / d at which that is `level`."""
    found = optimize.brentq(lambda ratio: averaged(ratio, fraction) - level, 0.01, 1e4)
    return float(found)
