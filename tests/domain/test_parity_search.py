"""Exhaustive and greedy search for a parity: against trying everything, and chances known."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.exhaustive_parity import ExhaustiveParity
from orchestrator.domain.learners.greedy_parity import GreedyParity
from orchestrator.domain.pack import run_pack
from orchestrator.domain.sign_words import disagreements, packed_signs
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_point, trials


def some_examples(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], size=(n, d)), rng.choice([-1.0, 1.0], size=n)


def fitted(learner, x: np.ndarray, y: np.ndarray, k: int):
    examples = Examples(torch.from_numpy(x), torch.from_numpy(y))
    return learner.fit_one(examples, a_point(d=x.shape[1], n=len(y), k=k), Streams(["a"]))


def coordinates(fit, d: int) -> list[int]:
    """Those that the prediction depends on: the ones whose sign turns it."""
    flipped = 1.0 - 2.0 * torch.eye(d, dtype=torch.float64)
    return (fit.predict(flipped) < 0).nonzero()[:, 0].tolist()


def by_trying(x: np.ndarray, y: np.ndarray, k: int) -> tuple[list[int], float]:
    """The subset of largest correlation, the first of equals, and the share of labels it gives."""
    subsets = itertools.combinations(range(x.shape[1]), k)
    found = max(subsets, key=lambda subset: (x[:, subset].prod(1) * y).sum())
    return list(found), float((x[:, found].prod(1) == y).mean())


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_words_count_the_rows_in_which_signs_differ(n):
    x, y = some_examples(n, 5)
    columns, labels = packed_signs(torch.from_numpy(x), torch.from_numpy(y))
    wrong = disagreements(columns ^ labels)
    assert wrong.tolist() == (x != y[:, None]).sum(0).tolist()


@pytest.mark.parametrize(("n", "d", "k"), [(1, 4, 1), (3, 6, 2), (9, 7, 3), (70, 8, 4), (5, 5, 5)])
def test_the_subset_found_is_the_first_of_the_best(n, d, k):
    for seed in range(10):
        x, y = some_examples(n, d, seed)
        fit = fitted(ExhaustiveParity(), x, y, k)
        found = coordinates(fit, d), float(fit.measures["agreement"])
        assert found == by_trying(x, y, k)
        assert fit.outcomes == [Outcome.FITTED]


def test_subsets_beyond_one_chunk_are_compared_too():
    x, _ = some_examples(40, 76)  # 70,300 subsets; this one is last
    fit = fitted(ExhaustiveParity(), x, x[:, 73:].prod(1), 3)
    assert coordinates(fit, 76) == [73, 74, 75]
    assert fit.measures["agreement"] == 1.0


def test_a_search_that_would_be_too_long_stops_and_says_so():
    x, _ = some_examples(60, 9)
    hidden = x[:, [0, 1, 8]].prod(1), x[:, [6, 7, 8]].prod(1)
    early, late = (fitted(ExhaustiveParity(most_subsets=20), x, y, 3) for y in hidden)
    assert early.outcomes == late.outcomes == [Outcome.OUT_OF_BUDGET]
    assert early.measures["agreement"] == 1.0
    assert late.measures["agreement"] < 1.0
    assert fitted(ExhaustiveParity(most_subsets=84), x, hidden[1], 3).outcomes == [Outcome.FITTED]


@pytest.mark.parametrize("learner", [ExhaustiveParity(), GreedyParity()])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_data_that_are_not_finite_diverge(learner, value):
    x, y = some_examples(5, 4)
    x[2, 1] = value
    assert fitted(learner, x, y, 2).outcomes == [Outcome.DIVERGED]


def chance(d: int, n: int, k: int, eta: float) -> float:
    """Of the true subset to be the best, with ties drawn by lot and wrong subsets independent."""
    subsets, right = math.comb(d, k), np.arange(n + 1)
    below = stats.binom.cdf(right - 1, n, 0.5)
    upto, at = stats.binom.cdf(right, n, 0.5), stats.binom.pmf(right, n, 0.5)
    first = (upto**subsets - below**subsets) / (subsets * at)
    return float((stats.binom.pmf(right, n, 1 - eta) * first).sum())


def share_found(learner, d: int, n: int, k: int, eta: float, count: int) -> float:
    pack = trials(a_cell(SparseParity(flip_rate=eta), learner, d=d, n=n, k=k), count)
    # A wrong parity errs on half of 1000 examples, give or take 0.016; the right one on eta.
    middle = (1 - eta + 0.5) / 2
    return sum(result.measures["test_accuracy"] > middle for result in run_pack(pack)) / count


@pytest.mark.parametrize(
    ("d", "n", "k", "eta"), [(12, 7, 3, 0.0), (12, 9, 3, 0.0), (20, 7, 2, 0.0), (12, 18, 3, 0.1)]
)
def test_the_parity_is_found_as_often_as_the_formula_says(d, n, k, eta):
    """Bands of 5 standard deviations at 4 points, and 0.02 for taking subsets as independent: a
    sound learner fails with chance below 2e-6.
    """
    count, right = 400, chance(d, n, k, eta)
    found = share_found(ExhaustiveParity(), d, n, k, eta, count)
    assert abs(found - right) < 5 * math.sqrt(right * (1 - right) / count) + 0.02


def test_half_is_crossed_at_the_logarithm_of_the_number_of_subsets():
    """The formula without noise, solved: n = log2 C - 0.67."""
    for d, k in ((20, 2), (40, 3), (30, 4)):
        n_star = math.log2(math.comb(d, k)) - 0.67
        assert chance(d, math.floor(n_star), k, 0.0) < 0.5 < chance(d, math.ceil(n_star), k, 0.0)


def test_greedy_search_of_one_coordinate_is_the_exhaustive_one():
    for seed in range(10):
        x, y = some_examples(30, 6, seed)
        greedy, every = (fitted(one, x, y, 1) for one in (GreedyParity(), ExhaustiveParity()))
        assert coordinates(greedy, 6) == coordinates(every, 6)
        assert greedy.measures == every.measures


def greedy_by_hand(x: np.ndarray, y: np.ndarray, k: int) -> list[int]:
    chosen: list[int] = []
    for place in range(k):
        rest = [j for j in range(x.shape[1]) if j not in chosen]
        sums = {j: float((x[:, [*chosen, j]].prod(1) * y).sum()) for j in rest}
        chosen.append(max(rest, key=lambda j: abs(sums[j]) if place < k - 1 else sums[j]))
    return sorted(chosen)


@pytest.mark.parametrize(("n", "d", "k"), [(1, 3, 2), (20, 6, 3), (100, 7, 4), (4, 3, 3)])
def test_greedy_coordinates_are_those_found_by_hand(n, d, k):
    for seed in range(10):
        x, y = some_examples(n, d, seed)
        fit = fitted(GreedyParity(), x, y, k)
        assert coordinates(fit, d) == greedy_by_hand(x, y, k)
        assert (
            float(fit.measures["agreement"])
            == (fit.predict(torch.from_numpy(x)).numpy() == y).mean()
        )


@pytest.mark.parametrize(("d", "k"), [(8, 2), (6, 3)])
def test_greedy_search_finds_a_parity_by_luck_alone_however_many_examples_there_are(d, k):
    """The chance is k / C(d, k - 1): 0.25 and 0.2. Bands of 5 standard deviations, failing with
    chance 1e-6. The last coordinate is missed with a chance below 1e-9 at 2000 examples.
    """
    count, right = 400, k / math.comb(d, k - 1)
    found = share_found(GreedyParity(), d, 2000, k, 0.0, count)
    assert abs(found - right) < 5 * math.sqrt(right * (1 - right) / count)
