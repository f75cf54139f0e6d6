"""How measures moved while learning: mean and quantiles over the trials of a cell, step by step."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold, TrialRow
from orchestrator.domain.curves import spreads
from orchestrator.report.series.rates import Floats

MOST_CELLS = 3
"""Cells of an arm whose curves are drawn: the least d, the greatest, and one between. By hand."""
NEAR = 1.2
"""How far from n_star, as a ratio, cells count as at the threshold: of those the one with most
trials is drawn, since a search tries many n a few times each. By hand."""
MOST_STEPS = 80
"""Logged steps that are drawn, evenly spread in their logarithm. By hand: a panel is 250 pixels."""
MOST_MEASURES = 2
"""Measures that get a picture of their own: the criterion's first. By hand."""


Cell = tuple[int, int, int]
"""A (d, k, n)."""


@dataclass(frozen=True)
class Learning:
    """One cell's curves of a measure: at each step of at least 1 how many trials logged it (int),
    their mean, and their 10%, 50% and 90% quantiles.
    """

    d: int
    k: int
    n: int
    trials: int
    steps: Floats
    counts: Floats
    mean: Floats
    low: Floats
    median: Floats
    high: Floats


def learned_measures(answer: Answer) -> list[str]:
    """Measures that were logged while learning, that of the criterion first."""
    names = {name for row in answer.rows for name, curve in row.curves.items() if len(curve) > 1}
    judged = judged_by(answer)
    return sorted(names, key=lambda name: (name not in judged, name))[:MOST_MEASURES]


def judged_by(answer: Answer) -> set[str]:
    """The measure of the criterion, among any other words in it."""
    return set(re.findall(r"[A-Za-z_]\w*", answer.criterion))


def learning(answer: Answer, index: int, measure: str) -> list[Learning]:
    """Of up to three d, a cell at its threshold, by d; empty where nothing was logged.

    Of a tuned learner these are trials of the setting chosen there: settings are never pooled.
    """
    arm = answer.arms[index]
    tuned = {(one.asked.d, one.asked.k): one.tuned for one in arm.thresholds}
    cells: dict[Cell, list[TrialRow]] = defaultdict(list)
    for row in answer.rows:
        d, n, k = row.point.d, row.point.n, row.point.k
        logged = row.arm == index and len(row.curves.get(measure, ())) > 1
        if logged and row.tuned == tuned.get((d, k)):
            cells[d, k, n].append(row)
    return [_learning(cell, measure, cells[cell]) for cell in _near(arm, cells)]


def _near(arm: ArmAnswer, cells: Mapping[Cell, Sequence[TrialRow]]) -> list[Cell]:
    """By d, the cell with most trials of those near a threshold; where none is, the nearest."""
    by_d: dict[int, tuple[tuple[bool, float], Cell]] = {}
    for found in arm.thresholds:
        n_star = _middle(found)
        for cell in cells:
            if cell[:2] != (found.asked.d, found.asked.k):
                continue
            far = abs(math.log(cell[2] / n_star))
            near = far <= math.log(NEAR)
            rank = (not near, -len(cells[cell]) if near else far)
            by_d[cell[0]] = min(by_d.get(cell[0], (rank, cell)), (rank, cell))
    chosen = [by_d[d][1] for d in sorted(by_d)]
    if len(chosen) <= MOST_CELLS:
        return chosen
    return [chosen[0], chosen[len(chosen) // 2], chosen[-1]]


def _middle(found: FoundThreshold) -> float:
    """Where n_star is, or the best that can be said."""
    one = found.threshold
    return one.n_star or one.low or one.high or float(np.sqrt(found.asked.low * found.asked.high))


def _learning(cell: Cell, measure: str, rows: Sequence[TrialRow]) -> Learning:
    found = {one.step: one for one in spreads(row.curves[measure] for row in rows) if one.step >= 1}
    steps = _spread(sorted(found))

    def along(what: str) -> Floats:
        return np.array([float(getattr(found[step], what)) for step in steps])

    return Learning(
        *cell,
        trials=len(rows),
        steps=np.asarray(steps, dtype=float),
        counts=along("trials"),
        mean=along("mean"),
        low=along("q10"),
        median=along("median"),
        high=along("q90"),
    )


def _spread(steps: list[int]) -> list[int]:
    """At most `MOST_STEPS` of the steps, the first and the last among them."""
    if len(steps) <= MOST_STEPS:
        return steps
    places = np.searchsorted(steps, np.geomspace(steps[0], steps[-1], MOST_STEPS).round())
    return [steps[place] for place in np.unique(places.clip(0, len(steps) - 1))]
