"""P(success | n, d, k) and its posterior: from counts of successes to thresholds.

Model
    P = lapses + link(s(d, k) * (log n - m(d, k))), anchored so that P = level at log n = m
    (`link`). m follows a smooth law in d and k plus a deviation of each cell's own, log s a power
    law plus the same (`prior`). The form of the curve (link and lapses) is shared by all cells, but
    each may stray from it; how far laws bend and cells deviate is averaged over, weighted by
    evidence.

Inference
    Slopes on a grid (`settings`), expectation propagation between cells given a slope, quadrature
    inside each (`coupling`). Beside a Laplace approximation, sites integrated exactly hold boxes,
    half lines and lapses as they are, need no line search, and let each cell stray from the slope.
    For one cell the result is the exact integral, up to the nodes.

Everything is a pure function of the values given: tallies may come in any order, and the result is
the same bit for bit on one machine with one number of BLAS threads. What is remembered between
calls saves time and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.coupling import Coupled, Normals, couple, normalised
from orchestrator.inference.likelihood import Counts, Table, Word, tabulated
from orchestrator.inference.link import FORMS, admissible
from orchestrator.inference.marginals import Marginals
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.prior import OWN_SLOPE_SD, SCALE_WEIGHTS, Prior, prior
from orchestrator.inference.settings import NEGLIGIBLE, Grid, Settings
from orchestrator.inference.threshold import Asked, Tally

Array = NDArray[np.float64]

OPENING, SCOUTS = (2,), (1, 2, 4)
"""Scales of the first pass and of those after it, which find out where the cells' masses and the
slopes are. Laws that hold, that bend, and that do not hold: a law that contradicts the outcomes
would find all slopes gentle."""

SCOUTING = 2
"""Sweeps before tables and grid are laid again."""

LAYINGS = 12
"""Most times that they are laid again; three or four are usual."""


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
    forms = admissible(FORMS, level)
    form_weights = np.array([form.weight for form in forms])
    form_weights = form_weights / form_weights.sum()
    counts: dict[tuple[int, int], list[tuple[int, int, int]]] = {cell: [] for cell in cells}
    for t in tallies:
        if t.trials:
            counts[t.d, t.k].append((t.n, t.successes, t.trials - t.successes))
    data = [tuple(counts[cell]) for cell in cells]
    coupled, settings, weights, tables = _settled(believed, data, form_weights, level)
    kept = np.flatnonzero(weights > 1e-4 * weights.max())
    marginals = Marginals(
        level=level,
        believed=believed,
        forms=forms,
        settings=settings.at(kept),
        weights=weights[kept] / weights[kept].sum(),
        cavity=coupled.cavity.rows(kept),
        form_words=coupled.forms[kept],
        tables=tables,
    )
    return Posterior(
        asked=tuple(asked),
        tallies=tallies,
        confidence=confidence,
        tolerance=tolerance,
        marginals=marginals,
        covariance=coupled.covariance[kept],
    )


def _settled(
    believed: Prior, data: Sequence[Counts], form_weights: Array, level: float
) -> tuple[Coupled, Settings, Array, tuple[Table, ...]]:
    """The posterior under each setting, the settings' weights, and tables laid where masses are.

    Words decide where tables lie and the evidence where the grid of slopes lies; both follow from
    a pass over tables and grid. Passes with a few scales and sweeps go on until neither moves far;
    the last has every scale.
    """
    observed = np.array([place for place, own in enumerate(data) if own], dtype=np.int64)
    grid = Grid.believed(bool(np.ptp(believed.log_d) > 0))
    spreads = np.sqrt(believed.covariance.max(0).diagonal())
    words = [
        Word.rounded(centre, spread, *_slope_word(grid, log_d))
        for centre, spread, log_d in zip(believed.mean, spreads, believed.log_d, strict=True)
    ]
    start: Normals | None = None
    log_weights = np.log(SCALE_WEIGHTS)
    for number in range(LAYINGS if len(observed) else 0):
        tables = _laid(believed, data, words, level)
        seen = [tables[place] for place in observed]
        line, scouts = Settings.on(grid), list(SCOUTS if number else OPENING)
        in_a, origin = line.with_scales(log_weights[scouts])
        in_a = replace(in_a, scale=np.array(scouts)[in_a.scale])
        in_b = Settings.about(grid, SCOUTS[1], log_weights[SCOUTS[1]])
        settings = in_a.and_also(in_b)
        coupled = couple(
            believed, seen, observed, form_weights, settings, start=start, sweeps=SCOUTING
        )
        logs = coupled.log_evidence + settings.log_weight
        weights = normalised(logs)
        start = coupled.sites.rows(np.array([weights.argmax()]))
        by_a = np.asarray(np.bincount(origin, normalised(logs[: len(origin)])), np.float64)
        further = grid.toward((line.a, by_a), (in_b.b, normalised(logs[len(origin) :])))
        fresh = _words(coupled, weights, believed, further)
        moves = [_is_far(a, b) for a, b in zip(words, fresh, strict=True)]
        if grid.is_near(further) and not any(moves):
            break
        grid = further
        words = [b if move else a for a, b, move in zip(words, fresh, moves, strict=True)]
    settings = Settings.on(grid)
    if start is not None:
        # values of a that the scouts have no use for are left out for all scales
        settings = settings.at(np.flatnonzero(by_a > NEGLIGIBLE * by_a.max()))
    settings, _ = settings.with_scales(log_weights)
    tables = _laid(believed, data, words, level)
    coupled = couple(
        believed,
        [tables[place] for place in observed],
        observed,
        form_weights,
        settings,
        start=start,
    )
    return coupled, settings, normalised(coupled.log_evidence + settings.log_weight), tables


def _laid(
    believed: Prior, data: Sequence[Counts], words: Sequence[Word], level: float
) -> tuple[Table, ...]:
    return tuple(
        tabulated(own, *ends, word, level)
        for own, ends, word in zip(data, believed.reach.tolist(), words, strict=True)
    )


def _words(coupled: Coupled, weights: Array, believed: Prior, grid: Grid) -> list[Word]:
    """What the other cells say of each; no setting's weight is taken for less than a share."""
    shares = 0.8 * weights + 0.2 / len(weights)
    at = coupled.cavity.pull / coupled.cavity.precision
    centre = shares @ at
    spread = np.sqrt(shares @ (1 / coupled.cavity.precision + (at - centre) ** 2))
    return [
        Word.rounded(m, sd_m, *_slope_word(grid, log_d))
        for m, sd_m, log_d in zip(centre + believed.mean, spread, believed.log_d, strict=True)
    ]


def _slope_word(grid: Grid, log_d: float) -> tuple[float, float]:
    """Centre and spread of a cell's log s that its nodes must reach."""
    return grid.a + grid.b * log_d, float(
        np.sqrt(grid.sd_a**2 + (grid.sd_b * log_d) ** 2 + OWN_SLOPE_SD**2)
    )


def _is_far(old: Word, new: Word) -> bool:
    """Whether tables laid for the old word may miss what the new one points at."""
    return (
        not 0.4 < new.sd_m / old.sd_m < 2.5
        or not 0.4 < new.sd_l / old.sd_l < 1.5
        or abs(new.m - old.m) > 1.1 * old.sd_m
        or abs(new.l - old.l) > 0.6 * old.sd_l
    )
