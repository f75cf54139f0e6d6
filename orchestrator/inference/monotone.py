"""Does success fall again as n grows? A question asked of the counts alone, whatever the curve.

Two hidden Markov models over a grid of success chances walk along n. Under the first the chance
never falls; under the second it falls once by at least `FALL`, and may rise again (double descent).
Their evidences come from the forward algorithm, exactly.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.threshold import Tally

Array = NDArray[np.float64]

LEVELS = np.linspace(0.01, 0.99, 25)
"""Grid of success chances; 0.01 from the ends, so that one false outcome is no proof."""

FALL = 0.25
"""Smallest fall that counts: smaller ones leave a threshold meaningful. Chosen by hand."""

PRIOR_FALL = 0.05
"""Chance, before any trial, that success falls again in n. Chosen by hand. A constant chance of
1/2, looked at after each of six rounds, is called not monotone in 1.5% (8 trials a visit) to 3%
(2 trials a visit) of 200 simulated cells at confidence 0.95."""

MOVE = 0.3
"""Chance that the level changes between two neighbouring n. Chosen by hand."""


def chance_of_a_fall(tallies: Sequence[Tally]) -> float:
    """Posterior probability that success falls again, from one cell's tallies."""
    points = sorted((t for t in tallies if t.trials), key=lambda t: t.n)
    counts = tuple((t.successes, t.trials - t.successes) for t in points)
    return _chance_of_a_fall(counts) if len(counts) > 1 else 0.0


@lru_cache(maxsize=4096)
def _chance_of_a_fall(counts: tuple[tuple[int, int], ...]) -> float:
    """Of successes and failures by ascending n; kept, as most cells learn nothing in a round."""
    successes, failures = np.array(counts, dtype=np.float64).T[:, :, None]
    logs = successes * np.log(LEVELS) + failures * np.log1p(-LEVELS)
    steady, falling = _evidence(logs - logs.max(1, keepdims=True))
    odds = PRIOR_FALL / (1 - PRIOR_FALL) * np.exp(np.clip(falling - steady, -500, 500))
    return float(odds / (1 + odds))


def _evidence(logs: Array) -> tuple[float, float]:
    """Log evidence of never falling and of falling once: logs is (points, levels)."""
    likelihood = np.exp(logs)
    rise, fall = _moves(LEVELS[None, :] > LEVELS[:, None]), _moves(_is_fall())
    rise[-1, -1] = 1.0  # the highest level can only stay
    stay = (1 - MOVE) * np.eye(len(LEVELS)) + MOVE * rise
    places = len(logs) - 1
    before = likelihood[0] / len(LEVELS)
    steady, after, scale = before.copy(), np.zeros_like(before), 0.0
    for row in likelihood[1:]:
        # the fall may come between any two neighbouring n, each with equal chance
        after = (after @ stay + before @ fall / places) * row
        before = (before @ stay) * row
        steady = before
        total = before.sum() + after.sum()
        before, after, steady = before / total, after / total, steady / total
        scale += float(np.log(total))
    with np.errstate(divide="ignore"):
        return scale + float(np.log(steady.sum())), scale + float(np.log(after.sum()))


def _is_fall() -> NDArray[np.bool_]:
    return LEVELS[None, :] <= LEVELS[:, None] - FALL


def _moves(allowed: NDArray[np.bool_]) -> Array:
    """Uniform over the allowed next levels; zero from a level that has none."""
    return np.asarray(allowed / np.maximum(allowed.sum(1, keepdims=True), 1))
