import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.learners.scalable_neural_kernel import (
    ScalableNeuralKernel,
    UniversalFeatures,
)
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from tests.builders import a_point

NEURON = {"sine": math.sin, "gaussian": lambda s: math.exp(-(s**2) / 2)}
KERNEL = {"sine": math.exp, "gaussian": lambda q: 2 * math.exp(q**2 / 2) * ndtr(q)}


def some_inputs(n, d=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def drawn(activation, d=4):
    phi = ScalableNeuralKernel(activation=activation, features=50_000).drawn(d, Streams(["a"]))
    assert isinstance(phi, UniversalFeatures)
    return phi


def parts(phi, x):
    """Complex features (n, m) of each draw, without the factor 1 / sqrt(m)."""
    m = len(phi.t)
    columns = phi(x) * math.sqrt(m)
    return torch.complex(columns[:, :m], columns[:, m:])


@pytest.mark.parametrize("activation", NEURON)
def test_a_neuron_is_the_inner_product_of_features_of_weights_and_of_input(activation):
    """50,000 draws and four inputs; 5 standard errors of each mean: fails with chance 2.4e-6.

    exp(i t (s + b)) is the mean of exp(i t b) phi(u) phi(x); sin takes its imaginary part at t = 1,
    the Gaussian, even in t, its real part over t ~ N(0, 1).
    """
    phi, x, u, b = drawn(activation), some_inputs(4), some_inputs(1, seed=1), 0.4
    waves = torch.exp(1j * phi.t * b) * parts(phi, u * 2.0) * parts(phi, x)  # u is scaled like x
    values = waves.imag if activation == "sine" else waves.real
    for sample, one in zip(values, x, strict=True):
        wanted = NEURON[activation](float(u[0] @ one) / 2.0 + b)  # 2 u . x / d
        error = float(sample.std()) / math.sqrt(len(sample))
        assert abs(float(sample.mean()) - wanted) < 5 * error
        assert error < 0.1  # otherwise nothing was tested


@pytest.mark.parametrize("activation", KERNEL)
def test_products_of_features_tend_to_their_kernel(activation):
    """50,000 draws and six pairs; 5 standard errors of each mean: fails with chance 3.5e-6."""
    phi, x = drawn(activation), some_inputs(3)
    features = parts(phi, x)
    for i in range(3):
        for j in range(i + 1):
            sample = (features[i] * features[j].conj()).real
            wanted = KERNEL[activation](float(x[i] @ x[j]) / 4)
            assert abs(float(sample.mean()) - wanted) < 5 * float(sample.std()) / math.sqrt(50_000)


def test_with_many_features_answers_are_those_of_the_kernel():
    """A hundred times the draws leave a tenth of the distance from exp_dot, in the mean; a quarter
    is asked of one seed, and answers are of size 1."""
    x, fresh = some_inputs(40, d=8), some_inputs(50, d=8, seed=1)
    examples, point = Examples(x, (x[:, 0] * x[:, 1]).tanh()), a_point(d=8, n=40)
    kernel = KernelRidge(ridge=0.1).fit_one(examples, point, Streams(["a"])).predict
    assert kernel is not None
    wanted, missed = kernel(fresh), []
    for features in (200, 20_000):
        learner = ScalableNeuralKernel(features=features, ridge=0.1)
        found = learner.fit_one(examples, point, Streams(["a"])).predict
        assert found is not None
        missed.append(float((found(fresh) - wanted).square().mean().sqrt()))
    assert missed[1] < missed[0] / 4
    assert missed[1] < 0.1
