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
    """Log-likelihood of each cell at its nodes: (F, C, G, S), up to a constant per cell.

    F forms, C cells, G nodes of m = log n_star, S nodes of l = log s.
    """
    values = np.zeros((len(forms), len(counts), m.x.shape[1], l.x.shape[1]))
    for place, cell in enumerate(counts):
        if len(cell.log_n):
            u = np.exp(l.x[place])[None, :, None] * (cell.log_n - m.x[place][:, None])[:, None, :]
            for number, form in enumerate(forms):
                success, failure = chances(form, level, u)
                values[number, place] = (
                    np.log(success) @ cell.successes + np.log(failure) @ cell.failures
                )
    return values
