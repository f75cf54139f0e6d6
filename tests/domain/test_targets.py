"""Sparse linear functions, random labels and dense parities: laws of what they draw."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.dense_parity import DenseParity
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.targets.sparse_linear import SparseLinear
from tests.builders import a_point


def drawn(target, d, k=1, count=40, trials=3, dtype=torch.float64):
    point, streams = (
        a_point(d=d, k=k),
        Streams([str(trial) for trial in range(trials)], dtype=dtype),
    )
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, count, streams.at("train"))


@pytest.mark.parametrize("signal", ["gaussian", "signs"])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_a_sparse_signal_has_k_coordinates_that_are_not_zero(signal, k):
    w, _ = drawn(SparseLinear(signal=signal), d=9, k=k, trials=20)
    assert ((w != 0).sum(1) == k).all()


def test_signal_values_are_what_the_setting_says():
    """Kolmogorov-Smirnov at fixed keys: a sound sampler fails with chance 1e-6."""
    gaussian, _ = drawn(SparseLinear(), d=9, k=3, trials=2000)
    signs, _ = drawn(SparseLinear(signal="signs"), d=9, k=3, trials=2000)
    assert stats.kstest(gaussian[gaussian != 0].numpy(), "norm").pvalue > 1e-6
    assert set(signs.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert abs(float(signs.sum())) < 5 * math.sqrt(6000)


def test_linear_labels_are_exact_without_noise():
    w, examples = drawn(SparseLinear(), d=12, k=4)
    assert torch.allclose(examples.y, torch.einsum("bnd,bd->bn", examples.x, w), rtol=1e-13)


def test_noise_has_its_standard_deviation_and_leaves_inputs_alone():
    """5 standard deviations of a standard deviation over 60,000 draws: fails with chance 6e-7."""
    _, clean = drawn(SparseLinear(), d=5, count=20_000)
    _, noisy = drawn(SparseLinear(noise=0.3), d=5, count=20_000)
    assert torch.equal(noisy.x, clean.x)
    sd = float((noisy.y - clean.y).std(correction=0))
    assert abs(sd - 0.3) < 5 * 0.3 / math.sqrt(2 * 60_000)


def test_single_precision_learners_see_single_precision():
    w, examples = drawn(SparseLinear(noise=0.1), d=5, dtype=torch.float32)
    assert {w.dtype, examples.x.dtype, examples.y.dtype} == {torch.float32}


def test_random_labels_are_fair_and_unrelated_to_the_points():
    """Bands of 5 standard deviations on 7 sums: a sound sampler fails with chance 4e-6."""
    _, examples = drawn(RandomLabels(), d=6, count=10_000)
    x, y = examples.x.flatten(0, 1).numpy(), examples.y.flatten().numpy()
    assert abs(y.sum()) < 5 * math.sqrt(len(y))
    assert np.abs(y @ x).max() < 5 * math.sqrt(len(y))


def test_dense_parity_is_linear_over_two_elements():
    w, examples = drawn(DenseParity(), d=70)
    assert examples.x.dtype == examples.y.dtype == torch.uint8
    reference = np.einsum("bnd,bd->bn", examples.x.numpy().astype(int), w.numpy().astype(int)) % 2
    assert np.array_equal(examples.y.numpy(), reference)


def test_the_secret_is_uniform_and_k_does_not_change_it():
    """Chi-squared over the 8 secrets of 3 bits: a sound sampler fails with chance 1e-6."""
    w, _ = drawn(DenseParity(), d=3, trials=4000, count=1)
    other, _ = drawn(DenseParity(), d=3, k=2, trials=4000, count=1)
    assert torch.equal(w, other)
    counts = np.bincount(w.numpy() @ np.array([1, 2, 4]), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-6
