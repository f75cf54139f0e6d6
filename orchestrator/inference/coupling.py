"""Many cells at once: expectation propagation with exact quadrature inside each cell.

Cells are coupled in two ways. Given the scale of the remainder, the prior over all m = log n_star
and l = log s is one Gaussian; and all cells share one form of the success curve, from which each
may stray (`STRAY`). Each cell's likelihood touches its own two unknowns and its own form.
Expectation propagation (Minka 2001; Rasmussen & Williams 2006, section 3.6) replaces each cell's
likelihood by a site, a two-dimensional Gaussian times a weight for each form, and refines it
against the exact tilted distribution, here integrated on nodes. With one cell it is exact in one
step; with several, only what cells say to each other is rounded. Every cell's own answer stays the
tilted distribution itself: skewed, boxed in between two integers, or half open where it is.

Why not a Laplace approximation, as the first prototype had: between the last failure and the first
success a steep curve makes the likelihood a box, whose mode says nothing of its width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.likelihood import Table

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

MAX_SWEEPS = 24
"""Sweeps over the sites; typical problems settle in two to six."""

SETTLED, UNSETTLED = 0.02, 0.3
"""Largest mismatch between a Gaussian mean and the exact tilted one, in standard deviations, at
which the iteration ends for the likeliest setting (less likely ones may be rougher by the root of
the odds against them), and above which a result is not used. Comparing sweeps instead would take a
run to the nodes' edge for rest."""

SHARES = (1.0, *[0.8] * 5, *[0.5] * 8, *[0.3] * 10)
"""Share of the new sites taken in each sweep: sites that swing are led in gently. By hand."""

TRUSTED, HOPELESS = 2, 14.0
"""From this sweep on a setting whose evidence is this many nats behind the best is given up."""

STRAY = 0.1
"""Chance that a cell's success curve has a form of its own. Chosen by hand."""


@dataclass(frozen=True)
class Pairs:
    """Natural parameters of H x C Gaussians over (m, l): precisions and precision times mean."""

    mm: Array
    ml: Array
    ll: Array
    m: Array
    l: Array

    @staticmethod
    def zero(shape: tuple[int, int]) -> "Pairs":
        """No information."""
        return Pairs(*(np.zeros(shape) for _ in range(5)))

    def rows(self, active: Rows) -> "Pairs":
        """Those of some settings, in any order and as often as wanted."""
        return Pairs(*(part[active] for part in self.parts()))

    def put(self, active: Rows, other: "Pairs") -> None:
        """Replace some settings in place."""
        for mine, theirs in zip(self.parts(), other.parts(), strict=True):
            mine[active] = theirs

    def parts(self) -> tuple[Array, ...]:
        """The five arrays, precisions first."""
        return self.mm, self.ml, self.ll, self.m, self.l

    def less(self, other: "Pairs") -> "Pairs":
        """Divided by another."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        return Pairs(*(mine - theirs for mine, theirs in pairs))

    def toward(self, other: "Pairs", share: float) -> "Pairs":
        """A share of the way to another."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        return Pairs(*((1 - share) * mine + share * theirs for mine, theirs in pairs))

    @property
    def determinant(self) -> Array:
        """Determinants of the precisions."""
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
class Coupled:
    """The posterior for each of H settings.

    `log_evidence`: (H,); minus infinity where the iteration did not settle. That happens where
    cells contradict the law they are held to: a tight law, whose evidence is poor in truth, but
    not to be believed as computed. (If nothing settles, the nearest to it are preferred.)
    `mean`: (H, 2C), all m first; `covariance`: (H, 2C, 2C). `sites`: those of the O observed cells.
    `cavity`: (H, C) Gaussians, what the other cells say of each. `forms`: (H, C, F), likewise.
    """

    log_evidence: Array
    mean: Array
    covariance: Array
    sites: Pairs
    cavity: Pairs
    forms: Array


