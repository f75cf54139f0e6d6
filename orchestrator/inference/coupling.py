"""Many cells at once: expectation propagation with exact quadrature inside each cell.

Cells are coupled in two ways. Given the setting (`settings`), the prior over all m = log n_star is
one Gaussian; and all cells share one form of the success curve, from which each may stray
(`STRAY`). Each cell's likelihood, with its own slope summed out, touches its own m and its own
form. Expectation propagation (Minka 2001; Rasmussen & Williams 2006, section 3.6) replaces each
cell's likelihood by a site, a Gaussian times a weight for each form, and refines it against the
exact tilted distribution, here integrated on nodes. With one cell it is exact in one step; with
several, only what cells say to each other is rounded. Every cell's own answer stays the tilted
distribution itself: skewed, boxed in between two integers, or half open where it is.

Why not a Laplace approximation, as the first prototype had: between the last failure and the first
success a steep curve makes the likelihood a box, whose mode says nothing of its width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from orchestrator.inference.likelihood import Table
from orchestrator.inference.prior import STRAY_SLOPE, STRAY_SLOPE_SD, Prior
from orchestrator.inference.settings import Settings

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

TRUSTED, HOPELESS = 2, 9.0
"""From this sweep on a setting whose evidence is this many nats behind the best that is near rest
is given up. Far from rest a law that contradicts the outcomes may claim absurd evidence."""

STRAY = 0.1
"""Chance that a cell's success curve has a form of its own. Chosen by hand."""


@dataclass(frozen=True)
class Normals:
    """Natural parameters of H x C Gaussians: precision, and precision times mean."""

    precision: Array
    pull: Array

    @staticmethod
    def zero(shape: tuple[int, int]) -> "Normals":
        """No information."""
        return Normals(np.zeros(shape), np.zeros(shape))

    def rows(self, active: Rows) -> "Normals":
        """Those of some settings, in any order and as often as wanted."""
        return Normals(self.precision[active], self.pull[active])

    def put(self, active: Rows, other: "Normals") -> None:
        """Replace some settings in place."""
        self.precision[active], self.pull[active] = other.precision, other.pull

    def times(self, other: "Normals") -> "Normals":
        """Multiplied with another."""
        return Normals(self.precision + other.precision, self.pull + other.pull)

    def toward(self, other: "Normals", share: float) -> "Normals":
        """A share of the way to another."""
        return Normals(
            (1 - share) * self.precision + share * other.precision,
            (1 - share) * self.pull + share * other.pull,
        )

    def log_partition(self) -> Array:
        """Log of the integral of exp(pull x - precision x^2 / 2), up to log(2 pi) / 2."""
        return 0.5 * (self.pull**2 / self.precision - np.log(self.precision))


@dataclass(frozen=True)
class Coupled:
    """The posterior for each of H settings.

    `log_evidence`: (H,), the settings' own weights left out; minus infinity where the iteration did
    not settle. That happens where cells contradict the law they are held to: a tight law, whose
    evidence is poor in truth, but not to be believed as computed. (If nothing settles, the nearest
    to it are preferred, and `is_settled` is False.)
    `mean`: (H, C); `covariance`: (H, C, C). `sites`: those of the O observed cells. `cavity`:
    (H, C) Gaussians about the prior mean, what the other cells say of each. `forms`: (H, C, F),
    likewise.
    """

    log_evidence: Array
    is_settled: bool
    mean: Array
    covariance: Array
    sites: Normals
    cavity: Normals
    forms: Array


