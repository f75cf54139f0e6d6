import math

import numpy as np
import pytest
import torch

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.orthogonal_matching_pursuit import (
    OrthogonalMatchingPursuit,
    pursued,
)
from orchestrator.domain.pack import run_pack
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_point, trials


def some_examples(n, d, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = x[:, 0] - 2 * x[:, 1] + noise * rng.normal(size=n)
    return Examples(torch.from_numpy(x), torch.from_numpy(y))


@pytest.mark.parametrize(("n", "d", "k"), [(12, 20, 5), (40, 9, 9), (5, 30, 4)])
def test_the_coefficients_are_those_of_scikit_learn(n, d, k):
    """Columns are given unit norm, which scikit-learn's choice of column takes for granted."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    given = some_examples(n, d)
    given = Examples(given.x / given.x.square().sum(0).sqrt(), given.y)
    peer = linear_model.OrthogonalMatchingPursuit(n_nonzero_coefs=k, fit_intercept=False)
    reference = peer.fit(given.x.numpy(), given.y.numpy()).coef_
    assert np.allclose(pursued(given, k).numpy(), reference, atol=1e-8)


def test_the_first_column_is_the_one_of_largest_inner_product():
    given = some_examples(10, 30)
    w = pursued(given, 1)
    assert w.nonzero().tolist() == [[int((given.x.T @ given.y).abs().argmax())]]


def test_a_sparse_signal_is_found_with_many_measurements_and_not_with_few():
    """At d = 64, k = 4 about 2 k ln d = 33 are needed; fixed keys, 20 trials at each n."""
    for n, least, most in ((8, 0.0, 0.3), (80, 0.9, 1.0)):
        cell = a_cell(SparseLinear(), OrthogonalMatchingPursuit(), d=64, n=n, k=4)
        results = run_pack(trials(cell, 20))
        found = [result.measures["relative_error"] < 1e-6 for result in results]
        assert found == [result.measures["sign_error"] == 0.0 for result in results]
        assert least <= sum(found) / 20 <= most


def test_excess_lets_more_columns_join_but_never_more_than_there_are():
    columns = OrthogonalMatchingPursuit(excess=1.5)._columns(a_point(d=9, k=3))
    assert columns == 5
    assert int(pursued(some_examples(4, 9), 100).count_nonzero()) == 4
    assert int(pursued(some_examples(20, 9), 100).count_nonzero()) == 9


def test_labels_that_are_all_zero_need_no_column():
    given = some_examples(6, 3)
    assert not pursued(Examples(given.x, 0.0 * given.y), 2).any()


def test_a_target_without_coefficients_has_no_signs_to_recover():
    cell = a_cell(SparseParity(), OrthogonalMatchingPursuit(), d=8, n=30, k=2)
    results = run_pack(trials(cell, 3))
    assert [result.outcome for result in results] == [Outcome.FITTED] * 3
    assert [result.measures["sign_error"] for result in results] == [1.0] * 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_data_that_are_not_finite_give_no_coefficients(bad):
    given = some_examples(6, 3)
    given.x[2, 1] = bad
    assert pursued(given, 2).isnan().all()
