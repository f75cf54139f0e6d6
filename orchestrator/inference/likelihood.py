"""What the tallies of one cell say about its threshold and slope, tabulated on nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.link import Form, chances
from orchestrator.inference.nodes import Nodes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """The answered trials of one cell by distinct n, ascending: log n, successes, failures."""

    log_n: Array
    successes: Array
    failures: Array


def table(
    counts: Sequence[Counts], forms: Sequence[Form], level: float, m: Nodes, l: Nodes
) -> Array:
    """Log-likelihood of each cell at its nodes: (C, F, G, S), up to a constant per cell.

    F forms, C cells, G nodes of m = log n_star, S nodes of l = log s.
    """
    values = np.zeros((len(counts), len(forms), m.x.shape[1], l.x.shape[1]))
    for place, cell in enumerate(counts):
        if len(cell.log_n):
            u = np.exp(l.x[place])[None, :, None] * (cell.log_n - m.x[place][:, None])[:, None, :]
            for number, form in enumerate(forms):
                success, failure = chances(form, level, u)
                values[place, number] = (
                    np.log(success) @ cell.successes + np.log(failure) @ cell.failures
                )
    return values


def likely_gaps(counts: Counts, most: int) -> Array:
    """Five log n inside each of the `most` gaps between tested n that best part failures from
    successes: where a step would hide, too narrow for nodes laid evenly.
    """
    if len(counts.log_n) < 2:
        return np.empty(0)
    failures_left = np.cumsum(counts.failures)[:-1]
    successes_right = counts.successes.sum() - np.cumsum(counts.successes)[:-1]
    best = np.argsort(-(failures_left + successes_right), kind="stable")[:most]
    start, step = counts.log_n[best], np.diff(counts.log_n)[best]
    return np.asarray(
        (start[:, None] + step[:, None] * np.array([0.1, 0.3, 0.5, 0.7, 0.9])).ravel()
    )