@dataclass(frozen=True)
class Grids:
    """Tables of several cells for H settings, with nodes relative to the prior mean.

    `m`: (C, G); `log_volume`: (C, G), log of the nodes' weights plus the tables' tops; `relative`:
    (C, H, F, G), with the cell's own slope summed out; `width`: (C, G); `across`: (C, H, S), the
    weights of the nodes of l.
    """

    m: Array
    log_volume: Array
    relative: Array
    width: Array
    across: Array

    @staticmethod
    def of(believed: Prior, cells: Rows, tables: Sequence[Table], settings: Settings) -> "Grids":
        """`tables` are those of `cells`."""
        m = np.concatenate([t.m.x for t in tables])
        width = np.concatenate([t.m.weights for t in tables])
        log_d = believed.log_d[cells][:, None]
        slopes = settings.a + settings.b * log_d
        spread = np.hypot(believed.own_slope, settings.sd_b * log_d)
        nodes = np.stack([t.l for t in tables])
        across = (1 - STRAY_SLOPE) * hat_weights(nodes, slopes, spread)
        across += STRAY_SLOPE * hat_weights(nodes, slopes, np.hypot(spread, STRAY_SLOPE_SD))
        tabulated = np.stack([t.relative for t in tables])
        count, forms, volume, _ = tabulated.shape
        summed = across @ tabulated.reshape(count, forms * volume, -1).transpose(0, 2, 1)
        return Grids(
            m=m - believed.mean[cells][:, None],
            log_volume=np.log(width) + np.stack([t.top for t in tables]),
            relative=summed.reshape(count, -1, forms, volume),
            width=width,
            across=across,
        )

    def at(self, rows: Rows) -> "Grids":
        """Some of the settings."""
        return Grids(
            self.m, self.log_volume, self.relative[:, rows], self.width, self.across[:, rows]
        )


def hat_weights(nodes: Array, centre: Array, spread: Array) -> Array:
    """Weights (C, H, S) with which values at ascending nodes (C, S), joined by straight lines and
    constant beyond the ends, have their mean under N(centre, spread^2): (C, H) each.

    By the mean of a ramp, E max(x - t, 0) = spread phi(u) + (centre - t) Phi(u) with
    u = (centre - t) / spread: a hat is made of ramps.
    """
    off = centre[:, :, None] - nodes[:, None, :]
    u = off / spread[:, :, None]
    ramp = spread[:, :, None] * np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi) + off * ndtr(u)
    passed = (ramp[:, :, :-1] - ramp[:, :, 1:]) / np.diff(nodes)[:, None, :]
    padded = np.pad(passed, ((0, 0), (0, 0), (1, 1)), constant_values=((0, 0), (0, 0), (1, 0)))
    return np.asarray(np.maximum(padded[:, :, :-1] - padded[:, :, 1:], 0.0))


@dataclass(frozen=True)
class Tilted:
    """Exact distributions of likelihood times cavity: moments (H, C), log evidence of each form
    (H, C, F).

    `bare`: (C, H, G), such that masses of form f are bare * forms[f] * relative[f]; `masses`:
    (C, H, G), summing to 1.
    """

    log_form: Array
    mean: Array
    variance: Array
    bare: Array
    masses: Array


