from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.logistic_regression import LogisticRegression, most_likely
from orchestrator.domain.pack import run_pack
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.logistic_linear import LogisticLinear
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.spec import load
from tests.builders import a_cell, a_problem, training_examples, trials

FILE = Path(__file__).parents[2] / "experiments" / "logistic_existence.yaml"


def loss(w, x, y):
    return np.logaddexp(0, -y * (x @ w)).sum()


@pytest.mark.parametrize(("n", "d", "strength"), [(30, 3, 1.0), (200, 20, 2.0), (60, 1, 0.0)])
def test_the_estimate_is_where_scipy_finds_the_least_loss(n, d, strength):
    trial = trials(a_cell(LogisticLinear(strength=strength), d=d, n=n), 1)[0]
    examples, _ = training_examples(trial)
    w, is_minimum = most_likely(examples, 1e-12, 100)
    x, y = examples.x.numpy(), examples.y.numpy()
    best = optimize.minimize(loss, np.zeros(d), args=(x, y), method="BFGS", options={"gtol": 1e-7})
    assert is_minimum
    assert loss(w.numpy(), x, y) <= best.fun + 1e-9
    assert np.allclose(w.numpy(), best.x, atol=1e-4)


@pytest.mark.parametrize("n", [12, 20, 28])
def test_existence_is_what_highs_says(n):
    """No w separates exactly when y_i <w, x_i> >= 1 has no solution."""
    pack = trials(a_cell(RandomLabels(), LogisticRegression(), d=10, n=n), 20)
    for trial, result in zip(pack, run_pack(pack), strict=True):
        examples, _ = training_examples(trial)
        rows = -(examples.x * examples.y[:, None]).numpy()
        found = optimize.linprog(
            np.zeros(10), A_ub=rows, b_ub=-np.ones(n), bounds=(None, None), method="highs"
        )
        assert result.outcome is Outcome.FITTED
        assert result.measures["exists"] == (0.0 if found.status == 0 else 1.0)
        assert (result.measures["train_error"] == 0.0) is (found.status == 0)


def test_with_few_examples_the_direction_found_separates():
    pack = trials(a_cell(LogisticLinear(), LogisticRegression(), d=30, n=20, k=3), 4)
    for result in run_pack(pack):
        assert result.outcome is Outcome.FITTED
        assert (result.measures["exists"], result.measures["train_error"]) == (0.0, 0.0)


def test_examples_that_can_only_be_weakly_separated_have_no_proof():
    """y <w, x> >= 0 for w = (1, 0), with equality at the last two examples."""
    x = torch.tensor([[1.0, 0.3], [2.0, -0.1], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
    problem = a_problem(torch.stack([x, x]), torch.stack([y, y]), [4, 4])
    fit = LogisticRegression().fit(problem, problem.streams)
    assert fit.outcomes == [Outcome.OUT_OF_BUDGET] * 2
    assert fit.measures["exists"].isnan().all()


def test_a_separable_trial_given_to_newton_does_not_reach_a_minimum():
    x = torch.randn(5, 8, generator=torch.manual_seed(0), dtype=torch.float64)
    assert not most_likely(Examples(x, x[:, 0].sign()), 1e-12, 100)[1]


def test_the_estimate_is_near_the_truth_with_many_examples():
    """Standard errors at n = 20,000 are about 0.02; 0.12 is 6 of them for each of 3 numbers."""
    trial = trials(a_cell(LogisticLinear(strength=2.0), d=3, n=20_000, k=3), 1)[0]
    examples, truth = training_examples(trial)
    w, _ = most_likely(examples, 1e-12, 100)
    assert float((w - 2.0 * truth).abs().max()) < 0.12


def existence(strength: float) -> float:
    """d / n at the threshold: min over t of E (t V - Z)_+^2, V of density 2 sigmoid(s v) phi(v)."""
    v = np.linspace(-9, 9, 2001)
    density = 2 / (1 + np.exp(-strength * v)) * stats.norm.pdf(v)

    def mean(t: float) -> float:
        a = t * v
        tail = (1 + a * a) * stats.norm.cdf(a) + a * stats.norm.pdf(a)
        return float(integrate.trapezoid(density * tail, v))

    return float(optimize.minimize_scalar(mean, bounds=(-5, 5), method="bounded").fun)


def test_the_theory_of_the_shipped_file_is_the_formula_of_candes_and_sur():
    spec = load(FILE)
    assert existence(0.0) == pytest.approx(0.5)
    for arm in spec.arms:
        ratio = 1 / existence(arm.target.strength)
        for asked in spec.asked(arm):
            assert spec.theory_at(arm, asked.d, asked.k).n_star == pytest.approx(
                ratio * asked.d, rel=1e-3
            )
