"""P(success | n, d, k) and its posterior: from counts of successes to thresholds.

Model
    P = lapses + link(s(d, k) * (log n - m(d, k))), anchored so that P = level at log n = m
    (`link`). m follows a smooth law in d and k plus a deviation of each cell's own, log s a power
    law plus the same (`prior`). The form of the curve (link and lapses) is shared by all cells, but
    each may stray from it; how far laws bend and cells deviate is averaged over, weighted by
    evidence.

Inference
    Expectation propagation between cells, quadrature inside each (`coupling`). Beside a nested
    Laplace approximation with slopes on a grid, sites integrated exactly hold boxes, half lines and
    lapses as they are, need no line search, let each cell have a slope of its own, and cost less.
    For one cell the result is the exact integral, up to the nodes.

Everything is a pure function of the values given: tallies may come in any order, and the result is
the same bit for bit. What is remembered between calls saves time and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.coupling import MAX_SWEEPS, Coupled, Pairs, couple
from orchestrator.inference.likelihood import Counts, Table, Word, tabulated
from orchestrator.inference.link import FORMS, admissible
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.prior import SCALE_WEIGHTS, SCALES, Prior, prior
from orchestrator.inference.threshold import Asked, Tally

Array = NDArray[np.float64]

SCOUTS = (1, 5)
"""Scales of the first pass, which only finds out where the cells' masses are: a law that holds
and one that does not."""

SCOUTING = 3
"""Sweeps before tables are laid again."""

LAYINGS = 6
"""Most times that tables are laid again; two or three are usual."""


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
    coupled, weights, tables = _settled(believed, data, form_weights, level)
    kept = np.flatnonzero(weights > 1e-5 * weights.max())
    return Posterior(
        asked=tuple(asked),
        tallies=tallies,
        level=level,
        confidence=confidence,
        tolerance=tolerance,
        cells=cells,
        forms=forms,
        weights=weights[kept] / weights[kept].sum(),
        prior_mean=believed.mean,
        mean=coupled.mean[kept],
        covariance=coupled.covariance[kept],
        cavity=coupled.cavity.rows(kept),
        form_words=coupled.forms[kept],
        tables=tables,
    )


def _settled(
    believed: Prior, data: Sequence[Counts], form_weights: Array, level: float
) -> tuple[Coupled, Array, tuple[Table, ...]]:
    """The posterior under each scale, the scales' weights, and tables laid where the masses are.

    Words decide where tables lie, tables what words are: the first pass is a scout with two scales,
    each later one begins where the one before ended, until no word has moved far.
    """
    observed = np.array([place for place, own in enumerate(data) if own], dtype=np.int64)
    every = np.arange(len(SCALES))
    scales = np.array(SCOUTS) if len(observed) else every
    spreads = np.sqrt(believed.covariance.max(0).diagonal())
    words = [
        Word.rounded(
            believed.mean[c], spreads[c], believed.mean[c + len(data)], spreads[c + len(data)]
        )
        for c in range(len(data))
    ]
    log_weights = np.log(SCALE_WEIGHTS)
    start: Pairs | None = None
    laying, moved = 0, True
    while True:
        tables = tuple(
            tabulated(own, *ends, word, level)
            for own, ends, word in zip(data, believed.reach.tolist(), words, strict=True)
        )
        last = laying == LAYINGS or not moved
        coupled = couple(
            believed.mean,
            believed.covariance[scales],
            [tables[place] for place in observed],
            observed,
            form_weights,
            log_weights=log_weights[scales],
            start=start,
            sweeps=MAX_SWEEPS if last else SCOUTING,
        )
        logs = coupled.log_evidence + log_weights[scales]
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        if last:
            return coupled, weights, tables
        fresh = _words(coupled, weights, believed.mean)
        moves = [_is_far(a, b) for a, b in zip(words, fresh, strict=True)]
        words = [b if move else a for a, b, move in zip(words, fresh, moves, strict=True)]
        moved = any(moves)
        start = coupled.sites
        if len(scales) < len(every):
            start, scales, moved = start.rows(every * 0 + int(np.argmax(weights))), every, True
        laying += 1


def _words(coupled: Coupled, weights: Array, mean: Array) -> list[Word]:
    """What the other cells say of each, over all scales; a scale's weight is at least a share."""
    shares = 0.8 * weights + 0.2 / len(weights)
    count = len(mean) // 2
    determinant = coupled.cavity.determinant
    at_m, at_l = coupled.cavity.moments()
    var_m, var_l = coupled.cavity.ll / determinant, coupled.cavity.mm / determinant
    centre_m, centre_l = shares @ at_m, shares @ at_l
    sd_m = np.sqrt(shares @ (var_m + (at_m - centre_m) ** 2))
    sd_l = np.sqrt(shares @ (var_l + (at_l - centre_l) ** 2))
    return [
        Word.rounded(centre_m[c] + mean[c], sd_m[c], centre_l[c] + mean[c + count], sd_l[c])
        for c in range(count)
    ]


def _is_far(old: Word, new: Word) -> bool:
    """Whether tables laid for the old word may miss what the new one points at."""
    return (
        not 0.4 < new.sd_m / old.sd_m < 2.5
        or not 0.4 < new.sd_l / old.sd_l < 2.5
        or abs(new.m - old.m) > 1.1 * old.sd_m
        or abs(new.l - old.l) > 1.1 * old.sd_l
    )
