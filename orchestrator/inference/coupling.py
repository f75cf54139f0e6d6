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
Rows = NDArray[np.int64]

MAX_SWEEPS = 24
"""Sweeps over the sites; typical problems settle in four to seven."""

SETTLED = 0.02
"""Largest mismatch between a Gaussian mean and the exact tilted one, in standard deviations, at
which the iteration ends. Comparing sweeps instead would take a run to the nodes' edge for rest."""

SHARES = (1.0, *[0.8] * 5, *[0.5] * 8, *[0.3] * 10)
"""Share of the new sites taken in each sweep: sites that swing are led in gently. By hand."""


@dataclass(frozen=True)
class Coupled:
    """The posterior for each of H settings.

    `log_evidence`: (H,); minus infinity where the iteration did not settle. That happens where
    cells contradict the law they are held to: a tight law, whose evidence is poor in truth, but
    not to be believed as computed. (If nothing settles, the nearest to it are preferred.)
    `mean`: (H, 2C), all m first; `covariance`: (H, 2C, 2C). `masses`: (C, H, G, S), each cell's
    probabilities at its nodes, summing to 1 over (G, S).
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

    def rows(self, active: Rows) -> "_Pairs":
        return _Pairs(*(part[active] for part in self.parts()))

    def put(self, active: Rows, other: "_Pairs") -> None:
        for mine, theirs in zip(self.parts(), other.parts(), strict=True):
            mine[active] = theirs

    def parts(self) -> tuple[Array, ...]:
        return self.mm, self.ml, self.ll, self.m, self.l

    def less(self, other: "_Pairs") -> "_Pairs":
        pairs = zip(self.parts(), other.parts(), strict=True)
        return _Pairs(*(mine - theirs for mine, theirs in pairs))

    def toward(self, other: "_Pairs", share: float) -> "_Pairs":
        pairs = zip(self.parts(), other.parts(), strict=True)
        return _Pairs(*((1 - share) * mine + share * theirs for mine, theirs in pairs))

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
class _Grid:
    """The nodes relative to the prior mean: m (C, G); powers of l (C, S, 3): 1, l, l^2.

    `volume`: (C, G, S), the nodes' weights; `width_m`: (C, G); `blur_l`: (C,), variance inside the
    narrowest interval of l.
    """

    m: Array
    powers: Array
    volume: Array
    width_m: Array
    blur_l: Array

    @staticmethod
    def of(mean: Array, m: Nodes, l: Nodes) -> "_Grid":
        cells = len(m.x)
        off = l.x - mean[cells:, None]
        return _Grid(
            m=m.x - mean[:cells, None],
            powers=np.stack([np.ones_like(off), off, off**2], axis=2),
            volume=m.weights[:, :, None] * l.weights[:, None, :],
            width_m=m.weights,
            blur_l=l.weights.min(1) ** 2 / 12,
        )


@dataclass(frozen=True)
class _Tilted:
    """Exact distributions of likelihood times cavity: moments (H, C), masses (C, H, G, S)."""

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
    (C, H, G, S) on nodes m (C, G) and l (C, S); `observed`: (C,) bool, cells that have data.

    Settings leave the iteration one by one as they settle.
    """
    grid = _Grid.of(mean, m, l)
    sites = _Pairs.zero((len(covariance), len(observed)))
    result = Coupled(
        np.empty(len(covariance)),
        np.empty((len(covariance), len(mean))),
        np.empty_like(covariance),
        np.empty_like(log_likelihood),
    )
    apart = np.empty(len(covariance))
    active = np.arange(len(covariance))
    for sweep in range(MAX_SWEEPS + 1):
        site = sites.rows(active)
        centre, spread, log_determinant = _joint(covariance[active], site)
        marginal = _marginals(centre, spread)
        cavity = marginal.less(site)
        tilted = _tilt(log_likelihood[:, active], cavity, grid)
        gap = _mismatch(centre, tilted, observed)
        done = (gap < SETTLED) | (sweep == MAX_SWEEPS)
        if done.any():
            bonus = tilted.log_z - marginal.log_partition() + cavity.log_partition()
            pull = np.concatenate([site.m, site.l], axis=1)
            evidence = 0.5 * ((pull * centre).sum(1) - log_determinant) + (bonus * observed).sum(1)
            over = active[done]
            result.log_evidence[over], result.mean[over] = evidence[done], centre[done] + mean
            result.covariance[over] = spread[done]
            result.masses[:, over] = tilted.masses[:, done]
            apart[over] = gap[done]
        if done.all():
            break
        fresh = _sites(tilted, cavity, observed)
        sites.put(active, site.toward(fresh, SHARES[sweep]))
        active = active[~done]
    unsettled = apart >= SETTLED
    result.log_evidence[unsettled] = -apart[unsettled] if unsettled.all() else -np.inf
    return result


