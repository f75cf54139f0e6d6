"""Hermite polynomials of a normal variable, and what landscape smoothing makes of them.

h_p = He_p / sqrt(p!) are orthonormal under N(0, 1): h_0 = 1, h_1 = u, h_2 = (u^2 - 1) / sqrt 2.
They are computed from sums, products and quotients alone, which have the same bits wherever in a
tensor a number stands.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.polynomial import hermite_e

Terms = dict[tuple[int, int], float]
"""A polynomial in u and s: the coefficient of u^i s^m by (i, m)."""


def hermite(degree: int, u: torch.Tensor) -> torch.Tensor:
    """h_degree of every number, by h_{j+1} = (u h_j - sqrt(j) h_{j-1}) / sqrt(j + 1)."""
    before, now = torch.zeros_like(u), torch.ones_like(u)
    for j in range(degree):
        before, now = now, (u * now - before * math.sqrt(j)) / math.sqrt(j + 1)
    return now


def hermite_series(coefficients: Sequence[float], u: torch.Tensor) -> torch.Tensor:
    """sum_p coefficients[p] h_p(u), of every number."""
    total = torch.zeros_like(u)
    for degree, coefficient in enumerate(coefficients):
        if coefficient:
            total = total + hermite(degree, u) * coefficient
    return total


def smoothed(degree: int, squared_reach: float, d: int) -> Terms:
    """The mean of h_degree((u + l r z) / sqrt(1 + l^2)) over z, as a polynomial in u and s = r^2.

    z is a coordinate of a uniform point on the unit sphere of R^(d-1) and l^2 is `squared_reach`.
    For w and x with |w| = 1, u = <w, x> and s = |x|^2 - u^2 it is the mean of
    h(<w', x>) over w' = (w + l v) / sqrt(1 + l^2), v uniform on the unit sphere orthogonal to w.

    Source: Damian, Nichani, Ge & Lee (2023), "Smoothing the landscape boosts the signal for SGD:
    optimal sample complexity for learning single index models", arXiv:2305.10633.
    """
    powers = hermite_e.herme2poly([0.0] * degree + [1.0]) / math.sqrt(math.factorial(degree))
    terms: Terms = {}
    for j, coefficient in enumerate(powers):
        for m in range(j // 2 + 1):
            share = coefficient * math.comb(j, 2 * m) * squared_reach**m * _even_moment(m, d - 1)
            place = (j - 2 * m, m)
            terms[place] = terms.get(place, 0.0) + share * (1.0 + squared_reach) ** (-j / 2)
    return {place: float(value) for place, value in terms.items() if value}


def _even_moment(m: int, d: int) -> float:
    """E z^(2m) for a coordinate z of a uniform point on the unit sphere of R^d."""
    return float(np.prod([(2 * i + 1) / max(d + 2 * i, 1) for i in range(m)]))


def slope_along_u(terms: Terms) -> Terms:
    """The derivative in u where s = |x|^2 - u^2 moves with u and |x| does not."""
    slope: Terms = {}
    for (i, m), value in terms.items():
        for place, share in (((i - 1, m), i * value), ((i + 1, m - 1), -2.0 * m * value)):
            if share:
                slope[place] = slope.get(place, 0.0) + share
    return slope


def evaluated(terms: Terms, u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    """The polynomial at u and s, tensors of one shape, by Horner's rule in both."""
    in_s: list[torch.Tensor | float] = []
    for m in range(max((m for _, m in terms), default=0), -1, -1):
        powers = {i: value for (i, own), value in terms.items() if own == m}
        in_u = [powers.get(i, 0.0) for i in range(max(powers, default=0), -1, -1)]
        in_s.append(_horner(in_u, u))
    total = _horner(in_s, s)
    return total if isinstance(total, torch.Tensor) else torch.full_like(u, total)


def _horner(coefficients: Sequence[torch.Tensor | float], at: torch.Tensor) -> torch.Tensor | float:
    """sum_i coefficients[-1 - i] at^i; zeros and a leading number cost no pass over `at`."""
    total = coefficients[0]
    for one in coefficients[1:]:
        total = total * at
        total = total if isinstance(one, float) and one == 0.0 else total + one
    return total
