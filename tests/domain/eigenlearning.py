"""What kernel ridge regression will do on a parity, from the kernel's eigenvalues alone."""

import math

from scipy.optimize import brentq


def predicted_r_squared(d: int, n: float, k: int, ridge: float) -> float:
    """Expected R^2 of kernel ridge with K = exp(x.z/d) on a parity of k of d sign coordinates.

    The eigenvalue of the C(d, l) parities of l coordinates is cosh(1/d)^(d-l) sinh(1/d)^l. With
    kappa the root of sum_l C(d, l) L_l + ridge / kappa = n and L_l = lambda_l / (lambda_l + kappa),
    R^2 = 1 - E0 (1 - L_k)^2, where E0 = n / (n - sum_l C(d, l) L_l^2).

    Source: Simon, Dickens, Karkada & DeWeese (2023), "The eigenlearning framework",
    arXiv:2110.03922, equations 5 to 9.
    """
    levels = [
        (math.comb(d, level), math.cosh(1 / d) ** (d - level) * math.sinh(1 / d) ** level)
        for level in range(d + 1)
    ]

    def excess(log_kappa: float) -> float:
        kappa = math.exp(log_kappa)
        return sum(count * value / (value + kappa) for count, value in levels) + ridge / kappa - n

    kappa = math.exp(brentq(excess, -200.0, 50.0, xtol=1e-12))
    spent = sum(count * (value / (value + kappa)) ** 2 for count, value in levels)
    missed = kappa / (levels[k][1] + kappa)
    return 1.0 - n / (n - spent) * missed**2


def predicted_n_star(d: int, k: int, ridge: float, r_squared: float = 0.5) -> float:
    """The n at which the predicted R^2 reaches `r_squared`."""
    return brentq(
        lambda n: predicted_r_squared(d, n, k, ridge) - r_squared, 2.0, 0.999 * 2.0**d, xtol=1e-6
    )
