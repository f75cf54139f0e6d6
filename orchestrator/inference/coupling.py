"""Many cells at once: expectation propagation with exact quadrature inside each cell.

Given the settings (form of the curve, scale of the remainder), the prior couples the cells only
through a Gaussian, and each cell's likelihood touches its own two unknowns, m = log n_star and
l = log s. Expectation propagation (Minka 2001; Rasmussen & Williams 2006, section 3.6) replaces
each cell's likelihood by a two-dimensional Gaussian site and refines it against the exact tilted
distribution, here integrated on nodes. With one cell it is exact in one step; with several, only
what cells say to each other is rounded to a Gaussian. Every cell's own answer stays the tilted
distribution itself: skewed, boxed in between two integers, or half open where it is.

Why not a Laplace approximation, as the first prototype had: between the last failure and the first
success a steep curve makes the likelihood a box, whose mode says nothing of its width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.nodes import Nodes

Array = NDArray[np.float64]

MAX_SWEEPS = 14
"""Sweeps over the sites; typical problems settle in four to seven."""

SETTLED_STEP = 0.01
"""Largest move of a mean, in its standard deviations, of a sweep that ends the iteration."""

DAMPING = 0.8
"""Share of the new site taken after the first sweep. Chosen by hand."""


@dataclass(frozen=True)
class Coupled:
    """The posterior for each of H settings.

    `log_evidence`: (H,). `mean`: (H, 2C), all m first; `covariance`: (H, 2C, 2C). `masses`:
    (H, C, G, S), each cell's probabilities at its nodes, summing to 1 over (G, S).
    """

    log_evidence: Array
    mean: Array
    covariance: Array
    masses: Array


@dataclass(frozen=True)
class _Pairs:
    """Natural parameters of H x C Gaussians over (m, l): precisions and precision times mean."""

    mm: Array
    ml: Array
    ll: Array
    m: Array
    l: Array

    @staticmethod
    def zero(shape: tuple[int, int]) -> "_Pairs":
        return _Pairs(*(np.zeros(shape) for _ in range(5)))

    def less(self, other: "_Pairs") -> "_Pairs":
        return _Pairs(
            self.mm - other.mm,
            self.ml - other.ml,
            self.ll - other.ll,
            self.m - other.m,
            self.l - other.l,
        )

    def toward(self, other: "_Pairs", share: float) -> "_Pairs":
        def mix(a: Array, b: Array) -> Array:
            return np.asarray((1 - share) * a + share * b)

        return _Pairs(
            mix(self.mm, other.mm),
            mix(self.ml, other.ml),
            mix(self.ll, other.ll),
            mix(self.m, other.m),
            mix(self.l, other.l),
        )

    @property
    def determinant(self) -> Array:
        return np.maximum(self.mm * self.ll - self.ml**2, 1e-300)

    def moments(self) -> tuple[Array, Array]:
        """Means of m and of l."""
        determinant = self.determinant
        return (
            (self.ll * self.m - self.ml * self.l) / determinant,
            (self.mm * self.l - self.ml * self.m) / determinant,
        )

    def log_partition(self) -> Array:
        """Log of the integral of exp(h.x - x.P.x / 2), up to log 2 pi."""
        mean_m, mean_l = self.moments()
        return 0.5 * (self.m * mean_m + self.l * mean_l) - 0.5 * np.log(self.determinant)


@dataclass(frozen=True)
class _Tilted:
    """Exact distributions of site times cavity on the nodes: log Z, moments, masses."""

    log_z: Array
    mean_m: Array
    mean_l: Array
    var_m: Array
    cov: Array
    var_l: Array
    masses: Array


def couple(
    mean: Array, covariance: Array, log_likelihood: Array, m: Nodes, l: Nodes, observed: Array
) -> Coupled:
    """The posterior of H settings: prior mean (2C,), covariance (H, 2C, 2C), likelihood
    (H, C, G, S) on nodes m (C, G) and l (C, S); `observed`: (C,) bool, cells that have data.
    """
    count = len(observed)
    at_m, at_l = m.x - mean[:count, None], l.x - mean[count:, None]
    volume = np.log(m.weights)[:, :, None] + np.log(l.weights)[:, None, :]
    weighted = log_likelihood + volume
    sites = _Pairs.zero((len(covariance), count))
    previous: Array | None = None
    for sweep in range(MAX_SWEEPS + 1):
        centre, spread, log_determinant = _joint(covariance, sites)
        marginal = _marginals(centre, spread)
        cavity = marginal.less(sites)
        tilted = _tilt(weighted, cavity, at_m, at_l, m.weights, l.weights)
        moved = _movement(tilted, previous)
        previous = tilted.mean_m
        if moved < SETTLED_STEP or sweep == MAX_SWEEPS:
            break
        fresh = _sites(tilted, cavity, observed)
        sites = sites.toward(fresh, 1.0 if sweep == 0 else DAMPING)
    bonus = tilted.log_z - marginal.log_partition() + cavity.log_partition()
    potential = 0.5 * (np.concatenate([sites.m, sites.l], axis=1) * centre).sum(1)
    evidence = potential - 0.5 * log_determinant + (bonus * observed).sum(1)
    return Coupled(evidence, centre + mean, spread, tilted.masses)


def _joint(covariance: Array, sites: _Pairs) -> tuple[Array, Array, Array]:
    """Mean (H, 2C) and covariance (H, 2C, 2C) of prior times sites, and log |I + K Lambda|."""
    count = sites.mm.shape[1]
    left, right = covariance[:, :, :count], covariance[:, :, count:]
    product = np.concatenate(
        [
            left * sites.mm[:, None, :] + right * sites.ml[:, None, :],
            left * sites.ml[:, None, :] + right * sites.ll[:, None, :],
        ],
        axis=2,
    )
    product[:, np.arange(2 * count), np.arange(2 * count)] += 1.0
    spread = np.linalg.solve(product, covariance)
    spread = (spread + spread.transpose(0, 2, 1)) / 2
    pull = np.concatenate([sites.m, sites.l], axis=1)
    centre = np.einsum("hij,hj->hi", spread, pull)
    return centre, spread, np.linalg.slogdet(product)[1]


def _marginals(centre: Array, spread: Array) -> _Pairs:
    count = centre.shape[1] // 2
    own = np.arange(count)
    var_m, var_l = spread[:, own, own], spread[:, own + count, own + count]
    return _natural(centre[:, :count], centre[:, count:], var_m, spread[:, own, own + count], var_l)


def _natural(mean_m: Array, mean_l: Array, var_m: Array, cov: Array, var_l: Array) -> _Pairs:
    determinant = np.maximum(var_m * var_l - cov**2, 1e-12 * var_m * var_l)
    mm, ml, ll = var_l / determinant, -cov / determinant, var_m / determinant
    return _Pairs(mm, ml, ll, mm * mean_m + ml * mean_l, ml * mean_m + ll * mean_l)


def _tilt(
    weighted: Array, cavity: _Pairs, at_m: Array, at_l: Array, width_m: Array, width_l: Array
) -> _Tilted:
    mean_m, mean_l = cavity.moments()
    off_m, off_l = at_m - mean_m[:, :, None], at_l - mean_l[:, :, None]
    logs = weighted - (cavity.ml[:, :, None] * off_m)[:, :, :, None] * off_l[:, :, None, :]
    logs -= (0.5 * cavity.mm[:, :, None] * off_m**2)[:, :, :, None]
    logs -= (0.5 * cavity.ll[:, :, None] * off_l**2)[:, :, None, :]
    top = logs.max((2, 3))
    masses = np.exp(logs - top[:, :, None, None])
    total = masses.sum((2, 3))
    masses /= total[:, :, None, None]
    along_m, along_l = masses.sum(3), masses.sum(2)
    m1, l1 = (along_m * at_m).sum(2), (along_l * at_l).sum(2)
    cross = np.einsum("hcgs,cs->hcg", masses, at_l)
    return _Tilted(
        log_z=top + np.log(total) + 0.5 * np.log(cavity.determinant) - np.log(2 * np.pi),
        mean_m=m1,
        mean_l=l1,
        # the second term is the spread inside a node's own interval, so that no variance is zero
        var_m=(along_m * (at_m - m1[:, :, None]) ** 2).sum(2) + (along_m * width_m**2).sum(2) / 12,
        cov=(cross * at_m).sum(2) - m1 * l1,
        var_l=(along_l * (at_l - l1[:, :, None]) ** 2).sum(2) + (along_l * width_l**2).sum(2) / 12,
        masses=masses,
    )


def _movement(tilted: _Tilted, previous: Array | None) -> float:
    if previous is None:
        return np.inf
    return float((np.abs(tilted.mean_m - previous) / np.sqrt(tilted.var_m)).max())


def _sites(tilted: _Tilted, cavity: _Pairs, observed: Array) -> _Pairs:
    """Sites that give the tilted moments, their precision clipped to be non-negative definite.

    A lapse can make the tilted spread wider than the cavity's; a site that said so could leave
    the whole without a covariance. It is clipped in units of the tilted spreads, and the tilted
    mean is kept all the same.
    """
    wanted = _natural(tilted.mean_m, tilted.mean_l, tilted.var_m, tilted.cov, tilted.var_l)
    raw = wanted.less(cavity)
    sd_m, sd_l = np.sqrt(tilted.var_m), np.sqrt(tilted.var_l)
    mm, ml, ll = _clipped(raw.mm * sd_m**2, raw.ml * sd_m * sd_l, raw.ll * sd_l**2)
    mm, ml, ll = mm / sd_m**2, ml / (sd_m * sd_l), ll / sd_l**2
    full_mm, full_ml, full_ll = mm + cavity.mm, ml + cavity.ml, ll + cavity.ll
    pull_m = full_mm * tilted.mean_m + full_ml * tilted.mean_l - cavity.m
    pull_l = full_ml * tilted.mean_m + full_ll * tilted.mean_l - cavity.l
    return _Pairs(mm * observed, ml * observed, ll * observed, pull_m * observed, pull_l * observed)


def _clipped(mm: Array, ml: Array, ll: Array) -> tuple[Array, Array, Array]:
    """The nearest non-negative definite symmetric 2 x 2 matrices."""
    middle, half = (mm + ll) / 2, (mm - ll) / 2
    radius = np.sqrt(half**2 + ml**2)
    upper, lower = np.maximum(middle + radius, 0.0), np.maximum(middle - radius, 0.0)
    safe = np.where(radius > 0, radius, 1.0)
    mean, gap = (upper + lower) / 2, np.where(radius > 0, (upper - lower) / 2, 0.0)
    return mean + gap * half / safe, gap * ml / safe, mean - gap * half / safe
