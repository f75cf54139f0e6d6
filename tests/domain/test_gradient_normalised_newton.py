import itertools
import math

import numpy as np
import pytest
import torch
from scipy import optimize

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.gradient_normalised_newton import GradientNormalisedNewton
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from tests.builders import a_point


def fitted(learner, x, y):
    examples = Examples(torch.from_numpy(x), torch.from_numpy(y))
    return learner.fit_one(examples, a_point(d=x.shape[1], n=len(y)), Streams(["a"]))


def some_data(n, d, scale=1.0):
    rng = np.random.default_rng(n)
    x = scale * rng.normal(size=(n, d))
    return x, np.where(rng.random(n) < 1 / (1 + np.exp(-2 * x[:, 0] / scale)), 1.0, -1.0)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize(("n", "d"), [(3, 5), (20, 5), (300, 8)])
def test_the_solution_is_that_of_scipy(n, d, scale):
    x, y = some_data(n, d, scale)
    ridge = 1e-2

    def loss(w):
        margins = y * (x @ w)
        gradient = -(x.T @ (y / (1 + np.exp(margins)))) / n + ridge * w
        return np.logaddexp(0, -margins).mean() + ridge * w @ w / 2, gradient

    fit = fitted(GradientNormalisedNewton(ridge=ridge), x, y)
    wanted = optimize.minimize(loss, np.zeros(d), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert fit.outcomes == [Outcome.FITTED]
    assert fit.coefficients is not None
    assert np.linalg.norm(loss(fit.coefficients.numpy())[1]) <= 1e-8
    assert np.allclose(fit.coefficients.numpy(), wanted.x, rtol=1e-5, atol=1e-6)
    assert float(fit.measures["train_error"]) == np.mean(y * (x @ wanted.x) <= 0)


def test_iterations_are_steps_and_a_trial_that_is_not_there_is_out_of_budget():
    x, y = some_data(100, 5)
    needed = int(fitted(GradientNormalisedNewton(), x, y).measures["iterations"])
    assert 3 < needed < 50
    for steps, outcome in ((needed, Outcome.FITTED), (needed - 1, Outcome.OUT_OF_BUDGET)):
        fit = fitted(GradientNormalisedNewton(steps=steps), x, y)
        assert fit.outcomes == [outcome]
        assert int(fit.measures["iterations"]) == steps


def test_the_gradient_falls_at_every_step_and_quadratically_in_the_end():
    x, y = some_data(100, 5)
    signed = torch.from_numpy(x * y[:, None])
    lengths = [
        GradientNormalisedNewton(steps=steps, tolerance=1e-14)._descended(signed)[2]
        for steps in range(1, 30)
    ]
    pairs = [pair for pair in itertools.pairwise(lengths) if pair[0] > 1e-13]
    assert all(after < before for before, after in pairs)
    late = [one for one in lengths if 1e-13 < one < 1e-2]
    assert len(late) >= 2
    assert late[-1] < 1000 * late[-2] ** 2


def test_damping_converges_where_newtons_method_goes_round_in_circles():
    """Ten examples of very different lengths, with coins for labels; such cases are rare."""
    rng = np.random.default_rng(192)
    rng.integers(3, 12), rng.integers(1, 4)
    x = np.exp(2 * rng.normal(size=(10, 1))) * rng.normal(size=(10, 2))
    x = x * np.exp(rng.normal(size=2))
    y = np.where(rng.random(10) < 0.5, -1.0, 1.0)
    damped = fitted(GradientNormalisedNewton(ridge=1e-4), x, y)
    plain = fitted(GradientNormalisedNewton(ridge=1e-4, damping=0.0), x, y)
    assert damped.outcomes == [Outcome.FITTED]
    assert plain.outcomes == [Outcome.OUT_OF_BUDGET]


def test_separated_examples_without_a_ridge_still_end():
    x = np.array([[1.0], [2.0], [-1.5]])
    fit = fitted(GradientNormalisedNewton(ridge=0.0), x, np.sign(x[:, 0]))
    assert fit.outcomes == [Outcome.FITTED]
    assert float(fit.measures["train_error"]) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_data_that_are_not_finite_diverge(bad):
    x, y = some_data(10, 3)
    x[4, 1] = bad
    assert fitted(GradientNormalisedNewton(), x, y).outcomes == [Outcome.DIVERGED]
