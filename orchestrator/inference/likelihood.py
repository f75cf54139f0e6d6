"""What the tallies of one cell say about its threshold and slope, tabulated where it matters.

A cell's table is laid where its own counts and a rounded word from its neighbours agree. Both stay
the same for most cells from one trial to the next, so tables are remembered: a new outcome costs
one or two new tables, not one for every cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.link import FORMS, Form, admissible, chances
from orchestrator.inference.nodes import Nodes, coarseness, refined, seeded

Array = NDArray[np.float64]
Counts = tuple[tuple[int, int, int], ...]
"""The answered trials of one cell: (n, successes, failures) by ascending n."""

M_NODES, L_NODES = 48, 15
"""Nodes of log n_star and, in the reach of the word, of log s. Doubling both moves interval ends by
under 2% of their width in the tests."""

L_REACH = 2.6
"""Nodes of log s span this many spreads of the word on either side."""

L_BELOW, L_ABOVE = (5.0, 3.6, 2.6, 1.8, 1.1, 0.5), (1.0, 3.0)
"""Further nodes this far beyond either end, for a cell whose slope is unlike the others'."""

FEWEST_PASSES, PASSES = 3, 6
"""Passes that only move the nodes; spacing shrinks up to tenfold in each. The first ones find the
mass, the next the edges of a box."""

SEEDED_GAPS = 4
"""Gaps between tested n that get nodes of their own in the first pass."""

FINE_ENOUGH = 0.4
"""Node spacing, in posterior standard deviations, at which the nodes rest. Chosen by hand."""

ROUGH_FORMS = (0, 4)
"""Forms that place the nodes: a clean and a lapsing curve."""

WORD_STEPS = 2
"""A word's centre is rounded to this share of its spread."""

DISTRUST = 1.5
"""A word's spread is widened by this when nodes are placed: it is rounded, and not the last one."""

FAR = -4.0
"""Log weight, when nodes are placed, of slopes that the word knows nothing of."""

REMEMBERED = 2048
"""Tables kept in memory, about 70 kB each."""


@dataclass(frozen=True)
class Word:
    """What the other cells say of (m, l), rounded: centres and spreads."""

    m: float
    sd_m: float
    l: float
    sd_l: float

    @staticmethod
    def rounded(m: float, sd_m: float, l: float, sd_l: float) -> "Word":
        """Spreads to powers of the root of two, centres to halves of the spread."""
        return Word(*_rounded(m, sd_m), *_rounded(l, sd_l))


def _rounded(centre: float, spread: float) -> tuple[float, float]:
    size = 2.0 ** (round(2 * math.log2(min(max(spread, 1e-4), 16.0))) / 2)
    return round(centre / size * WORD_STEPS) * size / WORD_STEPS, size


@dataclass(frozen=True)
class Table:
    """The likelihood of one cell at its nodes m (G,) and l (S,), ascending, for F forms.

    The likelihood of form f at (m, l) is exp(top[m]) * relative[f, m, l] up to a constant: `top`
    (G,) is the largest log-likelihood at m, `relative` (F, G, S) in [0, 1].
    """

    m: Nodes
    l: Array
    top: Array
    relative: Array


@lru_cache(maxsize=REMEMBERED)
def tabulated(counts: Counts, low: float, high: float, word: Word, level: float) -> Table:
    """The table of one cell whose log n_star is sought between `low` and `high`."""
    forms = admissible(FORMS, level)
    core = word.l + word.sd_l * np.linspace(-L_REACH, L_REACH, L_NODES)
    l = np.concatenate([core[0] - np.array(L_BELOW), core, core[-1] + np.array(L_ABOVE)])
    m = _placed(counts, low, high, word, level, forms, l)
    logs = log_likelihood(counts, forms, level, m.x[0], l)
    top = logs.max((0, 2))
    return Table(m, l, top, np.exp(logs - top[:, None]))


def log_likelihood(
    counts: Counts, forms: Sequence[Form], level: float, m: Array, l: Array
) -> Array:
    """Log-likelihood of the counts at nodes m: (G,) and l: (S,) under each form: (F, G, S)."""
    values = np.zeros((len(forms), len(m), len(l)))
    if not counts:
        return values
    n, successes, failures = np.array(counts, dtype=np.float64).T
    won, lost = successes > 0, failures > 0
    u = np.exp(l)[None, :, None] * (np.log(n) - m[:, None, None])
    for number, form in enumerate(forms):
        success, failure = chances(form, level, u)
        values[number] = np.log(success[..., won]) @ successes[won]
        values[number] += np.log(failure[..., lost]) @ failures[lost]
    return values


def _placed(
    counts: Counts,
    low: float,
    high: float,
    word: Word,
    level: float,
    forms: Sequence[Form],
    l: Array,
) -> Nodes:
    """Nodes of m, one row, moved by rough passes to where the cell's mass is."""
    spread = DISTRUST * word.sd_m
    around = word.m + spread * np.array([-3.0, -2.0, -1.2, -0.6, 0.0, 0.6, 1.2, 2.0, 3.0])
    seeds = np.concatenate([around, likely_gaps(counts, SEEDED_GAPS)])
    m = seeded(np.array([low]), np.array([high]), M_NODES, [seeds])
    few = [forms[f] for f in ROUGH_FORMS if f < len(forms)]
    in_l = np.maximum(-0.5 * ((l - word.l) / (DISTRUST * word.sd_l)) ** 2, FAR)
    for number in range(PASSES):
        logs = log_likelihood(counts, few, level, m.x[0], l) + in_l
        logs -= 0.5 * (((m.x[0] - word.m) / spread) ** 2)[:, None]
        masses = np.exp(logs - logs.max()).sum((0, 2)) * m.weights[0]
        along = masses[None, :] / masses.sum()
        rough = coarseness(m, along)[0]
        m = refined(m, along)
        if rough < FINE_ENOUGH and number + 1 >= FEWEST_PASSES:
            break
    return m


def likely_gaps(counts: Counts, most: int) -> Array:
    """Five log n inside each of the `most` gaps between tested n that best part failures from
    successes: where a step would hide, too narrow for nodes laid evenly.
    """
    if len(counts) < 2:
        return np.empty(0)
    n, successes, failures = np.array(counts, dtype=np.float64).T
    failures_left = np.cumsum(failures)[:-1]
    successes_right = successes.sum() - np.cumsum(successes)[:-1]
    best = np.argsort(-(failures_left + successes_right), kind="stable")[:most]
    start, step = np.log(n)[best], np.diff(np.log(n))[best]
    return np.asarray(
        (start[:, None] + step[:, None] * np.array([0.1, 0.3, 0.5, 0.7, 0.9])).ravel()
    )
