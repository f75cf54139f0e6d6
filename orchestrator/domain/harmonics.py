"""Spherical harmonics on the sphere in R^d: how many there are, and the one that sees an angle.

Source: Müller (1966), "Spherical harmonics", Lecture Notes in Mathematics 17, Springer.
"""

import math

import torch


def multiplicity(d: int, degree: int) -> int:
    """Number of linearly independent harmonics of that degree on the sphere in R^d, d >= 2.

    C(d + l - 1, l) - C(d + l - 3, l - 2): homogeneous polynomials of degree l less those divisible
    by |x|^2. About d^l / l! for l far below d.
    """
    lower = math.comb(d + degree - 3, degree - 2) if degree >= 2 else 0
    return math.comb(d + degree - 1, degree) - lower


def legendre(d: int, degree: int, cosine: torch.Tensor) -> torch.Tensor:
    """The Legendre polynomial of dimension d >= 2 at each cosine: the same shape and dtype.

    P_0 = 1, P_1 = t, (l + d - 2) P_(l+1) = (2 l + d - 2) t P_l - l P_(l-1). It is the Gegenbauer
    polynomial of index (d - 2) / 2 over its value at 1. As a function of the cosine between a fixed
    point and x, uniform on the sphere, it is a harmonic with mean square 1 / multiplicity.
    """
    before, now = torch.ones_like(cosine), cosine
    if degree == 0:
        return before
    for level in range(1, degree):
        steep = (2 * level + d - 2) / (level + d - 2)
        before, now = now, steep * cosine * now - level / (level + d - 2) * before
    return now
