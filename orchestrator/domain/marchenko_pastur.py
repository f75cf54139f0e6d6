"""Excess error of gradient flow on least squares, from the spectrum of random inputs.

The eigenvalues of X'X / d, X an n x d matrix of independent N(0, 1), have as d grows with
alpha = n / d fixed the density of Marchenko and Pastur,

    rho(l) = sqrt((l_+ - l)(l - l_-)) / (2 pi l) on [l_-, l_+], l_± = (sqrt(alpha) ± 1)^2,

and for alpha < 1 a point of mass 1 - alpha at 0.

Source: Marchenko & Pastur (1967), Math. USSR Sbornik 1(4); Advani, Saxe & Sompolinsky (2020),
"High-dimensional dynamics of generalization error in neural networks", Neural Networks 132,
section 2. Their P, N, SNR, INR and t / tau are our n, d, 1 / noise^2, initial^2 and time.
"""

import math

import numpy as np
from numpy.typing import NDArray

NODES = 4000
"""Nodes of the quadrature. The integrand is smooth and periodic in the angle, so the rule converges
geometrically but within about 1 / NODES of alpha = 1; chosen by hand."""


def spectrum(alpha: float, nodes: int = NODES) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and weights, each (nodes,), whose weighted sums are integrals over the density.

    The point of mass at 0 is left out, so the weights add up to min(1, alpha).
    """
    angle = (np.arange(nodes) + 0.5) * (np.pi / nodes)
    values = 1.0 + alpha + 2.0 * math.sqrt(alpha) * np.cos(angle)
    # dl = 2 sqrt(alpha) sin(angle), and so is the square root in the density.
    return values, 4.0 * alpha * np.sin(angle) ** 2 / (2.0 * np.pi * values) * (np.pi / nodes)


def excess_error(
    alpha: float, noise: float, time: float | None = None, initial: float = 0.0
) -> float:
    """E|w(t) - w|^2 for |w| = 1: the mean squared test error above noise^2, for inputs N(0, I).

    The integral over rho of (1 + initial^2) exp(-2 l t) + noise^2 (1 - exp(-l t))^2 / l. `time`
    None is the limit, where it is noise^2 / (alpha - 1) for alpha > 1 and
    (1 + initial^2)(1 - alpha) + noise^2 alpha / (1 - alpha) for alpha < 1, infinite at 1.
    """
    start = 1.0 + initial**2
    if time is None:
        if alpha == 1.0:
            return math.inf if noise > 0.0 else 0.0
        unseen = start * max(0.0, 1.0 - alpha)
        return unseen + noise**2 * min(1.0, alpha) / abs(1.0 - alpha)
    values, weights = spectrum(alpha)
    left = np.exp(-values * time)
    each = start * left**2 + noise**2 * (1.0 - left) ** 2 / values
    return float(weights @ each) + start * max(0.0, 1.0 - alpha)


def best_time(alpha: float, noise: float, initial: float = 0.0) -> float:
    """The time at which `excess_error` is least, by golden section over exp(-5) to exp(8).

    The mode of eigenvalue l alone is best stopped at log(1 + l (1 + initial^2) / noise^2) / l, a
    time that differs from mode to mode, so that one time for all is a compromise.
    """
    low, high = -5.0, 8.0  # natural logarithms of the time
    shrink = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(60):
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        at_left = excess_error(alpha, noise, math.exp(left), initial)
        if at_left < excess_error(alpha, noise, math.exp(right), initial):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2.0)
