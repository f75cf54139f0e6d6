"""P(success | n, d, k) and its posterior: from counts of successes to thresholds.

Model
    P = lapses + link(s(d, k) * (log n - m(d, k))), anchored so that P = level at log n = m
    (`link`). m follows a power law in d and k plus a Gaussian-process remainder, log s a power law
    plus a deviation of each cell's own (`prior`). The settings, that is the form of the curve
    (link and lapses) and the scale of the remainder, are averaged over a grid weighted by evidence.

Inference
    Expectation propagation between cells, quadrature inside each (`coupling`). Beside a nested
    Laplace approximation with slopes on a grid, sites integrated exactly hold boxes, half lines and
    lapses as they are, need no line search, let each cell have a slope of its own, and cost less.
    For one cell the result is the exact integral, up to the nodes.

Everything is a pure function of the values given: tallies may come in any order, and the result is
the same bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.coupling import Coupled, couple
from orchestrator.inference.likelihood import Counts, likely_gaps, table
from orchestrator.inference.link import FORMS, Form, admissible
from orchestrator.inference.nodes import Nodes, coarseness, evenly, refined, seeded
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.prior import SCALES, Cell, Prior, prior
from orchestrator.inference.threshold import Asked, Tally

Array = NDArray[np.float64]

M_NODES, L_NODES = 64, 14
"""Nodes of log n_star and of log s per cell. Doubling both moves interval ends by under 1% of
their width in the tests."""

COARSE_PASSES = 8
"""Most passes that only move the nodes; spacing shrinks up to tenfold in each, three are usual."""

SEEDED_GAPS = 6
"""Gaps between tested n that get nodes of their own in the first pass."""

FINE_ENOUGH = 0.4
"""Node spacing, in posterior standard deviations, at which the nodes rest. Chosen by hand."""

COARSE_FORMS, COARSE_SCALES = (0, 5), (1, 3)
"""Settings of the coarse passes: a clean and a lapsing curve, a tight and a loose law."""

LOG_SLOPES = (-2.5, 8.0)
"""Reach of log s: from 0.08 (no transition at all) to 3,000 (a jump between integers at 3,000)."""


def fit(
    asked: Sequence[Asked],
    tallies: Sequence[Tally],
    *,
    level: float,
    confidence: float,
    tolerance: float,
) -> Posterior:
    """The posterior of every asked threshold, given all tallies of one arm.

    Tallies at (d, k) that nobody asked for inform the law all the same. Where there are gaps, the
    data are fitted twice more, with all gaps as successes and as failures.
    Raises `ValueError` when nothing is asked or a range is empty.
    """
    _check(asked, tallies)
    merged = _merged(tallies)
    posterior = _fit(asked, merged, level, confidence, tolerance)
    if not any(tally.gaps for tally in merged):
        return posterior
    others = [
        _fit(asked, _filled(merged, as_successes), level, confidence, tolerance)
        for as_successes in (True, False)
    ]
    medians = np.array([[other.quantile(i, 0.5) for i in range(len(asked))] for other in others])
    return replace(posterior, with_gaps_filled=medians)


def _check(asked: Sequence[Asked], tallies: Sequence[Tally]) -> None:
    if not asked:
        raise ValueError("no threshold is asked; give at least one (d, k)")
    for ask in asked:
        if not 1 <= ask.low <= ask.high:
            raise ValueError(f"d={ask.d} k={ask.k}: range {ask.low}..{ask.high} of n is empty")
    for tally in tallies:
        if not (0 <= tally.successes <= tally.trials and tally.gaps >= 0 and tally.n >= 1):
            raise ValueError(f"impossible tally: {tally}")


def _merged(tallies: Sequence[Tally]) -> tuple[Tally, ...]:
    """One tally per point, in order of (d, k, n); points without trials or gaps left out."""
    sums: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for tally in tallies:
        key = (tally.d, tally.k, tally.n)
        s, t, g = sums.get(key, (0, 0, 0))
        sums[key] = (s + tally.successes, t + tally.trials, g + tally.gaps)
    return tuple(
        Tally(d, k, n, s, t, g) for (d, k, n), (s, t, g) in sorted(sums.items()) if t + g > 0
    )


def _filled(tallies: Sequence[Tally], as_successes: bool) -> tuple[Tally, ...]:
    return tuple(
        Tally(t.d, t.k, t.n, t.successes + (t.gaps if as_successes else 0), t.trials + t.gaps)
        for t in tallies
    )


def _fit(
    asked: Sequence[Asked],
    tallies: tuple[Tally, ...],
    level: float,
    confidence: float,
    tolerance: float,
) -> Posterior:
    cells = tuple(sorted({(a.d, a.k) for a in asked} | {(t.d, t.k) for t in tallies}))
    believed = prior(cells, asked)
    counts = [_counts(cell, tallies) for cell in cells]
    forms = admissible(FORMS, level)
    m, l = _placed(believed, counts, forms, level)
    settings = [(f, c) for f in range(len(forms)) for c in range(len(SCALES))]
    coupled, weights = _averaged(believed, counts, forms, settings, level, m, l)
    kept = np.flatnonzero(weights > 1e-5 * weights.max())
    return Posterior(
        asked=tuple(asked),
        tallies=tallies,
        level=level,
        confidence=confidence,
        tolerance=tolerance,
        cells=cells,
        forms=tuple(forms[settings[h][0]] for h in kept),
        weights=weights[kept] / weights[kept].sum(),
        mean=coupled.mean[kept],
        covariance=coupled.covariance[kept],
        masses=coupled.masses[:, kept],
        m=m,
        l=l,
    )


def _counts(cell: Cell, tallies: Sequence[Tally]) -> Counts:
    own = [t for t in tallies if (t.d, t.k) == cell and t.trials]
    successes = np.array([t.successes for t in own], dtype=np.float64)
    failures = np.array([t.trials - t.successes for t in own], dtype=np.float64)
    return Counts(np.log(np.array([t.n for t in own], dtype=np.float64)), successes, failures)


def _placed(
    believed: Prior, counts: Sequence[Counts], forms: Sequence[Form], level: float
) -> tuple[Nodes, Nodes]:
    """Nodes of m and of l for each cell, moved by coarse passes to where the posterior is."""
    flat = np.full(len(counts), LOG_SLOPES[0]), np.full(len(counts), LOG_SLOPES[1])
    seeds = [likely_gaps(cell, SEEDED_GAPS) for cell in counts]
    m = seeded(believed.reach[:, 0], believed.reach[:, 1], M_NODES, seeds)
    l = evenly(*flat, L_NODES)
    if not any(len(cell.log_n) for cell in counts):
        return m, l
    few = tuple(forms[f] for f in COARSE_FORMS if f < len(forms))
    settings = [(f, c) for f in range(len(few)) for c in COARSE_SCALES]
    for _ in range(COARSE_PASSES):
        coupled, weights = _averaged(believed, counts, few, settings, level, m, l)
        masses = np.einsum("h,chgs->cgs", 0.9 * weights + 0.1 / len(weights), coupled.masses)
        along = masses.sum(2)
        rough = coarseness(m, along).max()
        m, l = refined(m, along), refined(l, masses.sum(1))
        if rough < FINE_ENOUGH:
            break
    return m, l


def _averaged(
    believed: Prior,
    counts: Sequence[Counts],
    forms: Sequence[Form],
    settings: Sequence[tuple[int, int]],
    level: float,
    m: Nodes,
    l: Nodes,
) -> tuple[Coupled, Array]:
    """The posterior under each setting (form, scale), and the settings' posterior weights."""
    likelihood = table(counts, forms, level, m, l)
    observed = np.array([len(cell.log_n) > 0 for cell in counts])
    covariance = believed.select([scale for _, scale in settings])
    chosen = likelihood[:, [form for form, _ in settings]]
    coupled = couple(believed.mean, covariance, chosen, m, l, observed)
    logs = coupled.log_evidence + np.log([forms[form].weight for form, _ in settings])
    weights = np.exp(logs - logs.max())
    return coupled, weights / weights.sum()
