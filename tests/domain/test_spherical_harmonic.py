import math

import numpy as np
import pytest
import torch
from scipy.special import eval_gegenbauer, roots_jacobi

from orchestrator.domain.harmonics import legendre, multiplicity
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.spherical_harmonic import SphericalHarmonic
from tests.builders import a_point


@pytest.mark.parametrize("d", [3, 4, 7, 30])
def test_legendre_polynomials_are_gegenbauers_over_their_value_at_1(d):
    t = np.linspace(-1, 1, 41)
    for degree in range(7):
        found = legendre(d, degree, torch.from_numpy(t)).numpy()
        index = (d - 2) / 2
        wanted = eval_gegenbauer(degree, index, t) / eval_gegenbauer(degree, index, 1.0)
        assert np.allclose(found, wanted, atol=1e-12)


def test_on_the_circle_they_are_chebyshevs():
    t = torch.linspace(-1, 1, 21, dtype=torch.float64)
    assert torch.allclose(legendre(2, 5, t), torch.cos(5 * torch.arccos(t)), atol=1e-12)


@pytest.mark.parametrize("d", [3, 5, 12])
def test_degrees_are_orthogonal_with_mean_square_1_over_their_multiplicity(d):
    t, weights = roots_jacobi(40, (d - 3) / 2, (d - 3) / 2)
    values = np.stack([legendre(d, l, torch.from_numpy(t)).numpy() for l in range(6)])
    products = (values * weights / weights.sum()) @ values.T
    assert np.allclose(products, np.diag([1 / multiplicity(d, l) for l in range(6)]), atol=1e-12)


def test_multiplicities_are_those_of_homogeneous_polynomials_less_multiples_of_the_square():
    assert [multiplicity(3, l) for l in range(5)] == [1, 3, 5, 7, 9]
    assert [multiplicity(2, l) for l in range(1, 4)] == [2, 2, 2]
    assert multiplicity(10, 2) == 10 * 11 // 2 - 1


@pytest.mark.parametrize("k", [1, 2, 3])
def test_labels_are_that_harmonic_of_a_point_on_the_sphere_of_radius_root_d(k):
    d, count = 6, 40_000
    point, streams = a_point(d=d, k=k), Streams(["a"])
    target = SphericalHarmonic()
    w = target.draw(point, streams.at("concept"))
    examples = target.examples(w, point, count, streams.at("train"))
    assert torch.allclose(examples.x.square().sum(2), torch.full((1, count), float(d)).double())
    t = (examples.x[0] @ w[0]).numpy() / math.sqrt(d)
    wanted = (
        eval_gegenbauer(k, 2.0, t) / eval_gegenbauer(k, 2.0, 1.0) * math.sqrt(multiplicity(d, k))
    )
    assert np.allclose(examples.y[0].numpy(), wanted)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_labels_have_variance_1_beside_the_noise(k):
    """5 standard errors, with the fourth moment of the sample: fails with chance 6e-7 or so."""
    count, target = 40_000, SphericalHarmonic(noise=0.5)
    point, streams = a_point(d=8, k=k), Streams(["a"])
    y = target.examples(target.draw(point, streams.at("concept")), point, count, streams).y[0]
    error = float(y.square().std()) / math.sqrt(count)
    assert abs(float(y.square().mean()) - 1.25) < 5 * error


def test_one_dimension_is_refused_in_words():
    assert SphericalHarmonic().faults(d=2, k=1) == []
    assert "d = 1" in SphericalHarmonic().faults(d=1, k=1)[0]
