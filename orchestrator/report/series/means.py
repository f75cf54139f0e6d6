"""The mean of a measure over the trials of each cell against n, and what theory says of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.claims import values_at
from orchestrator.inference.mean import mean_interval
from orchestrator.report.series.learning import judged_by
from orchestrator.report.words import confidence
from orchestrator.spec.theory import Theory

MOST_SERIES = 3
"""(d, k) of an arm that are drawn: the first, the last, and one between. By hand."""
STEPS = 60
"""n at which a formula of theory is evaluated, evenly spread in their logarithm. By hand."""


@dataclass(frozen=True)
class Mean:
    """The mean over the trials at one n; one trial has no interval."""

    n: int
    trials: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Lost:
    """An n without a mean: `without` of its `trials` have no such number."""

    n: int
    trials: int
    without: int


@dataclass(frozen=True)
class Claimed:
    """What theory says along n: a formula as a curve, or `points` at single n."""

    n: tuple[int, ...]
    mean: tuple[float, ...]
    source: str
    points: bool


@dataclass(frozen=True)
class Means:
    """One (d, k) of an arm, by n."""

    d: int
    k: int
    means: tuple[Mean, ...]
    lost: tuple[Lost, ...]
    theory: tuple[Claimed, ...]


def mean_measures(answer: Answer) -> list[str]:
    """Measures whose means are shown: those of claims, and the criterion's where n is not sought.

    A search chooses n by what it saw there, a few trials at a time; in a grid and a Sobol sequence
    every point has its repeats.
    """
    measured = {name for row in answer.rows for name in row.measures}
    claimed = [one.measure for arm in answer.arms for one in arm.means if one.measure]
    spread = answer.search is not None and answer.search.kind in ("grid", "sobol")
    judged = sorted(judged_by(answer)) if spread else []
    return [name for name in dict.fromkeys([*claimed, *judged]) if name in measured]


def means(answer: Answer, index: int, measure: str) -> list[Means]:
    """Of up to three (d, k) of an arm; empty where none of its trials has the measure.

    An n with a trial that has no such number, a gap or one that diverged, has no mean: that of the
    others would be one over survivors. Of a tuned learner these are trials of the setting chosen
    at (d, k): settings are never pooled.
    """
    arm, cells = answer.arms[index], _cells(answer, index, measure)
    return [_means(arm, measure, place, cells[place]) for place in _thinned(sorted(cells))]


def drawn_of_all(answer: Answer, index: int, measure: str) -> tuple[int, int]:
    """How many (d, k) of an arm are shown, and how many there are."""
    cells = sorted(_cells(answer, index, measure))
    return len(_thinned(cells)), len(cells)


_Cells = dict[tuple[int, int], dict[int, list[float]]]


def _cells(answer: Answer, index: int, measure: str) -> _Cells:
    """Values by (d, k) and n."""
    tuned = {(one.asked.d, one.asked.k): one.tuned for one in answer.arms[index].thresholds}
    rows = [
        row
        for row in answer.rows
        if row.arm == index and row.tuned == tuned.get((row.point.d, row.point.k), {})
    ]
    cells: _Cells = defaultdict(dict)
    if any(measure in row.measures for row in rows):
        for (d, n, k), values in sorted(values_at(rows, measure).items()):
            cells[d, k][n] = values
    return cells


def _thinned(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(places) <= MOST_SERIES:
        return list(places)
    return [places[0], places[len(places) // 2], places[-1]]


def _means(
    arm: ArmAnswer, measure: str, place: tuple[int, int], cells: dict[int, list[float]]
) -> Means:
    missing = {n: int(np.isnan(values).sum()) for n, values in cells.items()}
    entries = [one for one in arm.means if one.measure == measure]
    return Means(
        *place,
        tuple(_mean(n, values, confidence(arm)) for n, values in cells.items() if not missing[n]),
        tuple(Lost(n, len(cells[n]), count) for n, count in missing.items() if count),
        tuple(_theory(entries, place, list(cells))),
    )


def _mean(n: int, values: Sequence[float], level: float) -> Mean:
    if len(values) < 2:
        return Mean(n, 1, values[0], None, None)
    found = mean_interval(values, level)
    return Mean(n, len(values), found.value, found.low, found.high)


def _theory(
    entries: Sequence[Theory], place: tuple[int, int], tried: Sequence[int]
) -> list[Claimed]:
    """Each entry's curve; entries of one source that speak of one n each are points of one line."""
    (d, k), curves = place, []
    steps = np.geomspace(min(tried), max(tried), STEPS).round().astype(int).tolist()
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for entry in entries:
        said = {
            n: value
            for n in sorted({*steps, *tried})
            if (value := entry.mean_at(d, n, k)) is not None
        }
        if len(said) > 1:
            curves.append(Claimed(tuple(said), tuple(said.values()), entry.source, points=False))
        points[entry.source] |= said if len(said) == 1 else {}
    return curves + [
        Claimed(tuple(sorted(said)), tuple(said[n] for n in sorted(said)), source, points=True)
        for source, said in points.items()
        if said
    ]