def couple(
    believed: Prior,
    tables: Sequence[Table],
    observed: Rows,
    form_weights: Array,
    settings: Settings,
    *,
    start: Normals | None = None,
    sweeps: int = MAX_SWEEPS,
) -> Coupled:
    """The posterior of H settings over C cells.

    `tables` are those of the `observed` cells; `form_weights`: (F,), summing to 1; `start`: sites
    (1, O) to begin with; `sweeps`: most sweeps. Settings leave the iteration one by one as they
    settle, or as they fall hopelessly behind.
    """
    count, cells = len(settings.a), len(believed.mean)
    loads, own = believed.loads[settings.scale], believed.own[settings.scale]
    seen = loads[:, observed]
    whole = Grids.of(believed, observed, tables, settings) if tables else None
    grids, of = whole, np.arange(count)
    sites = Normals.zero((1, len(observed))) if start is None else start
    sites = sites.rows(np.zeros(count, np.int64))
    log_evidence, apart = np.zeros(count), np.zeros(count)
    log_forms = np.zeros((count, len(observed), len(form_weights)))
    active = np.arange(count)
    for sweep in range(sweeps + 1):
        if grids is None or whole is None or not len(active):
            break
        if len(active) < len(of):
            grids, of = whole.at(active), active
        site = sites.rows(active)
        centre, cavity, log_determinant = joint(seen[active], own[active], site)
        marginal = cavity.times(site)
        words = words_of_others(log_forms[active], form_weights)
        tilted = tilt(cavity, words, grids)
        fresh = messages(tilted.log_form, form_weights)
        apart[active] = _mismatch(centre, tilted, log_forms[active], fresh)
        log_forms[active] = fresh
        bonus = cavity.log_partition() - marginal.log_partition()
        log_evidence[active] = (
            0.5 * ((site.pull * centre).sum(1) - log_determinant)
            + bonus.sum(1)
            + _log_mean(fresh.sum(1), form_weights)
        )
        going = np.full(len(active), sweep < sweeps)
        if sweep >= TRUSTED and (apart < UNSETTLED).any():
            logs = log_evidence + settings.log_weight
            behind = np.maximum(logs[apart < UNSETTLED].max() - logs[active], 0.0)
            allowed = SETTLED * np.exp(np.minimum(behind, HOPELESS) / 2)
            going &= (behind < HOPELESS) & (apart[active] > allowed)
        better = site.toward(_sites(tilted, cavity), SHARES[min(sweep, len(SHARES) - 1)])
        sites.put(active[going], better.rows(np.flatnonzero(going)))
        active = active[going]
    unsettled = apart > UNSETTLED
    if unsettled.all():
        log_evidence = -apart
    elif sweeps == MAX_SWEEPS:
        log_evidence[unsettled] = -np.inf
    everywhere = Normals.zero((count, cells))
    everywhere.precision[:, observed], everywhere.pull[:, observed] = sites.precision, sites.pull
    centre, cavity, _ = joint(loads, own, everywhere)
    words = np.repeat(_shared(log_forms.sum(1), form_weights)[:, None, :], cells, axis=1)
    words[:, observed] = words_of_others(log_forms, form_weights)
    return Coupled(
        log_evidence=log_evidence,
        is_settled=not unsettled.all(),
        mean=centre + believed.mean,
        covariance=_covariance(loads, own, everywhere),
        sites=sites,
        cavity=cavity,
        forms=words,
    )


@dataclass(frozen=True)
class _Split:
    """Prior times sites, split into what cells have in common and what is each one's own.

    m = loads w + rest, w standard normal and rest of spread `own`: R unknowns in common instead of
    a C x C covariance (the matrix inversion lemma; Rasmussen & Williams 2006, A.9), and no
    difference of large numbers however precise a site is. `kept`: (H, C), share of a cell's own
    deviation that its site leaves open; `inner`: (H, R, R), precision of w; `common`: its inverse.
    """

    kept: Array
    inner: Array
    common: Array

    @staticmethod
    def of(loads: Array, own: Array, sites: Normals) -> "_Split":
        kept = 1.0 / (1.0 + own[:, None] ** 2 * sites.precision)
        inner = loads.transpose(0, 2, 1) @ (loads * (kept * sites.precision)[:, :, None])
        inner = np.asarray(inner + np.eye(inner.shape[1]))
        return _Split(kept, inner, np.asarray(np.linalg.inv(inner)))


def joint(loads: Array, own: Array, sites: Normals) -> tuple[Array, Normals, Array]:
    """Mean (H, C) of prior times sites, each cell's cavity, and log |I + K Lambda|.

    A cavity is what is left of a cell's Gaussian without its site. Where a site is a million times
    more precise, the difference of their precisions is lost in rounding; the diagonal of
    (I + K Lambda)^-1, which is the share of precision that is not the site's, is not.
    """
    split = _Split.of(loads, own, sites)
    kept, within = split.kept, own[:, None] ** 2 * split.kept
    spread = ((loads @ split.common) * loads).sum(2)
    told = loads.transpose(0, 2, 1) @ (kept * sites.pull)[:, :, None]
    centre = kept * (loads @ (split.common @ told))[:, :, 0] + within * sites.pull
    variance = within + kept**2 * spread
    left = np.clip(kept * (1 - kept * sites.precision * spread), 1e-15, 1.0)
    cavity = Normals(left / variance, (centre - variance * sites.pull) / variance)
    return centre, cavity, np.linalg.slogdet(split.inner)[1] - np.log(kept).sum(1)


