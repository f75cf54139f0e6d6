"""What kernel ridge regression and random features will do, from a kernel's eigenvalues alone.

Source: Simon, Dickens, Karkada & DeWeese (2023), "The eigenlearning framework", arXiv:2110.03922,
equations 5 to 9; for random features Simon, Karkada, Ghosh & Belkin (2024), "More is better in
modern machine learning", arXiv:2311.14646.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import roots_jacobi
from scipy.stats import norm

from orchestrator.domain.harmonics import legendre, multiplicity

Shape = Callable[[np.ndarray], np.ndarray]
"""A kernel as a function of the cosine between inputs of squared norm d."""


@dataclass(frozen=True)
class Spectrum:
    """(How many, eigenvalue) of each degree from 0, and the sum `rest` of all eigenvalues above.

    Degrees of which there are far more than examples act like a ridge of that size.
    """

    levels: list[tuple[float, float]]
    rest: float


def of_kernel(kernel: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Shape:
    """The kernel as a function of the cosine, from two inputs of length sqrt(2) in the plane."""

    def shape(cosine: np.ndarray) -> np.ndarray:
        s = torch.from_numpy(np.asarray(cosine, dtype=float))
        z = math.sqrt(2.0) * torch.stack([s, (1.0 - s.square()).clamp_min(0.0).sqrt()], 1)
        return kernel(torch.tensor([[math.sqrt(2.0), 0.0]]).double(), z)[0].numpy()

    return shape


def on_signs(d: int, shape: Shape, deepest: int | None = None, cyclic: bool = False) -> Spectrum:
    """Of a kernel of x.z / d, x uniform on signs: C(d, l) parities of degree l share a value,
    E[shape(x.1 / d) x_1 … x_l]; where `cyclic`, those combinations that no shift changes. Degrees
    go to `deepest`, by default 30 at most; rounding leaves no value below 0."""
    deepest = min(d, 30) if deepest is None else deepest
    minus = np.arange(d + 1)
    chance = np.array([math.comb(d, j) / 2**d for j in minus])
    values = shape(1.0 - 2.0 * minus / d)
    levels = []
    for level in range(min(deepest, d) + 1):
        parity = [
            sum((-1) ** i * math.comb(j, i) * math.comb(d - j, level - i) for i in range(level + 1))
            / math.comb(d, level)
            for j in minus
        ]
        count = necklaces(d, level) if cyclic else math.comb(d, level)
        levels.append((count, max(float(np.sum(chance * values * parity)), 0.0)))
    return _with_rest(levels, d, shape, cyclic)


def _with_rest(levels, d, shape, cyclic) -> Spectrum:
    # Of the functions above, too, about one in d is invariant.
    full = [(math.comb(d, level), value) for level, (_, value) in enumerate(levels)]
    rest = float(shape(np.array([1.0]))[0]) - sum(count * value for count, value in full)
    return Spectrum(levels, max(rest, 0.0) / (d if cyclic else 1))


def necklaces(d: int, level: int) -> int:
    """Orbits of subsets of `level` of d places on a circle, by Burnside's count."""
    fixed = 0
    for shift in range(d):
        cycles = math.gcd(shift, d)
        length = d // cycles
        fixed += math.comb(cycles, level // length) if level % length == 0 else 0
    return fixed // d


def on_sphere(d: int, shape: Shape, deepest: int = 8) -> Spectrum:
    """Of a kernel of the cosine, x uniform on the sphere: E[shape(t) P_l(t)] over the cosine t."""
    nodes, weights = roots_jacobi(400, (d - 3) / 2, (d - 3) / 2)
    weights = weights / weights.sum()
    levels = [
        (
            multiplicity(d, level),
            float(weights @ (shape(nodes) * legendre(d, level, torch.from_numpy(nodes)).numpy())),
        )
        for level in range(deepest + 1)
    ]
    rest = float(shape(np.array([1.0]))[0]) - sum(count * value for count, value in levels)
    return Spectrum(levels, max(rest, 0.0))


def r_squared(
    spectrum: Spectrum, n: float, powers: Mapping[int, float], ridge: float, noise: float = 0.0
) -> float:
    """R^2 on labels without noise, of a target with variance powers[l] in each degree l > 0.

    With kappa the root of sum_l C_l L_l + ridge / kappa = n, L_l = lambda_l / (lambda_l + kappa),
    the test error is E0 (sum_l powers[l] (1 - L_l)^2 + noise^2), E0 = n / (n - sum_l C_l L_l^2).
    """
    kappa = _kappa(spectrum, n, ridge)
    error = _cross_error(spectrum, n, powers, noise, kappa, kappa)
    return 1.0 - (error - noise**2) / sum(powers.values())


def accuracy(spectrum: Spectrum, n: float, k: int, ridge: float) -> float:
    """The chance that a parity of degree k has the sign of its prediction, whose errors are
    Gaussian: Phi(L / sqrt(E0 (1 - L)^2 - (1 - L)^2)), L and E0 as in `r_squared`."""
    kappa = _kappa(spectrum, n, ridge)
    learned = spectrum.levels[k][1] / (spectrum.levels[k][1] + kappa)
    error = _cross_error(spectrum, n, {k: 1.0}, 0.0, kappa, kappa)
    return float(norm.cdf(learned / math.sqrt(error - (1.0 - learned) ** 2)))


def distilled_r_squared(
    spectrum: Spectrum,
    n: float,
    powers: Mapping[int, float],
    ridge: float,
    steps: int,
    mixing: float,
    noise: float = 0.0,
) -> float:
    """R^2 after that many steps of self-distillation, which filter the eigenvalues mu of the Gram
    matrix by s(h) = h (a (1 + c + … + c^(t-2)) + c^(t-1)), h = mu / (mu + ridge), c = (1 - a) h.

    In powers of 1 - h, s is h sum_i b_i (1 - h)^i, and h (1 - h)^i is (-ridge)^i / i! times the
    i-th derivative of mu / (mu + ridge) by the ridge. Derivatives are sums over a circle of
    complex ridges (Cauchy), so that the answer is a weighted sum of those of kernel ridge
    regression there, whose errors at two ridges have the mean product that `_cross_error` gives. In
    float64 that is good for 16 steps or fewer.
    """
    h = np.polynomial.Polynomial([1.0, -1.0])  # in powers of 1 - h
    shrunk = (1.0 - mixing) * h
    sums = (mixing * shrunk**i for i in range(steps - 1))
    filtered = sum(sums, shrunk ** (steps - 1)).coef
    radius, count = 0.5 * ridge, 40
    circle = np.exp(2j * math.pi * np.arange(count) / count)
    weights = sum(b * (-ridge / (radius * circle)) ** i for i, b in enumerate(filtered)) / count
    kappas = np.array([_kappa(spectrum, n, ridge + radius * at) for at in circle])
    errors = _cross_error(spectrum, n, powers, noise, kappas[:, None], kappas)
    error = (weights @ errors @ weights).real
    return 1.0 - (error - noise**2) / sum(powers.values())


def _kappa(spectrum: Spectrum, n: float, ridge: complex) -> complex:
    """The root of sum_l C_l L_l + ridge / kappa = n, followed from the ridge's real part."""
    total = ridge.real + spectrum.rest

    def excess(kappa: complex, total: complex) -> complex:
        return sum(c * v / (v + kappa) for c, v in spectrum.levels) + total / kappa - n

    real = brentq(lambda log: excess(math.exp(log), total), -200.0, 50.0, xtol=1e-12)
    kappa: complex = math.exp(real)
    for share in (0.25, 0.5, 0.75, 1.0) if ridge.imag else ():
        total = spectrum.rest + complex(ridge.real, share * ridge.imag)
        for _ in range(6):
            slope = -sum(c * v / (v + kappa) ** 2 for c, v in spectrum.levels) - total / kappa**2
            kappa -= excess(kappa, total) / slope
    return kappa


def _cross_error(spectrum, n, powers, noise, kappa, other):
    """Mean product of the errors, on noisy labels, of machines of those two kappas: the test error
    where they are one."""
    spent = sum(c * v * v / (v + kappa) / (v + other) for c, v in spectrum.levels)
    missed = sum(
        power * kappa * other / (spectrum.levels[k][1] + kappa) / (spectrum.levels[k][1] + other)
        for k, power in powers.items()
    )
    return n / (n - spent) * (missed + noise**2)


def features_r_squared(
    spectrum: Spectrum,
    n: float,
    features: int,
    powers: Mapping[int, float],
    ridge: float,
    noise: float = 0.0,
) -> float:
    """The same for that many random features: kappa and gamma solve n = z + ridge / kappa and
    features = z + features kappa / gamma, with z and q the sums of lambda / (lambda + gamma) and of
    its square, and the rest of the spectrum many equal eigenvalues near 0."""
    m = features

    def sums(gamma: float) -> tuple[float, float]:
        learned = [(count, value / (value + gamma)) for count, value in spectrum.levels]
        z = sum(count * part for count, part in learned) + spectrum.rest / gamma
        return z, sum(count * part**2 for count, part in learned)

    def excess(log_gamma: float) -> float:
        gamma = math.exp(log_gamma)
        z, _ = sums(gamma)
        return (n - z) * (m - z) * gamma / m - ridge

    # z must stay below n and below m: gamma is above the root of z = min(n, m), if there is one.
    short = lambda log_gamma: sums(math.exp(log_gamma))[0] - min(n, m)
    low = brentq(short, -100.0, 50.0, xtol=1e-13) if short(-100.0) > 0.0 else -100.0
    gamma = math.exp(brentq(excess, low, 60.0, xtol=1e-14))
    z, q = sums(gamma)
    kappa = (m - z) * gamma / m
    missed = sum(
        power
        * (
            gamma / (spectrum.levels[level][1] + gamma)
            - kappa
            * spectrum.levels[level][1]
            / (spectrum.levels[level][1] + gamma) ** 2
            * m
            / (m - q)
        )
        for level, power in powers.items()
    )
    error = (missed + noise**2) / (1.0 - (q * (m - 2.0 * z) + z**2) / (n * (m - q))) - noise**2
    return 1.0 - error / sum(powers.values())


def n_star(curve: Callable[[float], float], level: float, low: float, high: float) -> float:
    """The n at which the predicted R^2, rising from `low` to `high`, is `level`."""
    return float(brentq(lambda n: curve(n) - level, low, high, xtol=1e-6))
