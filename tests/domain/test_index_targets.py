"""Single-index, ridge-sum and product targets on Gaussian inputs, by hand."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import integrate, special, stats

from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.hermite_index import HermiteIndex
from orchestrator.domain.targets.index_product import IndexProduct
from orchestrator.domain.targets.ridge_sum import RidgeSum
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_point

LINKS = {
    "relu": lambda u: np.maximum(u, 0),
    "abs": np.abs,
    "square": np.square,
    "hermite": lambda u: special.eval_hermitenorm(3, u) / math.sqrt(6),
}


def drawn(target, d=7, k=1, count=20, trials=3):
    streams = Streams([str(trial) for trial in range(trials)])
    concept = target.draw(a_point(d=d, k=k), streams.at("concept"))
    examples = target.examples(concept, a_point(d=d, k=k), count, streams.at("train"))
    return concept.numpy(), examples.x.numpy(), examples.y.numpy()


@pytest.mark.parametrize("link", LINKS)
def test_labels_are_the_link_of_a_unit_projection(link):
    w, x, y = drawn(HermiteIndex(link=link, degree=3))
    assert np.allclose(np.linalg.norm(w, axis=1), 1.0)
    assert np.allclose(y, LINKS[link](np.einsum("bnd,bd->bn", x, w)), rtol=1e-10)


def test_a_polynomial_is_given_in_the_hermite_basis():
    w, x, y = drawn(HermiteIndex(link="polynomial", coefficients=(1.0, 0.0, math.sqrt(2))))
    assert np.allclose(y, np.einsum("bnd,bd->bn", x, w) ** 2)


@pytest.mark.parametrize("settings", [{"link": "polynomial"}, {"coefficients": (1.0,)}])
def test_coefficients_without_a_polynomial_are_refused_and_the_other_way_round(settings):
    with pytest.raises(ValidationError, match="coefficients go with"):
        HermiteIndex(**settings)


@pytest.mark.parametrize(("link", "exponent"), [("relu", 1), ("abs", 2), ("square", 2)])
def test_the_information_exponent_is_the_one_in_the_docstring(link, exponent):
    def coefficient(p):
        integrand = lambda u: LINKS[link](u) * special.eval_hermitenorm(p, u) * stats.norm.pdf(u)
        return integrate.quad(integrand, -12, 0)[0] + integrate.quad(integrand, 0, 12)[0]

    assert all(abs(coefficient(p)) < 1e-9 for p in range(1, exponent))
    assert abs(coefficient(exponent)) > 0.1


@pytest.mark.parametrize("target", [HermiteIndex(noise=0.3), RidgeSum(noise=0.3),
                                    IndexProduct(noise=0.3)])  # fmt: skip
def test_noise_is_normal_and_leaves_inputs_alone(target):
    """Kolmogorov-Smirnov: a sound sampler fails with chance 1e-6."""
    _, x, noisy = drawn(target, k=2, count=3000)
    _, same, clean = drawn(target.model_copy(update={"noise": 0.0}), k=2, count=3000)
    assert np.array_equal(x, same)
    assert stats.kstest((noisy - clean).ravel() / 0.3, "norm").pvalue > 1e-6


def test_uniform_noise_fills_the_interval_of_its_standard_deviation():
    """Kolmogorov-Smirnov: a sound sampler fails with chance 1e-6."""
    _, _, noisy = drawn(IndexProduct(noise=0.5, noise_law="uniform"), k=2, count=3000)
    _, _, clean = drawn(IndexProduct(), k=2, count=3000)
    half = 0.5 * math.sqrt(3)
    assert stats.kstest((noisy - clean).ravel(), "uniform", (-half, 2 * half)).pvalue > 1e-6


@pytest.mark.parametrize("k", [1, 3, 7])
def test_directions_of_a_ridge_sum_are_orthonormal_and_labels_their_scaled_sum(k):
    v, x, y = drawn(RidgeSum(), k=k)
    assert np.allclose(v @ v.transpose(0, 2, 1), np.eye(k), atol=1e-12)
    terms = LINKS["hermite"](np.einsum("bnd,bkd->bnk", x, v))
    assert np.allclose(y, terms.sum(2) / math.sqrt(k), rtol=1e-10)


def test_independent_directions_have_length_one_and_overlaps_of_their_law():
    """1200 overlaps, (1 + overlap) / 2 from Beta((d - 1) / 2, same); fails with chance 1e-6."""
    v, _, _ = drawn(RidgeSum(directions="uniform"), d=9, k=2, trials=1200)
    assert np.allclose(np.linalg.norm(v, axis=2), 1.0)
    overlaps = (v[:, 0] * v[:, 1]).sum(1)
    assert stats.kstest((1 + overlaps) / 2, "beta", (4, 4)).pvalue > 1e-6


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_product_multiplies_its_k_coordinates(k):
    support, x, y = drawn(IndexProduct(), k=k)
    for b in range(3):
        assert np.allclose(y[b], x[b][:, support[b]].prod(1))


@pytest.mark.parametrize("target", [IndexProduct(), SparseParity()])
def test_the_truth_of_a_product_is_its_set_of_coordinates(target):
    support, _, _ = drawn(target, k=3)
    truth = target.truth(torch.from_numpy(support), a_point(d=7, k=3)).numpy()
    assert truth.shape == (3, 7)
    assert [set(np.flatnonzero(row)) for row in truth] == [set(row) for row in support]
