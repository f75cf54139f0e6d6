from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.nonnegative_basis_pursuit import NonnegativeBasisPursuit
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.spec import load
from tests.builders import a_cell, a_problem, training_examples, trials

FILE = Path(__file__).parents[2] / "experiments" / "nonnegative_recovery.yaml"
NONNEGATIVE = SparseLinear(signal="nonnegative")


def pursued(x, y):
    """The fit of a pack of two equal trials."""
    x, y = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    problem = a_problem(torch.stack([x, x]), torch.stack([y, y]), [len(y)] * 2, NONNEGATIVE)
    return NonnegativeBasisPursuit().fit(problem, Streams(["a", "b"]))


@pytest.mark.parametrize(("d", "n", "k"), [(30, 12, 5), (37, 1, 2), (50, 40, 30), (60, 22, 8)])
def test_every_trial_agrees_with_highs_and_proves_it(d, n, k):
    pack = trials(a_cell(NONNEGATIVE, NonnegativeBasisPursuit(), d=d, n=n, k=k), 12)
    for trial, result in zip(pack, run_pack(pack), strict=True):
        examples, truth = training_examples(trial)
        x, y, w = examples.x.numpy(), examples.y.numpy(), truth.numpy()
        found = optimize.linprog(np.ones(d), A_eq=x, b_eq=y, method="highs")
        error = float(np.linalg.norm(found.x - w) / np.linalg.norm(w))
        assert found.status == 0
        assert result.outcome is Outcome.FITTED
        assert result.measures["duality_gap"] <= 1e-7
        assert result.measures["relative_error"] == pytest.approx(error, abs=1e-4)


def test_the_solution_fits_exactly_is_not_negative_and_its_sum_is_the_least():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 31))
    y = x @ rng.uniform(size=31)
    w = pursued(x, y).coefficients[0].numpy()
    best = optimize.linprog(np.ones(31), A_eq=x, b_eq=y, method="highs").fun
    assert np.abs(x @ w - y).max() < 1e-8
    assert w.min() > -1e-8
    assert best * (1 - 1e-9) <= w.sum() <= best * (1 + 2e-7)


def test_equations_without_a_nonnegative_solution_have_no_proof():
    x = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, -1.0]])
    fit = pursued(x, np.array([-1.0, 0.5]))
    assert fit.outcomes == [Outcome.OUT_OF_BUDGET] * 2
    assert not fit.measures["duality_gap"].isfinite().any()


@pytest.mark.parametrize(("sign", "outcome"), [(1, "fitted"), (-1, "out_of_budget")])
def test_from_d_examples_on_the_one_solution_has_to_be_nonnegative(sign, outcome):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(9, 6))
    fit = pursued(x, x @ np.array([1.0, sign * 2.0, 0.0, 0.0, 3.0, 0.0]))
    assert fit.outcomes == [outcome] * 2


def psi(r: float) -> float:
    """Statistical dimension over d: min over t of r (1 + t^2) + (1 - r) int_t (u - t)^2 phi."""

    def mean(t: float) -> float:
        u = np.linspace(t, t + 12, 4001)
        tail = integrate.trapezoid((u - t) ** 2 * stats.norm.pdf(u), u)
        return float(r * (1 + t * t) + (1 - r) * tail)

    return float(optimize.minimize_scalar(mean, bounds=(-4, 6), method="bounded").fun)


def test_the_theory_of_the_shipped_file_is_the_statistical_dimension():
    spec = load(FILE)
    for asked in spec.asked(spec.arms[0]):
        value = spec.theory_at(spec.arms[0], asked.d, asked.k)
        assert value.n_star == pytest.approx(psi(asked.k / asked.d) * asked.d, rel=1e-3)
