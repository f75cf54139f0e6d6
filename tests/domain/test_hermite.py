"""Hermite polynomials, and the exact average over a sphere that smooths them."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import hermite_e
from scipy import special

from orchestrator.domain.hermite import (
    evaluated,
    hermite,
    hermite_series,
    slope_along_u,
    smoothed,
)


def test_they_are_orthonormal_under_a_normal_law():
    """By Gauss-Hermite quadrature, exact to degree 39."""
    u, weight = hermite_e.hermegauss(20)
    table = np.stack([hermite(p, torch.from_numpy(u)).numpy() for p in range(10)])
    gram = (table * weight / weight.sum()) @ table.T
    assert np.allclose(gram, np.eye(10), atol=1e-10)


@pytest.mark.parametrize("degree", range(8))
def test_they_are_those_of_scipy(degree):
    u = torch.linspace(-4, 4, 41, dtype=torch.float64)
    known = special.eval_hermitenorm(degree, u.numpy()) / math.sqrt(math.factorial(degree))
    assert np.allclose(hermite(degree, u).numpy(), known, rtol=1e-10, atol=1e-12)


def test_a_series_is_that_of_numpy():
    u, coefficients = torch.linspace(-3, 3, 13, dtype=torch.float64), [0.5, 0.0, -1.0, 2.0]
    scaled = [one / math.sqrt(math.factorial(p)) for p, one in enumerate(coefficients)]
    assert np.allclose(hermite_series(coefficients, u), hermite_e.hermeval(u.numpy(), scaled))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("reach", [0.0, 1.3])
def test_smoothing_is_the_mean_over_the_sphere(degree, reach):
    """z of the sphere in d - 1 dimensions has density (1 - z^2)^((d - 4) / 2), Gauss-Jacobi."""
    d, u, s = 9, torch.tensor([-1.7, 0.2, 0.9], dtype=torch.float64), 5.3
    z, weight = special.roots_gegenbauer(30, (d - 3) / 2)
    inner = (u.numpy()[:, None] + reach * math.sqrt(s) * z) / math.sqrt(1 + reach**2)
    known = hermite(degree, torch.from_numpy(inner)).numpy() @ weight / weight.sum()
    found = evaluated(smoothed(degree, reach**2, d), u, torch.full_like(u, s))
    assert np.allclose(found.numpy(), known, rtol=1e-10)


@pytest.mark.parametrize("degree", [1, 3, 4])
def test_its_slope_is_that_of_autograd_where_the_square_moves_with_u(degree):
    u = torch.tensor([-1.7, 0.2, 0.9], dtype=torch.float64, requires_grad=True)
    squares = torch.tensor([8.0, 7.0, 9.5], dtype=torch.float64)
    terms = smoothed(degree, 2.0, 9)
    evaluated(terms, u, squares - u * u).sum().backward()
    found = evaluated(slope_along_u(terms), u.detach(), squares - u.detach() ** 2)
    assert torch.allclose(found, u.grad, rtol=1e-12)
