import math

import numpy as np
import pytest
import torch

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.ridge import Ridge
from orchestrator.domain.linear_fit import ridge_solution
from orchestrator.domain.pack import run_pack
from orchestrator.domain.targets.linear import Linear
from tests.builders import a_cell, training_examples, trials


@pytest.mark.parametrize(("n", "d"), [(1, 1), (4, 9), (9, 9), (30, 9)])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 50.0])
def test_the_solution_is_least_squares_with_rows_of_the_root_of_the_ridge_below(n, d, ridge):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)
    below = np.vstack([x, math.sqrt(ridge) * np.eye(d)])
    reference = np.linalg.lstsq(below, np.append(y, np.zeros(d)))[0]
    w = ridge_solution(torch.from_numpy(x), torch.from_numpy(y), ridge)
    assert np.allclose(w.numpy(), reference, rtol=1e-7, atol=1e-9)


def test_the_training_error_is_the_mean_square_of_what_is_left():
    trial = trials(a_cell(Linear(noise=1.0), Ridge(ridge=3.0), d=4, n=30), 1)[0]
    examples, _ = training_examples(trial)
    x, y = examples.x.numpy(), examples.y.numpy()
    w = np.linalg.solve(x.T @ x + 3.0 * np.eye(4), x.T @ y)
    measured = run_pack([trial])[0].measures["train_error"]
    assert measured == pytest.approx(np.square(y - x @ w).mean())


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_a_system_that_is_not_finite_diverges(bad):
    x = torch.ones(5, 3, dtype=torch.float64)
    x[2, 1] = bad
    assert ridge_solution(x, x[:, 0], 1.0).isnan().all()


def test_the_error_at_the_best_ridge_is_that_of_the_limit():
    """Dobriban & Wager at gamma = d / n = 1, noise 1: error (sqrt(5) - 1) / 2 = 0.618 of |w|^2.

    200 trials at d = 60 have a standard error of 0.4%; the band of 5% allows for finite d too.
    """
    cell = a_cell(Linear(noise=1.0), Ridge(ridge=60.0), d=60, n=60)
    results = run_pack(trials(cell, 200))
    assert all(result.outcome is Outcome.FITTED for result in results)
    mean = sum(result.measures["relative_error"] ** 2 for result in results) / 200
    assert mean == pytest.approx((math.sqrt(5) - 1) / 2, rel=0.05)
