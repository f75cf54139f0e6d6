"""How many Gaussian measurements convex recovery of a matrix of low rank needs."""

import math

from scipy import integrate, optimize


def nuclear_norm_dimension(rank_share: float) -> float:
    """psi(rho): statistical dimension of the nuclear norm's descent cone, per entry of the matrix.

    For square matrices of rank rho d, d large, at M with any singular values,

        psi(rho) = min over t of rho + (1 - rho) (rho (1 + t^2) + (1 - rho) I(t)),
        I(t) = int_t^2 (u - t)^2 sqrt(4 - u^2) / pi du,

    t in units of sqrt(d (1 - rho)): what a Gaussian matrix lacks to t times a subgradient, the
    singular values of a (1 - rho) d x (1 - rho) d block of it following the quarter circle.
    Minimising the nuclear norm recovers M with probability about 1/2 from n = psi(rho) d^2
    Gaussian measurements. 0 < rho < 1.

    Source: Amelunxen, Lotz, McCoy & Tropp (2014), "Living on the edge: phase transitions in convex
    programs with random data", Information and Inference 3(3), arXiv:1303.6672, section 4.
    """
    rest = 1.0 - rank_share

    def lacking(t: float) -> float:
        return rank_share + rest * (rank_share * (1.0 + t * t) + rest * _beyond(t))

    return float(optimize.minimize_scalar(lacking, bounds=(0.0, 2.0), method="bounded").fun)


def _beyond(t: float) -> float:
    """I(t)."""

    def density(u: float) -> float:
        return (u - t) ** 2 * math.sqrt(4.0 - u * u) / math.pi

    return float(integrate.quad(density, t, 2.0)[0])