@dataclass(frozen=True)
class Grids:
    """Tables of several cells, stacked, with nodes relative to the prior mean.

    `m`: (C, G), `powers` of l: (C, S, 3): 1, l, l^2; `log_volume` and `top`: (C, G, S);
    `relative`: (C, F, G * S); `width_m`: (C, G); `blur_l`: (C,), variance inside the narrowest
    interval of l.
    """

    m: Array
    powers: Array
    log_volume: Array
    top: Array
    relative: Array
    width_m: Array
    blur_l: Array

    @staticmethod
    def of(mean: Array, tables: Sequence[Table]) -> "Grids":
        """`mean`: (2C,), the prior means of m, then of l."""
        cells = len(tables)
        m, l = np.stack([t.m.x[0] for t in tables]), np.stack([t.l.x[0] for t in tables])
        width_m = np.stack([t.m.weights[0] for t in tables])
        width_l = np.stack([t.l.weights[0] for t in tables])
        off = l - mean[cells:, None]
        return Grids(
            m=m - mean[:cells, None],
            powers=np.stack([np.ones_like(off), off, off**2], axis=2),
            log_volume=np.log(width_m)[:, :, None] + np.log(width_l)[:, None, :],
            top=np.stack([t.top for t in tables]),
            relative=np.stack([t.relative.reshape(len(t.relative), -1) for t in tables]),
            width_m=width_m,
            blur_l=width_l.min(1) ** 2 / 12,
        )


@dataclass(frozen=True)
class Tilted:
    """Exact distributions of likelihood times cavity: moments (H, C), form weights (H, C, F).

    `masses`: (C, H, G * S), summing to 1; those of form f are `bare` * relative[f] * forms[f].
    """

    log_form: Array
    mean_m: Array
    mean_l: Array
    var_m: Array
    cov: Array
    var_l: Array
    bare: Array
    masses: Array


def couple(
    mean: Array,
    covariance: Array,
    tables: Sequence[Table],
    observed: Rows,
    form_weights: Array,
    *,
    log_weights: Array,
    start: Pairs | None = None,
    sweeps: int = MAX_SWEEPS,
) -> Coupled:
    """The posterior of H settings over C cells: prior mean (2C,) and covariance (H, 2C, 2C).

    `tables` are those of the `observed` cells; `form_weights`: (F,), summing to 1; `log_weights`:
    (H,), the settings' own; `start`: sites (H, O) to begin with; `sweeps`: most sweeps. Settings
    leave the iteration one by one as they settle, or as they fall hopelessly behind.
    """
    settings, cells = len(covariance), len(mean) // 2
    own = np.concatenate([observed, observed + cells])
    within, across = covariance[:, own[:, None], own], covariance[:, :, own]
    grids = Grids.of(mean[own], tables) if tables else None
    sites = start or Pairs.zero((settings, len(observed)))
    log_evidence, apart = np.zeros(settings), np.zeros(settings)
    log_forms = np.zeros((settings, len(observed), len(form_weights)))
    active = np.arange(settings)
    for sweep in range(sweeps + 1):
        if grids is None or not len(active):
            break
        site = sites.rows(active)
        centre, spread, log_determinant = joint(within[active], site)
        marginal = marginals(centre, spread)
        cavity = marginal.less(site)
        words = words_of_others(log_forms[active], form_weights)
        tilted = tilt(cavity, words, grids)
        fresh = messages(tilted.log_form, form_weights)
        apart[active] = _mismatch(centre, tilted, log_forms[active], fresh)
        log_forms[active] = fresh
        pull = np.concatenate([site.m, site.l], axis=1)
        bonus = cavity.log_partition() - marginal.log_partition()
        log_evidence[active] = (
            0.5 * ((pull * centre).sum(1) - log_determinant)
            + bonus.sum(1)
            + _log_mean(fresh.sum(1), form_weights)
        )
        going = np.full(len(active), sweep < sweeps)
        if sweep >= TRUSTED:
            # a setting that still swings may claim any evidence, and must not drive others out
            likely = log_evidence + log_weights
            behind = likely[apart <= UNSETTLED].max(initial=-np.inf) - likely[active]
            allowed = SETTLED * np.exp(np.clip(behind, 0.0, HOPELESS) / 2)
            going &= (behind < HOPELESS) & (apart[active] > allowed)
        better = site.toward(_sites(tilted, cavity), SHARES[min(sweep, len(SHARES) - 1)])
        sites.put(active[going], better.rows(np.flatnonzero(going)))
        active = active[going]
    unsettled = apart > UNSETTLED
    if unsettled.all():
        log_evidence = -apart
    elif sweeps == MAX_SWEEPS:
        log_evidence[unsettled] = -np.inf
    whole = Pairs.zero((settings, cells))
    for part, known in zip(whole.parts(), sites.parts(), strict=True):
        part[:, observed] = known
    centre, spread = _extended(within, across, covariance, sites)
    words = np.zeros((settings, cells, len(form_weights)))
    words[:] = _shared(log_forms.sum(1), form_weights)[:, None, :]
    words[:, observed] = words_of_others(log_forms, form_weights)
    return Coupled(
        log_evidence=log_evidence,
        mean=centre + mean,
        covariance=spread,
        sites=sites,
        cavity=marginals(centre, spread).less(whole),
        forms=words,
    )


