"""NNGP and NTK against quadrature of their expectations, and against wide finite networks."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from orchestrator.domain import kernels


def some_inputs(n=5, d=6):
    return torch.from_numpy(np.random.default_rng(3).normal(size=(n, d)))


def expected(function, variances, correlation):
    """E function(u, v) for centred Gaussians, by polar angle: functions here are homogeneous, so
    that the radius separates; a Gauss-Legendre rule between the angles where one is 0."""
    breaks = sorted(
        angle % (2 * math.pi)
        for base in (0.0, math.acos(correlation))
        for angle in (base + math.pi / 2, base - math.pi / 2)
    )
    breaks.append(breaks[0] + 2 * math.pi)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for low, high in pairwise(breaks):
        angle = low + (high - low) * (nodes + 1) / 2
        u = math.sqrt(variances[0]) * np.cos(angle)
        v = math.sqrt(variances[1]) * np.cos(angle - math.acos(correlation))
        total += float(weights @ function(u, v)) * (high - low) / 2
    return total / (2 * math.pi)


def by_quadrature(x, z, depth):
    """(nngp, ntk) from the recursion of covariances, with no closed form of an expectation."""
    norms, covariance = (float(x @ x) / len(x), float(z @ z) / len(z)), float(x @ z) / len(x)
    tangent = covariance
    for _ in range(depth):
        correlation = min(1.0, max(-1.0, covariance / math.sqrt(norms[0] * norms[1])))
        # E of the squared radius is 2 where a product of two is integrated over the angle alone
        both = 2 * expected(lambda u, v: u.clip(0) * v.clip(0), norms, correlation)
        steps = expected(lambda u, v: (u > 0) * (v > 0) * 1.0, norms, correlation)
        covariance, tangent = 2 * both, 2 * steps * tangent + 2 * both
    return covariance, tangent


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_kernels_are_the_expectations_over_gaussian_weights(depth):
    x = some_inputs()
    nngp, ntk = (kernel(x, x, depth) for kernel in (kernels.nngp, kernels.ntk))
    for i in range(5):
        for j in range(i):
            wanted = by_quadrature(x[i].numpy(), x[j].numpy(), depth)
            found = float(nngp[i, j]), float(ntk[i, j])
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-10)


def test_the_nngp_has_the_inputs_norms_on_its_diagonal_at_any_depth():
    x = some_inputs()
    for depth in (0, 1, 3):
        wanted = x.square().sum(1) / 6
        torch.testing.assert_close(kernels.nngp(x, x, depth).diagonal(), wanted, rtol=1e-6, atol=0)


def test_an_input_of_norm_zero_has_an_nngp_of_zero():
    x, z = torch.zeros(1, 3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    assert kernels.nngp(x, z, depth=2).abs().max() == 0.0


def network_kernels(x, width, depth, seed):
    """(x.z of last features, x.z of gradients) of one random network, the gradients by autograd.

    Weights N(0, 1), each layer scaled by sqrt(2 / fan-in), the first by sqrt(1 / d) as in `ntk`.
    """
    draw = torch.Generator().manual_seed(seed)
    sizes = [x.shape[1], *[width] * depth, 1]
    weights = [
        torch.randn(out, into, generator=draw, dtype=torch.float64).requires_grad_()
        for into, out in pairwise(sizes)
    ]
    hidden, scales = x, [math.sqrt(1 / sizes[0]), *[math.sqrt(2 / width)] * depth]
    for weight, scale in zip(weights[:-1], scales, strict=False):
        hidden = (scale * hidden @ weight.T).clamp_min(0)
    outputs = (scales[-1] * hidden @ weights[-1].T)[:, 0]
    gradients = [
        torch.cat(
            [part.reshape(-1) for part in torch.autograd.grad(one, weights, retain_graph=True)]
        )
        for one in outputs
    ]
    jacobian = torch.stack(gradients)
    features = scales[-1] * hidden.detach()
    return features @ features.T, jacobian @ jacobian.T


@pytest.mark.parametrize("depth", [1, 2])
def test_wide_networks_have_these_kernels_at_their_start(depth):
    """Means of 60 networks of width 256, ten pairs of inputs and two kernels, seeds fixed. The band
    is 5.5 standard errors of each mean, by Student's t with 59 degrees a false alarm of 2e-5 in
    all, and 2% more for width: entries are off by a share of the order of depth / width."""
    x = some_inputs(4)
    drawn = [network_kernels(x, 256, depth, seed) for seed in range(60)]
    for which, kernel in enumerate((kernels.nngp, kernels.ntk)):
        sample = torch.stack([one[which] for one in drawn])
        wanted = kernel(x, x, depth)
        error = sample.std(0) / math.sqrt(len(sample))
        assert bool(((sample.mean(0) - wanted).abs() < 5.5 * error + 0.02 * wanted.abs()).all())
