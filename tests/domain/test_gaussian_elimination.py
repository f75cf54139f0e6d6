import itertools
import math

import numpy as np
import pytest

from orchestrator.domain.learners.gaussian_elimination import GaussianElimination, solve
from orchestrator.domain.pack import run_pack
from orchestrator.domain.targets.dense_parity import DenseParity
from tests.builders import a_cell, trials


def solutions(equations: np.ndarray) -> list[tuple[int, ...]]:
    """Every w that satisfies (N, d + 1) equations, by trying all 2^d."""
    left, right = equations[:, :-1].astype(int), equations[:, -1]
    everything = itertools.product([0, 1], repeat=left.shape[1])
    return [w for w in everything if np.array_equal(left @ np.array(w) % 2, right)]


def rank_by_rows(left: np.ndarray) -> int:
    """Rank over GF(2), one row at a time, rows as Python integers."""
    basis: list[int] = []
    for row in left:
        value = int("".join(map(str, row)), 2)
        for one in basis:
            value = min(value, value ^ one)
        if value:
            basis.append(value)
    return len(basis)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 5), (5, 5), (8, 5), (4, 9), (12, 9)])
def test_small_systems_are_solved_as_by_trying_everything(n, d):
    rng = np.random.default_rng(n * d)
    systems = rng.integers(0, 2, size=(60, n, d + 1)).astype(np.uint8)
    systems[::2, :, -1] = systems[::2, :, :-1] @ rng.integers(0, 2, size=d).astype(np.uint8) % 2
    found, ranks = solve(systems)
    for system, w, rank in zip(systems, found, ranks, strict=True):
        possible = solutions(system)
        assert not possible or tuple(w) in possible
        assert not possible or len(possible) == 2 ** (d - rank)


@pytest.mark.parametrize(("n", "d"), [(70, 64), (63, 64), (66, 65), (140, 130), (3, 200)])
def test_ranks_are_right_where_rows_fill_several_words(n, d):
    systems = np.random.default_rng(d).integers(0, 2, size=(8, n, d + 1)).astype(np.uint8)
    _, ranks = solve(systems)
    assert ranks.tolist() == [rank_by_rows(system[:, :-1]) for system in systems]


def test_full_rank_is_as_frequent_as_the_formula_says():
    """Bands of 5 standard deviations at 6 points: a sound solver fails with chance 4e-6."""
    d, count = 20, 1500
    for n in range(d - 1, d + 5):
        cell = a_cell(DenseParity(), GaussianElimination(), d=d, n=n)
        chance = math.prod(max(0.0, 1 - 2.0 ** (i - n)) for i in range(d))
        results = run_pack(trials(cell, count))
        share = sum(result.measures["identified"] for result in results) / count
        assert abs(share - chance) <= 5 * math.sqrt(chance * (1 - chance) / count)


@pytest.mark.parametrize("d", [16, 60, 100])
def test_an_identified_secret_predicts_every_bit_and_another_one_half_of_them(d):
    pack = [
        trial
        for n in (d - 3, d, d + 3)
        for trial in trials(a_cell(DenseParity(), GaussianElimination(), d=d, n=n), 30)
    ]
    results = run_pack(pack)
    identified = [r.measures["test_error"] for r in results if r.measures["identified"] == 1.0]
    others = [r.measures["test_error"] for r in results if r.measures["identified"] == 0.0]
    assert set(identified) == {0.0}
    assert others
    # A wrong w errs on 128 fair coins: outside 0.2 .. 0.8 with chance 1e-11 each.
    assert all(error == 0.0 or 0.2 < error < 0.8 for error in others)
    assert sum(error > 0 for error in others) > 30


def test_trials_of_every_n_are_eliminated_in_one_call():
    learner = GaussianElimination()
    shapes = {learner.shape(a_cell(DenseParity(), learner, n=n).point) for n in (1, 17, 500)}
    assert len(shapes) == 1
