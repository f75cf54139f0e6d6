import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from orchestrator.domain import kernels
from orchestrator.domain.learners.random_features import RandomFeatures
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_point, trials
from tests.domain.eigenlearning import features_r_squared, of_kernel, on_signs

KERNEL = {
    "relu": lambda x, z: kernels.nngp(x, z, 1),
    "fourier": lambda x, z: kernels.rbf(x, z, 0.8),
}


def some_inputs(n, d=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


@pytest.mark.parametrize("activation", KERNEL)
def test_products_of_features_tend_to_the_kernel(activation):
    """400 draws of 50 features; the band is 5 standard errors of each of 25 means: 1.4e-5."""
    x, learner = some_inputs(5), RandomFeatures(activation=activation, features=50, bandwidth=0.8)
    products = torch.stack(
        [(phi := learner.drawn(6, Streams([str(i)]))(x)) @ phi.T for i in range(400)]
    )
    error = products.std(0) / math.sqrt(400)
    missed = (products.mean(0) - KERNEL[activation](x, x)).abs()
    assert bool((missed < 5 * error + 1e-12).all())


@pytest.mark.parametrize("n", [10, 40])
def test_weights_are_those_of_ridge_regression_on_either_side_of_the_number_of_features(n):
    learner, x = RandomFeatures(features=20, ridge=0.3), some_inputs(n)
    y = x[:, 0].exp()
    fit = learner.fit_one(Examples(x, y), a_point(d=6, n=n), Streams(["a"]))
    phi = learner.drawn(6, Streams(["a"]))
    fresh = some_inputs(7, seed=1)
    reference = Ridge(alpha=0.3, fit_intercept=False).fit(phi(x).numpy(), y.numpy())
    assert fit.predict is not None
    assert np.allclose(fit.predict(fresh).numpy(), reference.predict(phi(fresh).numpy()))


def test_each_trial_draws_features_of_its_own():
    learner, x = RandomFeatures(features=4), some_inputs(3)
    first, again, other = (learner.drawn(6, Streams([key]))(x) for key in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("n", [60, 100, 300])
def test_mean_r_squared_is_what_eigenvalues_and_the_number_of_features_predict(n):
    """64 trials, features fewer and more than n; 5 standard errors, Student's t: chance
    5e-6, and 0.04 for finite sizes."""
    learner = RandomFeatures(features=200, ridge=0.01)
    results = run_pack(trials(a_cell(SparseParity(), learner, d=15, n=n, k=2), 64))
    scores = np.array([result.measures["r_squared"] for result in results])
    predicted = features_r_squared(on_signs(15, of_kernel(KERNEL["relu"])), n, 200, {2: 1.0}, 0.01)
    assert abs(scores.mean() - predicted) < 5 * scores.std(ddof=1) / 8 + 0.04
