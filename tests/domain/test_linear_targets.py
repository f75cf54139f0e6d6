"""Dense, non-negative and logistic linear targets: laws of what they draw."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target
from orchestrator.domain.targets.linear import Linear
from orchestrator.domain.targets.logistic_linear import LogisticLinear
from orchestrator.domain.targets.sparse_linear import SparseLinear


def drawn(
    target: Target, d: int, k: int = 1, count: int = 40, trials: int = 3
) -> tuple[torch.Tensor, Examples]:
    point, streams = Point(d=d, n=1, k=k), Streams([str(trial) for trial in range(trials)])
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, count, streams.at("train"))


def test_a_dense_signal_has_unit_norm_and_is_uniform_on_the_sphere():
    """Archimedes: a coordinate of the sphere in R^3 is uniform on [-1, 1]. KS, false alarm 1e-6."""
    w, _ = drawn(Linear(), d=3, trials=3000)
    assert torch.allclose(w.square().sum(1), torch.ones(3000, dtype=w.dtype))
    assert stats.kstest(w[:, 1].numpy(), "uniform", args=(-1, 2)).pvalue > 1e-6


def test_labels_are_the_inner_product_and_the_noise_is_added_to_it():
    """5 standard deviations of a standard deviation over 60,000 draws: fails with chance 6e-7."""
    w, clean = drawn(Linear(), d=5, count=20_000)
    _, noisy = drawn(Linear(noise=0.3), d=5, count=20_000)
    assert torch.allclose(clean.y, torch.einsum("bnd,bd->bn", clean.x, w), rtol=1e-12)
    assert torch.equal(noisy.x, clean.x)
    sd = float((noisy.y - clean.y).std(correction=0))
    assert abs(sd - 0.3) < 5 * 0.3 / math.sqrt(2 * 60_000)


def test_a_nonnegative_signal_is_the_gaussian_one_without_its_signs():
    w, _ = drawn(SparseLinear(signal="nonnegative"), d=9, k=4, trials=20)
    gaussian, _ = drawn(SparseLinear(), d=9, k=4, trials=20)
    assert torch.equal(w, gaussian.abs())
    assert ((w > 0).sum(1) == 4).all()


@pytest.mark.parametrize("k", [1, 4, 9])
def test_the_logistic_signal_has_unit_norm_on_k_coordinates(k):
    w, _ = drawn(LogisticLinear(), d=9, k=k, trials=20)
    assert torch.allclose(w.square().sum(1), torch.ones(20, dtype=w.dtype))
    assert ((w != 0).sum(1) == k).all()


@pytest.mark.parametrize("strength", [0.0, 1.0, 5.0])
def test_the_share_of_positive_labels_follows_the_sigmoid(strength):
    """Martingale sums of (y - its mean) times 1 and times <w, x>: 5 standard deviations each."""
    w, examples = drawn(LogisticLinear(strength=strength), d=6, k=3, count=30_000)
    score = torch.einsum("bnd,bd->bn", examples.x, w).numpy()
    chance = 1 / (1 + np.exp(-strength * score))
    missing = (examples.y.numpy() + 1) / 2 - chance
    for weight in (np.ones_like(score), score):
        spread = math.sqrt(float((weight**2 * chance * (1 - chance)).sum()))
        assert abs(float((weight * missing).sum())) < 5 * spread