def _covariance(loads: Array, own: Array, sites: Normals) -> Array:
    """Covariance of prior times sites: (H, C, C)."""
    split = _Split.of(loads, own, sites)
    reached = loads * split.kept[:, :, None]
    shared = reached @ split.common @ reached.transpose(0, 2, 1)
    within = own[:, None] ** 2 * split.kept
    return np.asarray(shared + within[:, :, None] * np.eye(loads.shape[1]))


def _mismatch(centre: Array, tilted: Tilted, forms: Array, fresh: Array) -> Array:
    """How far each setting is from rest: (H,).

    The largest gap between Gaussian and tilted means, in standard deviations, or change of a form's
    chances.
    """
    gaps = (centre - tilted.mean) / np.sqrt(tilted.variance)
    turned = normalised(forms.sum(1)) - normalised(fresh.sum(1))
    return np.asarray(np.abs(np.concatenate([gaps, turned], axis=1)).max(1))


# forms: a discrete unknown shared by all cells, from which each may stray


def normalised(logs: Array) -> Array:
    """Probabilities in proportion to exp(logs), summing to 1 along the last axis."""
    weights = np.exp(logs - logs.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _log_mean(logs: Array, weights: Array) -> Array:
    """Log of the mean of exp(logs) (..., F) under weights (F,)."""
    top = logs.max(-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]) @ weights))


def _shared(log_messages: Array, form_weights: Array) -> Array:
    """A form's chances for a cell that has not spoken itself: (..., F)."""
    shared = normalised(log_messages + np.log(form_weights))
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


def tilt(cavity: Normals, forms: Array, grids: Grids) -> Tilted:
    """Likelihood times cavity (H, C) and form chances (H, C, F), integrated on the nodes."""
    precision, pull = cavity.precision.T[:, :, None], cavity.pull.T[:, :, None]
    off = grids.m[:, None, :] - pull / precision
    logs = grids.log_volume[:, None, :] - 0.5 * precision * off**2
    top = logs.max(2)
    bare = np.exp(logs - top[:, :, None])
    by_form = (grids.relative @ bare[:, :, :, None])[..., 0]
    weights = forms.transpose(1, 0, 2)
    total = np.maximum((by_form * weights).sum(2), 1e-300)
    bare /= total[:, :, None]
    masses = bare * (weights[:, :, None, :] @ grids.relative)[:, :, 0, :]
    mean = (masses @ grids.m[:, :, None])[:, :, 0]
    spread = (masses * (grids.m[:, None, :] - mean[:, :, None]) ** 2).sum(2)
    # at least the spread inside a node's own interval, so that no variance is zero; added to all
    # variances it would pass for less evidence in every cell
    least = (masses @ grids.width[:, :, None] ** 2)[:, :, 0] / 12
    scale = top.T + 0.5 * np.log(cavity.precision / (2 * np.pi))
    return Tilted(
        log_form=scale[:, :, None] + np.log(by_form + 1e-300).transpose(1, 0, 2),
        mean=mean.T,
        variance=np.maximum(spread, least).T,
        bare=bare,
        masses=masses,
    )


def _sites(tilted: Tilted, cavity: Normals) -> Normals:
    """Sites that give the tilted moments, their precision clipped to be non-negative.

    A lapse can make the tilted spread wider than the cavity's; a site that said so could leave
    the whole without a covariance. The tilted mean is kept all the same.
    """
    precision = np.maximum(1.0 / tilted.variance - cavity.precision, 0.0)
    return Normals(precision, (precision + cavity.precision) * tilted.mean - cavity.pull)