def _extended(within: Array, across: Array, covariance: Array, sites: Pairs) -> tuple[Array, Array]:
    """Mean and covariance over all cells, from sites on the observed ones."""
    weighted = _weighted(across, sites)
    inner = _weighted(within, sites)
    size = inner.shape[1]
    inner[:, np.arange(size), np.arange(size)] += 1.0
    pull = np.concatenate([sites.m, sites.l], axis=1)
    # posterior = K - K_xo Lambda (I + K_oo Lambda)^-1 K_ox
    solved = np.linalg.solve(inner, across.transpose(0, 2, 1))
    spread = covariance - weighted @ solved
    spread = (spread + spread.transpose(0, 2, 1)) / 2
    centre = np.einsum("hox,ho->hx", solved, pull)
    return centre, spread


def _weighted(left: Array, sites: Pairs) -> Array:
    """`left` (H, X, 2O) times the sites' block-diagonal precision (H, 2O, 2O)."""
    count = sites.mm.shape[1]
    m, l = left[:, :, :count], left[:, :, count:]
    return np.concatenate(
        [
            m * sites.mm[:, None, :] + l * sites.ml[:, None, :],
            m * sites.ml[:, None, :] + l * sites.ll[:, None, :],
        ],
        axis=2,
    )


def joint(covariance: Array, sites: Pairs) -> tuple[Array, Array, Array]:
    """Mean (H, 2C) and covariance (H, 2C, 2C) of prior times sites, and log |I + K Lambda|."""
    product = _weighted(covariance, sites)
    size = product.shape[1]
    product[:, np.arange(size), np.arange(size)] += 1.0
    spread = np.linalg.solve(product, covariance)
    spread = (spread + spread.transpose(0, 2, 1)) / 2
    pull = np.concatenate([sites.m, sites.l], axis=1)
    centre = np.einsum("hij,hj->hi", spread, pull)
    return centre, spread, np.linalg.slogdet(product)[1]


def marginals(centre: Array, spread: Array) -> Pairs:
    """Each cell's own Gaussian."""
    count = centre.shape[1] // 2
    own = np.arange(count)
    var_m, var_l = spread[:, own, own], spread[:, own + count, own + count]
    return _natural(centre[:, :count], centre[:, count:], var_m, spread[:, own, own + count], var_l)


def _natural(mean_m: Array, mean_l: Array, var_m: Array, cov: Array, var_l: Array) -> Pairs:
    determinant = np.maximum(var_m * var_l - cov**2, 1e-12 * var_m * var_l)
    mm, ml, ll = var_l / determinant, -cov / determinant, var_m / determinant
    return Pairs(mm, ml, ll, mm * mean_m + ml * mean_l, ml * mean_m + ll * mean_l)


def _mismatch(centre: Array, tilted: Tilted, forms: Array, fresh: Array) -> Array:
    """How far each setting is from rest: (H,).

    The largest gap between Gaussian and tilted means, in standard deviations, or change of a form's
    chances.
    """
    count = centre.shape[1] // 2
    gap_m = (centre[:, :count] - tilted.mean_m) / np.sqrt(tilted.var_m)
    gap_l = (centre[:, count:] - tilted.mean_l) / np.sqrt(tilted.var_l)
    turned = _normalised(forms.sum(1)) - _normalised(fresh.sum(1))
    gaps = np.concatenate([gap_m, gap_l, turned], axis=1)
    return np.asarray(np.abs(gaps).max(1))


# forms: a discrete unknown shared by all cells, from which each may stray


def _normalised(logs: Array) -> Array:
    weights = np.exp(logs - logs.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _log_mean(logs: Array, weights: Array) -> Array:
    """Log of the mean of exp(logs) (..., F) under weights (F,)."""
    top = logs.max(-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]) @ weights))


