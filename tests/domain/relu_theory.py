"""What averaging reaches on an agnostic ReLU, as d grows with n / d fixed."""

import math

import numpy as np
from scipy import optimize

MEAN = 1 / math.sqrt(2 * math.pi)
"""E max(0, z) for z ~ N(0, 1); E max(0, z)^2 is 1 / 2."""

DRAWS = 400_000
"""Of the expectations that have no closed form: their error is 0.002. Chosen by hand."""


def averaged(ratio: float, fraction: float) -> float:
    """R^2 of averaging at n / d = ratio, on labels part of them parities.

    E max(0, <u, x>) max(0, <w, x>) at cosine <u, w> is the arc-cosine kernel of degree 1: Cho &
    Saul (2009), "Kernel methods for deep learning", equation 6.
    """
    cosine = 1 / math.sqrt(1 + 2 / ((1 - fraction) ** 2 * ratio))
    kernel = (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / (2 * math.pi)
    shared = (1 - fraction) * kernel + fraction * MEAN / 2
    scale = fitted_scale(ratio, fraction, cosine)
    mean = (1 - fraction) * MEAN + fraction / 2
    return 1 - (0.5 - 2 * scale * shared + scale**2 / 2) / (0.5 - mean**2)


def fitted_scale(ratio: float, fraction: float, cosine: float) -> float:
    """The scale fitted to the examples that made the direction.

    An example's own part in the mean of y x, of length L, adds y |x|^2 / (n L) = y (d / n) / L to
    its score, so that the fit takes the unit for better than it is.
    """
    length = math.sqrt(((1 - fraction) / 2) ** 2 + 0.5 / ratio)
    rng = np.random.default_rng(0)
    along, across = rng.normal(size=(2, DRAWS))
    parity = rng.random(DRAWS) < 0.5
    y = np.where(rng.random(DRAWS) < fraction, parity, np.maximum(along, 0))
    score = cosine * along + math.sqrt(1 - cosine**2) * across + y / (ratio * length)
    r = np.maximum(score, 0)
    return float((y * r).mean() / (r**2).mean())


def least_ratio(level: float, fraction: float) -> float:
    """The n / d at which that is `level`."""
    found = optimize.brentq(lambda ratio: averaged(ratio, fraction) - level, 0.5, 1e3, rtol=1e-4)
    return float(found)
