"""Spiked matrices and their leading eigenvectors: laws of what is drawn, and overlaps known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.principal_component import PrincipalComponent
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.spiked_covariance import SpikedCovariance
from orchestrator.domain.targets.spiked_wigner import SpikedWigner
from tests.builders import a_cell, a_point, a_problem, training_examples, trials


def drawn(target, d, count, trials=3):
    streams = Streams([str(trial) for trial in range(trials)])
    concept = target.draw(a_point(d=d), streams.at("concept"))
    return concept, target.examples(concept, a_point(d=d), count, streams.at("train"))


def matrices(x: torch.Tensor, d: int) -> np.ndarray:
    """Upper triangles (…, d (d + 1) / 2) as symmetric matrices, by numpy."""
    rows, columns = np.triu_indices(d)
    found = np.zeros((*x.shape[:-1], d, d))
    found[..., rows, columns] = x.numpy()
    found[..., columns, rows] = x.numpy()
    return found


def mean_overlap(target, d: int, n: int, count: int) -> float:
    results = run_pack(trials(a_cell(target, PrincipalComponent(), d=d, n=n), count))
    return sum(result.measures["squared_overlap"] for result in results) / count


# Targets


@pytest.mark.parametrize("target", [SpikedCovariance(), SpikedWigner()])
def test_the_hidden_direction_has_length_one(target):
    v, _ = drawn(target, d=9, count=1, trials=50)
    assert torch.allclose(v.norm(dim=1), torch.ones(50, dtype=torch.float64))


def test_variance_is_one_plus_the_spike_along_the_direction_and_one_across_it():
    """Kolmogorov-Smirnov, three times: a sound sampler fails with chance 3e-6."""
    v, examples = drawn(SpikedCovariance(spike=2.5), d=6, count=5000, trials=1)
    v, x = v[0].numpy(), examples.x[0].numpy()
    across = np.linalg.svd(v[None])[2][1:]
    assert stats.kstest(x @ v / math.sqrt(3.5), "norm").pvalue > 1e-6
    assert stats.kstest((x @ across.T).ravel(), "norm").pvalue > 1e-6
    assert stats.pearsonr(x @ v, x @ across[0]).pvalue > 1e-6


def test_a_matrix_without_noise_would_be_the_rank_one_matrix():
    """Twice the strength less the strength leaves it, since both are drawn with equal noise."""
    v, once = drawn(SpikedWigner(strength=1.0), d=5, count=3)
    _, twice = drawn(SpikedWigner(strength=2.0), d=5, count=3)
    signal = matrices(twice.x - once.x, 5)
    assert np.allclose(signal, (v[:, :, None] * v[:, None, :])[:, None].numpy(), atol=1e-14)


def test_noise_of_a_matrix_has_variance_one_over_d_and_twice_that_on_the_diagonal():
    """Kolmogorov-Smirnov, twice: a sound sampler fails with chance 2e-6."""
    _, examples = drawn(SpikedWigner(strength=0.0), d=8, count=400)
    found = matrices(examples.x, 8)
    off, on = np.triu_indices(8, 1), np.arange(8)
    assert stats.kstest(found[..., *off].ravel() * math.sqrt(8), "norm").pvalue > 1e-6
    assert stats.kstest(found[..., on, on].ravel() * 2, "norm").pvalue > 1e-6


# The learner


def by_numpy(trial, d: int) -> tuple[float, float]:
    """Leading eigenvalue and squared overlap of one trial."""
    examples, truth = training_examples(trial)
    x = examples.x.numpy()
    matrix = x.T @ x / len(x) if x.shape[1] == d else matrices(examples.x, d).mean(0)
    values, vectors = np.linalg.eigh(matrix)
    return values[-1], float(vectors[:, -1] @ truth.numpy()) ** 2


@pytest.mark.parametrize("target", [SpikedCovariance(), SpikedWigner(strength=0.7)])
@pytest.mark.parametrize(("d", "n"), [(1, 3), (2, 1), (12, 5), (12, 40)])
def test_every_trial_agrees_with_numpy(target, d, n):
    pack = trials(a_cell(target, PrincipalComponent(), d=d, n=n), 6)
    for trial, result in zip(pack, run_pack(pack), strict=True):
        value, overlap = by_numpy(trial, d)
        assert result.measures["leading_eigenvalue"] == pytest.approx(value)
        assert result.measures["squared_overlap"] == pytest.approx(overlap, abs=1e-9)


def test_an_eigenvector_of_a_known_matrix_is_found():
    x = torch.tensor([[[2.0, 2.0, 1.0], [-2.0, -2.0, -1.0]]] * 2, dtype=torch.float64)
    problem = a_problem(x, torch.zeros(2, 2), [2, 2], SpikedCovariance())
    fit = PrincipalComponent().fit(problem, Streams(["a", "b"]))
    assert fit.measures["leading_eigenvalue"].tolist() == pytest.approx([9.0, 9.0])
    assert fit.coefficients is not None
    assert fit.coefficients.abs()[0].tolist() == pytest.approx([2 / 3, 2 / 3, 1 / 3])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_data_whose_products_are_not_finite_diverge_alone(value):
    x = torch.randn(2, 4, 3, generator=torch.manual_seed(0), dtype=torch.float64)
    x[0, 1, 1] = value
    problem = a_problem(x, torch.zeros(2, 4), [4, 4], SpikedCovariance())
    fit = PrincipalComponent().fit(problem, Streams(["a", "b"]))
    assert fit.outcomes == [Outcome.DIVERGED, Outcome.FITTED]


@pytest.mark.parametrize(("gamma", "overlap"), [(0.25, 0.6), (0.5, 1 / 3)])
def test_the_overlap_with_a_spike_is_that_of_baik_ben_arous_and_peche(gamma, overlap):
    """Spike 1, d = 400. One trial scatters by 0.040 and 0.10, so the bands are 4.5 and 5 deviations
    of the mean of 36: a sound learner fails with chance 7e-6. The first is 5% of the overlap.
    """
    found = mean_overlap(SpikedCovariance(), d=400, n=round(400 / gamma), count=36)
    assert abs(found - overlap) < {0.25: 0.03, 0.5: 0.084}[gamma]


def test_below_the_transition_the_overlap_is_that_of_chance_or_little_more():
    """gamma = 16 at spike 1; a direction drawn blindly has overlap 1 / d on average."""
    assert mean_overlap(SpikedCovariance(), d=160, n=10, count=30) < 0.06


@pytest.mark.parametrize(("n", "overlap"), [(9, 1 - 16 / 36), (16, 0.75)])
def test_the_overlap_with_a_spiked_wigner_matrix_is_one_less_the_inverse_square(n, overlap):
    """lambda = 1/2, d = 200; strengths of the mean 1.5 and 2. One trial scatters by 0.09 and
    0.036, so the bands are 5 deviations of the mean of 36: a sound learner fails with chance 1e-6.
    """
    found = mean_overlap(SpikedWigner(strength=0.5), d=200, n=n, count=36)
    assert abs(found - overlap) < {9: 0.074, 16: 0.03}[n]
