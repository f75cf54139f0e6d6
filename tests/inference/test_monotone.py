import itertools

import numpy as np
import pytest

from orchestrator.inference import monotone
from orchestrator.inference.monotone import FALL, LEVELS, MOVE, chance_of_a_fall
from orchestrator.inference.threshold import Tally


def tallies(rates, trials=10):
    return [Tally(5, 1, 10 + i, round(r * trials), trials) for i, r in enumerate(rates)]


def test_a_rise_a_dip_and_a_rise_are_seen():
    assert chance_of_a_fall(tallies([0, 0.9, 1.0, 0.2, 0.1, 0.9, 1.0])) > 0.99


def test_a_plain_rise_is_no_fall():
    assert chance_of_a_fall(tallies([0, 0, 0.1, 0.5, 0.8, 1, 1])) < 0.01


@pytest.mark.parametrize("rates", [[0, 0.4, 0.6, 0.5, 0.9, 1], [0, 0, 1, 1, 1, 0.9]])
def test_noise_of_ten_trials_is_no_fall(rates):
    assert chance_of_a_fall(tallies(rates)) < 0.5


def test_one_false_outcome_is_no_fall():
    single = [Tally(5, 1, n, int(n > 20 and n != 50), 1) for n in range(10, 70, 5)]
    assert chance_of_a_fall(single) < 0.5


def test_noise_of_monotone_curves_is_called_a_fall_less_than_2_percent_of_the_time():
    """300 curves, none may pass 0.95 more than 6 times; at a true rate of 0.5% chance is 1e-3."""
    rng = np.random.default_rng(1)
    calls = 0
    for _ in range(300):
        slope, trials = np.exp(rng.normal(1.8, 0.6)), int(rng.integers(1, 20))
        n = np.unique(np.rint(40 * np.exp(rng.normal(0, 1.5 / slope, 14)))).astype(int)
        p = 1 / (1 + (40 / n) ** slope)
        data = [
            Tally(5, 1, int(a), int(rng.binomial(trials, b)), trials)
            for a, b in zip(n, p, strict=True)
        ]
        calls += chance_of_a_fall(data) >= 0.95
    assert calls <= 6


def test_the_evidence_is_the_sum_over_all_paths(monkeypatch):
    levels = np.array([0.1, 0.5, 0.9])
    monkeypatch.setattr(monotone, "LEVELS", levels)
    data = tallies([0.3, 0.9, 0.4, 0.5], trials=7)
    steady, falling = by_paths(levels, data)
    odds = monotone.PRIOR_FALL / (1 - monotone.PRIOR_FALL) * falling / steady
    assert chance_of_a_fall(data) == pytest.approx(odds / (1 + odds), rel=1e-9)


def by_paths(levels, data):
    steady = falling = 0.0
    for path in itertools.product(range(3), repeat=len(data)):
        chance = (
            np.prod(
                [
                    levels[j] ** t.successes * (1 - levels[j]) ** (t.trials - t.successes)
                    for j, t in zip(path, data, strict=True)
                ]
            )
            / 3
        )
        moves = [rise(levels, a, b) for a, b in itertools.pairwise(path)]
        steady += chance * np.prod(moves)
        for where, (a, b) in enumerate(itertools.pairwise(path)):
            others = np.prod([m for i, m in enumerate(moves) if i != where])
            falling += chance * others * fall(levels, a, b) / len(moves)
    return steady, falling


def rise(levels, a, b):
    higher = np.sum(levels > levels[a])
    if not higher:
        return float(a == b)
    return (1 - MOVE) * (a == b) + MOVE * (levels[b] > levels[a]) / higher


def fall(levels, a, b):
    lower = np.sum(levels <= levels[a] - FALL)
    return (levels[b] <= levels[a] - FALL) / lower if lower else 0.0


def test_levels_are_a_grid_inside_the_unit_interval():
    assert 0 < LEVELS[0] < LEVELS[-1] < 1