def _shared(log_messages: Array, form_weights: Array) -> Array:
    """A form's chances for a cell that has not spoken itself: (..., F)."""
    shared = _normalised(log_messages + np.log(form_weights))
    return np.asarray((1 - STRAY) * shared + STRAY * form_weights)


def words_of_others(log_messages: Array, form_weights: Array) -> Array:
    """What the other cells say of each cell's form: messages and result (H, C, F)."""
    others = log_messages.sum(1, keepdims=True) - log_messages
    return _shared(others, form_weights)


def messages(log_form: Array, form_weights: Array) -> Array:
    """What each cell says of the shared form, from log evidence of its own form: (H, C, F)."""
    top = log_form.max(-1, keepdims=True)
    own = np.exp(log_form - top)
    stray = (own @ form_weights)[..., None]
    return np.asarray(top + np.log((1 - STRAY) * own + STRAY * stray))


# one cell: likelihood times what others say, on nodes


def tilt(cavity: Pairs, forms: Array, grids: Grids) -> Tilted:
    """Likelihood times cavity (H, C) and form chances (H, C, F), integrated on the nodes.

    The cavity's exponent is a quadratic in l whose coefficients depend on m, so that one matrix
    product per cell makes it, and another takes the moments in l.
    """
    cells, along = grids.m.shape
    settings, across = len(forms), grids.powers.shape[1]
    mean_m, mean_l = (part.T[:, :, None] for part in cavity.moments())
    mm, ml, ll = (part.T[:, :, None] for part in (cavity.mm, cavity.ml, cavity.ll))
    off = grids.m[:, None, :] - mean_m
    constant = 0.5 * mm * off**2 - ml * off * mean_l + 0.5 * ll * mean_l**2
    quadratic = np.stack([constant, ml * off - ll * mean_l, 0.5 * ll + 0 * off], axis=3)
    logs = quadratic.reshape(cells, -1, 3) @ grids.powers.transpose(0, 2, 1)
    logs = logs.reshape(cells, settings, along * across)
    np.subtract((grids.top + grids.log_volume).reshape(cells, 1, -1), logs, out=logs)
    top = logs.max(2)
    logs -= top[:, :, None]
    bare = np.exp(logs, out=logs)
    by_form = bare @ grids.relative.transpose(0, 2, 1)
    weights = forms.transpose(1, 0, 2)
    total = (by_form * weights).sum(2)
    bare /= total[:, :, None]
    masses = weights @ grids.relative
    masses *= bare
    in_l = (masses.reshape(cells, -1, across) @ grids.powers).reshape(cells, settings, along, 3)
    density = in_l[:, :, :, 0]
    m1 = (density @ grids.m[:, :, None])[:, :, 0]
    m2 = (density * (grids.m[:, None, :] - m1[:, :, None]) ** 2).sum(2)
    first = in_l[:, :, :, 1]
    l1 = first.sum(2)
    cov = (first * (grids.m[:, None, :] - m1[:, :, None])).sum(2)
    # the second terms are the spread inside a node's own interval, so that no variance is zero
    blur_m = (density @ grids.width_m[:, :, None] ** 2)[:, :, 0] / 12
    var_l = in_l[:, :, :, 2].sum(2) - l1**2 + grids.blur_l[:, None]
    scale = (top - np.log(2 * np.pi)).T + 0.5 * np.log(cavity.determinant)
    return Tilted(
        log_form=scale[:, :, None] + np.log(by_form + 1e-300).transpose(1, 0, 2),
        mean_m=m1.T,
        mean_l=l1.T,
        var_m=(m2 + blur_m).T,
        cov=cov.T,
        var_l=var_l.T,
        bare=bare,
        masses=masses,
    )


def _sites(tilted: Tilted, cavity: Pairs) -> Pairs:
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
    return Pairs(mm, ml, ll, pull_m, pull_l)


def _clipped(mm: Array, ml: Array, ll: Array) -> tuple[Array, Array, Array]:
    """The nearest non-negative definite symmetric 2 x 2 matrices."""
    middle, half = (mm + ll) / 2, (mm - ll) / 2
    radius = np.sqrt(half**2 + ml**2)
    upper, lower = np.maximum(middle + radius, 0.0), np.maximum(middle - radius, 0.0)
    safe = np.where(radius > 0, radius, 1.0)
    mean, gap = (upper + lower) / 2, np.where(radius > 0, (upper - lower) / 2, 0.0)
    return mean + gap * half / safe, gap * ml / safe, mean - gap * half / safe
