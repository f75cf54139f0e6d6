"""Gradient descent on one rectified linear unit, and averaging."""

import numpy as np
import pytest
import torch
from scipy import optimize

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.averaging import Averaging
from orchestrator.domain.learners.relu_gradient_descent import ReluGradientDescent
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.agnostic_relu import AgnosticRelu
from tests.builders import a_cell, a_point, trials
from tests.domain.relu_theory import averaged


def fitted(learner, x, y):
    examples = Examples(torch.from_numpy(x), torch.from_numpy(y))
    return learner.fit_one(examples, a_point(d=x.shape[1], n=len(y)), Streams(["a"]))


def some_data(n=60, d=4):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, d)), rng.normal(size=n) + 0.5


def test_descent_ends_where_the_active_examples_are_fitted_by_least_squares():
    x, noise = some_data()
    y = np.maximum(x @ np.array([1.0, -2.0, 0.5, 0.0]), 0) + 0.2 * noise
    fit = fitted(ReluGradientDescent(steps=3000), x, y)
    v = _direction(fit, x)
    active = x @ v > 0
    assert np.allclose(v, np.linalg.lstsq(x[active], y[active])[0], rtol=1e-9)
    loss = lambda v: ((np.maximum(x @ v, 0) - y) ** 2).mean()
    assert float(fit.measures["train_error"]) == pytest.approx(loss(v), rel=1e-9)
    assert loss(v) <= optimize.minimize(loss, v, method="Nelder-Mead").fun * (1 + 1e-9)


def _direction(fit, x):
    """The unit's v, read off its predictions on both sides of every axis."""
    eye = torch.eye(x.shape[1], dtype=torch.float64)
    return (fit.predict(eye) - fit.predict(-eye)).numpy()


def test_one_step_of_descent_goes_along_the_average_of_y_x():
    x, y = some_data()
    step = _direction(fitted(ReluGradientDescent(steps=1, learning_rate=0.3), x, y), x)
    assert np.allclose(step, 0.3 * y @ x / len(y))


def test_averaging_has_the_best_scale_along_its_direction():
    x, y = some_data()
    fit = fitted(Averaging(), x, y)
    v = _direction(fit, x)
    mean = y @ x
    assert np.allclose(v / np.linalg.norm(v), mean / np.linalg.norm(mean))
    loss = lambda s: ((np.maximum(s * x @ v, 0) - y) ** 2).mean()
    best = optimize.minimize_scalar(loss, bounds=(0, 3), method="bounded")
    assert best.x == pytest.approx(1.0, abs=1e-4)
    assert float(fit.measures["train_error"]) == pytest.approx(loss(1.0))


def test_labels_of_a_unit_are_fitted_exactly_from_a_multiple_of_d_on():
    cell = a_cell(AgnosticRelu(), ReluGradientDescent(), d=20, n=120, k=2)
    assert all(result.measures["r_squared"] > 1 - 1e-4 for result in run_pack(trials(cell, 10)))


@pytest.mark.parametrize("fraction", [0.0, 0.3])
@pytest.mark.parametrize("ratio", [3, 12])
def test_averaging_reaches_what_theory_says(ratio, fraction):
    """Means of 60 trials at d = 100 with standard errors of 0.01 at most: bands are 4 of them, and
    a sound learner fails at one of these points with chance 2e-4 but for what d = 100 lacks."""
    cell = a_cell(AgnosticRelu(fraction=fraction), Averaging(), d=100, n=100 * ratio, k=2)
    measured = np.mean([result.measures["r_squared"] for result in run_pack(trials(cell, 60))])
    assert measured == pytest.approx(averaged(ratio, fraction), abs=0.04)


@pytest.mark.parametrize("learner", [Averaging(), ReluGradientDescent()])
def test_labels_of_zero_are_fitted_by_zero(learner):
    x, y = some_data()
    fit = fitted(learner, x, 0.0 * y)
    assert fit.outcomes == [Outcome.FITTED]
    assert float(fit.measures["train_error"]) == 0.0


def test_a_rate_beyond_the_curvature_diverges_and_it_is_said():
    trial = trials(a_cell(AgnosticRelu(), ReluGradientDescent(learning_rate=50.0), n=30, k=2), 1)
    assert run_pack(trial)[0].outcome is Outcome.DIVERGED