def _mismatch(centre: Array, tilted: _Tilted, observed: Array) -> Array:
    """Largest gap between Gaussian and tilted means of observed cells, for each setting: (H,)."""
    count = len(observed)
    gap_m = (centre[:, :count] - tilted.mean_m) / np.sqrt(tilted.var_m)
    gap_l = (centre[:, count:] - tilted.mean_l) / np.sqrt(tilted.var_l)
    return np.asarray((np.maximum(np.abs(gap_m), np.abs(gap_l)) * observed).max(1))


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


def _tilt(log_likelihood: Array, cavity: _Pairs, grid: _Grid) -> _Tilted:
    """Likelihood (C, H, G, S) times cavity (H, C), integrated on the nodes.

    The cavity's exponent is a quadratic in l whose coefficients depend on m, so that one matrix
    product per cell makes it, and another takes the moments in l.
    """
    cells, settings, along, across = log_likelihood.shape
    mean_m, mean_l = (part.T[:, :, None] for part in cavity.moments())
    mm, ml, ll = (part.T[:, :, None] for part in (cavity.mm, cavity.ml, cavity.ll))
    off = grid.m[:, None, :] - mean_m
    constant = 0.5 * mm * off**2 - ml * off * mean_l + 0.5 * ll * mean_l**2
    quadratic = np.stack([constant, ml * off - ll * mean_l, 0.5 * ll + 0 * off], axis=3)
    logs = quadratic.reshape(cells, -1, 3) @ grid.powers.transpose(0, 2, 1)
    logs = log_likelihood - logs.reshape(log_likelihood.shape)
    top = logs.max((2, 3))
    logs -= top[:, :, None, None]
    masses = np.exp(logs, out=logs)
    masses *= grid.volume[:, None]
    total = masses.reshape(cells, settings, -1).sum(2)
    masses /= total[:, :, None, None]
    in_l = (masses.reshape(cells, -1, across) @ grid.powers).reshape(cells, settings, along, 3)
    density = in_l[:, :, :, 0]
    m1 = (density @ grid.m[:, :, None])[:, :, 0]
    m2 = (density * (grid.m[:, None, :] - m1[:, :, None]) ** 2).sum(2)
    first = in_l[:, :, :, 1]
    l1 = first.sum(2)
    cov = (first * (grid.m[:, None, :] - m1[:, :, None])).sum(2)
    # the second terms are the spread inside a node's own interval, so that no variance is zero
    blur_m = (density @ grid.width_m[:, :, None] ** 2)[:, :, 0] / 12
    var_l = in_l[:, :, :, 2].sum(2) - l1**2 + grid.blur_l[:, None]
    return _Tilted(
        log_z=(top + np.log(total)).T + 0.5 * np.log(cavity.determinant) - np.log(2 * np.pi),
        mean_m=m1.T,
        mean_l=l1.T,
        var_m=(m2 + blur_m).T,
        cov=cov.T,
        var_l=var_l.T,
        masses=masses,
    )


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
