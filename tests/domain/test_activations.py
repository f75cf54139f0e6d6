import numpy as np
import pytest
import torch
from scipy import special

from orchestrator.domain.activations import EPS, GROUP, activation

WIDTH, ORDER = 32, 3


def inputs() -> torch.Tensor:
    return torch.randn(2, 6, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def applied(name: str, z: torch.Tensor, shape=None, variance=None) -> torch.Tensor:
    phi = activation(name, WIDTH, ORDER)
    if shape is None and phi.start is not None:
        shape = phi.start.expand(len(z), -1)
    return phi.apply(z, shape, variance)


def root_mean_square(u: np.ndarray) -> np.ndarray:
    return u / np.sqrt((u**2).mean(-1, keepdims=True) + EPS)


def groups_deviation(z: np.ndarray) -> np.ndarray:
    grouped = z.reshape(*z.shape[:-1], -1, GROUP)
    deviation = np.sqrt(grouped.var(-1, keepdims=True) + EPS)
    return np.broadcast_to(deviation, grouped.shape).reshape(z.shape)


FORMULAS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: z * special.ndtr(z),
    "silu": lambda z: z * special.expit(z),
    "quadratic": lambda z: z**2,
    "poly_relu": lambda z: sum(np.maximum(z, 0) ** i for i in (1, 2, 3)) / 3,
    "poly_norm": lambda z: sum(root_mean_square(z**i) for i in (1, 2, 3)) / 3,
    "evonorm_s0": lambda z: z * special.expit(z) / groups_deviation(z),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula_in_numpy(name):
    z = inputs()
    np.testing.assert_allclose(applied(name, z), FORMULAS[name](z.numpy()), rtol=1e-12, atol=1e-14)


def test_evonorm_b0_divides_by_the_larger_of_two_deviations():
    z, v, variance = inputs(), torch.rand(2, WIDTH).double(), torch.rand(2, WIDTH).double()
    found = applied("evonorm_b0", z, v, variance).numpy()
    within = v.numpy()[:, None] * z.numpy() + np.sqrt(EPS)
    batch = np.sqrt(variance.numpy() + EPS)[:, None]
    np.testing.assert_allclose(found, z.numpy() / np.maximum(batch, within), rtol=1e-12)
    assert (within > batch).any()
    assert (within < batch).any()


def test_evonorm_s0_with_a_shape_gates_every_unit_by_its_own_v():
    z, v = inputs(), torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(3)).double()
    gate = special.expit(v.numpy()[:, None] * z.numpy())
    expected = z.numpy() * gate / groups_deviation(z.numpy())
    np.testing.assert_allclose(applied("evonorm_s0", z, v), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["poly_relu", "poly_norm"])
def test_coefficients_beyond_the_order_count_for_nothing_and_the_constant_counts(name):
    z, shape = inputs(), torch.zeros(2, 16).double()
    shape[:, 0], shape[:, ORDER + 1 :] = 2.5, 7.0
    assert torch.equal(applied(name, z, shape), torch.full_like(z, 2.5))


def test_poly_relu_of_order_one_is_relu():
    z, phi = inputs(), activation("poly_relu", WIDTH, 1)
    assert torch.equal(phi.apply(z, phi.start.expand(2, -1), z), torch.relu(z))


@pytest.mark.parametrize("name", ["poly_relu", "poly_norm", "evonorm_s0"])
def test_gradients_in_preactivations_and_shape_are_those_of_finite_differences(name):
    phi = activation(name, WIDTH, ORDER)
    z = (inputs()[:1, :2] + 0.3).requires_grad_()
    shape = (phi.start[None] + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, shape: phi.apply(z, shape, z), (z, shape))
