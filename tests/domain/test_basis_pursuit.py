import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.basis_pursuit import BasisPursuit
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.domain.trial import Trial
from tests.builders import a_cell, a_problem, training_examples, trials


def pursued(x, y, **settings):
    """The fit of a pack of two equal trials."""
    x, y = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    problem = a_problem(torch.stack([x, x]), torch.stack([y, y]), [len(y)] * 2, SparseLinear())
    return BasisPursuit(**settings).fit(problem, Streams(["a", "b"]))


def by_highs(trial: Trial) -> tuple[float, np.ndarray, np.ndarray]:
    """HiGHS's least |w|_1, its w, and the true one."""
    examples, truth = training_examples(trial)
    x, y = examples.x.numpy(), examples.y.numpy()
    found = linprog(np.ones(2 * x.shape[1]), A_eq=np.hstack([x, -x]), b_eq=y, method="highs")
    assert found.status == 0
    u, v = np.split(found.x, 2)
    return found.fun, u - v, truth.numpy()


@pytest.mark.parametrize(("d", "n", "k"), [(30, 16, 5), (37, 1, 2), (50, 49, 20), (60, 25, 8)])
def test_every_trial_agrees_with_highs_and_proves_it(d, n, k):
    pack = trials(a_cell(SparseLinear(), BasisPursuit(), d=d, n=n, k=k), 16)
    for trial, result in zip(pack, run_pack(pack), strict=True):
        _, w, truth = by_highs(trial)
        error = float(np.linalg.norm(w - truth) / np.linalg.norm(truth))
        assert result.outcome is Outcome.FITTED
        assert result.measures["duality_gap"] <= 1e-7
        assert result.measures["relative_error"] == pytest.approx(error, abs=1e-4)


def test_the_solution_fits_exactly_and_its_sum_is_the_least():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 31)), rng.normal(size=12)
    w = pursued(x, y).coefficients[0].numpy()
    best = linprog(np.ones(62), A_eq=np.hstack([x, -x]), b_eq=y, method="highs").fun
    assert np.abs(x @ w - y).max() < 1e-9
    assert best * (1 - 1e-9) <= np.abs(w).sum() <= best * (1 + 2e-7)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_unit_of_the_labels_does_not_matter(scale):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(10, 25)), rng.normal(size=10)
    fit, one = pursued(x, scale * y), pursued(x, y)
    assert fit.outcomes == [Outcome.FITTED] * 2
    assert torch.allclose(fit.coefficients / scale, one.coefficients, atol=1e-6)


def test_labels_that_are_all_zero_need_no_weights():
    fit = pursued(np.random.default_rng(3).normal(size=(4, 9)), np.zeros(4))
    assert fit.outcomes == [Outcome.FITTED] * 2
    assert fit.coefficients.abs().max() < 1e-6


def test_recovery_is_exact_on_one_side_of_the_transition_and_fails_on_the_other():
    """Known n at one half for d = 100, k = 10: 32.2; at 20 and at 50 the chance is below 1e-3."""
    for n, success in ((20, False), (50, True)):
        pack = trials(a_cell(SparseLinear(), BasisPursuit(), d=100, n=n, k=10), 16)
        errors = [result.measures["relative_error"] for result in run_pack(pack)]
        assert all((error < 1e-3) is success for error in errors)


def test_with_d_examples_or_more_it_is_least_squares():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(9, 5)), rng.normal(size=9)
    fit = pursued(x, y)
    assert fit.measures["duality_gap"].tolist() == [0.0, 0.0]
    assert np.allclose(fit.coefficients[0].numpy(), np.linalg.lstsq(x, y)[0])


def test_a_trial_that_runs_out_of_steps_says_so_and_reports_the_gap_it_has():
    rng = np.random.default_rng(5)
    fit = pursued(rng.normal(size=(10, 25)), rng.normal(size=10), steps=2)
    assert fit.outcomes == [Outcome.OUT_OF_BUDGET] * 2
    assert (fit.measures["duality_gap"] > 1e-7).all()
    assert fit.coefficients.isfinite().all()


def test_equations_that_contradict_each_other_are_never_called_solved():
    x = np.random.default_rng(6).normal(size=(3, 8))
    fit = pursued(np.vstack([x, x[:1]]), [1.0, 2.0, 3.0, -1.0])
    assert fit.outcomes == [Outcome.OUT_OF_BUDGET] * 2
    assert fit.measures["duality_gap"].isinf().all()


def test_an_equation_given_twice_changes_nothing():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(6, 15)), rng.normal(size=6)
    twice = pursued(np.vstack([x, x[:2]]), np.concatenate([y, y[:2]]))
    assert twice.outcomes == [Outcome.FITTED] * 2
    assert torch.allclose(twice.coefficients, pursued(x, y).coefficients, atol=1e-5)


def test_a_tighter_gap_is_reached_where_it_is_asked_for():
    rng = np.random.default_rng(8)
    fit = pursued(rng.normal(size=(10, 25)), rng.normal(size=10), gap=1e-9)
    assert fit.outcomes == [Outcome.FITTED] * 2
    assert (fit.measures["duality_gap"] <= 1e-9).all()
