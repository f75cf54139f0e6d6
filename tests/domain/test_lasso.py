import math

import numpy as np
import pytest
import torch

from orchestrator.domain.coordinate_descent import Quadratic, on_face
from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.lasso import Lasso, duality_gap
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_problem, trials


def fitted(x, y, **settings):
    """The fit of a pack of two equal trials."""
    x, y = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    problem = a_problem(torch.stack([x, x]), torch.stack([y, y]), [len(y)] * 2, SparseLinear())
    return Lasso(**settings).fit(problem, Streams(["a", "b"]))


def some_data(n, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, x[:, 0] - 2 * x[:, 1] + 0.3 * rng.normal(size=n)


@pytest.mark.parametrize(("n", "d", "penalty"), [(40, 12, 0.1), (15, 40, 0.05), (15, 40, 0.5)])
def test_the_minimum_is_that_of_scikit_learn(n, d, penalty):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = some_data(n, d)
    peer = linear_model.Lasso(alpha=penalty, fit_intercept=False, tol=1e-14, max_iter=200_000)
    w = fitted(x, y, penalty=penalty).coefficients[0].numpy()
    reference = peer.fit(x, y).coef_
    assert np.allclose(w, reference, atol=1e-6)
    assert np.array_equal(w != 0, reference != 0)


@pytest.mark.parametrize(("n", "d"), [(40, 12), (15, 40), (1, 3)])
def test_the_optimality_conditions_hold_at_the_end(n, d):
    x, y = some_data(n, d)
    fit = fitted(x, y, penalty=0.1)
    w = fit.coefficients[0].numpy()
    slope = x.T @ (y - x @ w) / n
    assert fit.outcomes == [Outcome.FITTED] * 2
    assert np.abs(slope).max() <= 0.1 * (1 + 1e-4)
    assert np.allclose(slope[w != 0], 0.1 * np.sign(w[w != 0]), atol=1e-5)


def test_the_gap_bounds_how_far_an_objective_is_from_the_least():
    x, y = some_data(30, 10)
    best = fitted(x, y, penalty=0.1).coefficients[0]
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def objective(w):
        return float((y - x @ w).square().mean() / 2 + 0.1 * w.abs().sum())

    for scale in (0.0, 0.3, 1.01):
        gap = float(duality_gap(x, y, scale * best, 0.1)) * float(y.square().mean() / 2)
        assert gap >= objective(scale * best) - objective(best)


def test_a_penalty_above_every_correlation_leaves_nothing():
    x, y = some_data(20, 6)
    fit = fitted(x, y, penalty=1.01 * np.abs(x.T @ y / 20).max())
    assert not fit.coefficients.any()
    assert fit.measures["duality_gap"].tolist() == [0.0, 0.0]


def test_the_rule_for_lambda_is_wainwrights():
    rule = math.sqrt(2 * 0.01 * math.log(4) * math.log(124) / 71)
    assert Lasso().penalty_at(Point(d=128, n=1, k=4), 71) == pytest.approx(rule, rel=1e-12)
    assert Lasso(noise=0.2).penalty_at(Point(d=128, n=1, k=4), 71) == pytest.approx(2 * rule)
    assert Lasso(penalty=0.3).penalty_at(Point(d=128, n=1, k=4), 71) == 0.3
    assert Lasso().penalty_at(Point(d=3, n=1, k=3), 71) > 0


def test_signs_are_recovered_far_above_the_threshold_and_not_far_below():
    """Of 20 trials each at half and at six times the threshold, 71; no chance in fixed keys."""
    target = SparseLinear(signal="signs", noise=0.1)
    for n, error in ((35, 1.0), (430, 0.0)):
        results = run_pack(trials(a_cell(target, Lasso(), d=128, n=n, k=4), 20))
        share = sum(result.measures["sign_error"] for result in results) / 20
        assert abs(share - error) <= 0.3


def test_a_target_without_coefficients_has_no_signs_to_recover():
    results = run_pack(trials(a_cell(SparseParity(), Lasso(), d=8, n=30, k=2), 3))
    assert [result.measures["sign_error"] for result in results] == [1.0] * 3


def test_a_trial_that_runs_out_of_updates_says_so_and_keeps_its_gap():
    x, y = some_data(15, 40)
    fit = fitted(x, y, penalty=0.01, steps=3)
    assert fit.outcomes == [Outcome.OUT_OF_BUDGET] * 2
    assert fit.measures["duality_gap"][0] > 1e-6
    assert float(fit.coefficients[0].count_nonzero()) <= 3


def test_labels_that_are_all_zero_and_columns_that_are_zero_need_no_weight():
    x, y = some_data(9, 5)
    x[:, 2] = 0.0
    assert float(fitted(x, y, penalty=0.1).coefficients[0, 2]) == 0.0
    nothing = fitted(x, 0.0 * y, penalty=0.1)
    assert nothing.outcomes == [Outcome.FITTED] * 2
    assert not nothing.coefficients.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_bad_data_are_not_fitted_and_spare_their_pack(bad):
    """A column of size 1e300 drowns in its own rounding but is finite where that drops out."""
    x, y = some_data(20, 6)
    both = torch.from_numpy(np.stack([x, x]))
    both[0, 3, 2] = bad
    problem = a_problem(both, torch.from_numpy(np.stack([y, y])), [20, 20], SparseLinear())
    fit = Lasso(penalty=0.1).fit(problem, Streams(["a", "b"]))
    assert fit.outcomes[0] is (Outcome.OUT_OF_BUDGET if bad == 1e300 else Outcome.DIVERGED)
    assert fit.outcomes[1] is Outcome.FITTED
    assert torch.equal(fit.coefficients[1], fitted(x, y, penalty=0.1).coefficients[1])


def test_a_face_is_left_where_a_sign_would_turn_and_the_objective_never_rises():
    x, y = some_data(30, 10)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    quadratic = Quadratic(
        curvature=(x.T @ x / 30)[None],
        slope=(x.T @ y / 30)[None],
        size=y.square().mean()[None],
        penalty=torch.tensor([0.1], dtype=torch.float64),
    )

    def objective(w):
        return float((y - x @ w).square().mean() / 2 + 0.1 * w.abs().sum())

    start = torch.linspace(-1, 1, 10, dtype=torch.float64)
    found = on_face(quadratic, start)
    assert objective(found) < objective(start)
    assert ((found == 0) | (found.sign() == start.sign())).all()
    assert found.count_nonzero() < 10
