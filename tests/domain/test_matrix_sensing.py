"""Matrix sensing: what is drawn, its coordinates, and the known threshold of convex recovery."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.measurements import Coordinates, Measurements
from orchestrator.domain.statistical_dimension import nuclear_norm_dimension
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.matrix_sensing import MatrixSensing
from orchestrator.spec import load
from tests.builders import a_point


def drawn(target: MatrixSensing, d: int = 6, k: int = 2, count: int = 5, trials: int = 3):
    """M (B, d, d), and examples."""
    streams, point = Streams([str(trial) for trial in range(trials)]), a_point(d=d, k=k)
    concept = target.draw(point, streams.at("concept"))
    examples = target.examples(concept, point, count, streams.at("train"))
    return concept.view(trials, d, d), examples


@pytest.mark.parametrize("form", ["symmetric", "asymmetric"])
def test_the_matrix_has_k_singular_values_from_one_down_to_one_over_the_condition(form):
    M, _ = drawn(MatrixSensing(form=form, condition=4.0), k=4)
    expected = [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert np.allclose(np.linalg.svd(M.numpy(), compute_uv=False), expected, atol=1e-12)


def test_a_symmetric_matrix_is_symmetric_and_positive_semidefinite():
    M, _ = drawn(MatrixSensing(form="symmetric"))
    assert torch.allclose(M, M.mT)
    assert np.linalg.eigvalsh(M.numpy()).min() > -1e-12


def test_column_spaces_are_uniform():
    """Squared first entries of uniform directions in R^3 are Beta(1/2, 1): Kolmogorov-Smirnov, a
    sound sampler fails with chance 1e-6."""
    M, _ = drawn(MatrixSensing(form="symmetric"), d=3, k=1, trials=2000)
    assert stats.kstest(M[:, 0, 0].numpy(), stats.beta(0.5, 1.0).cdf).pvalue > 1e-6


def test_labels_are_inner_products_with_the_matrix_plus_noise():
    """Kolmogorov-Smirnov, twice: a sound sampler fails with chance 2e-6."""
    M, examples = drawn(MatrixSensing(noise=0.5), d=4, count=3000, trials=1)
    A = examples.x[0].view(-1, 4, 4)
    noise = examples.y[0] - torch.einsum("nij,ij->n", A, M[0])
    assert stats.kstest(A.flatten().numpy(), "norm").pvalue > 1e-6
    assert stats.kstest(noise.numpy() / 0.5, "norm").pvalue > 1e-6


@pytest.mark.parametrize("is_symmetric", [False, True])
def test_coordinates_keep_lengths_and_come_back(is_symmetric):
    matrix = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 5)))
    matrix = matrix + matrix.T if is_symmetric else matrix
    coordinates = Coordinates(5, is_symmetric)
    vector = coordinates.vectors(matrix)
    assert vector.shape == (coordinates.count,)
    assert torch.isclose(vector.norm(), matrix.norm())
    assert torch.allclose(coordinates.matrix(vector), matrix)


@pytest.mark.parametrize("n", [7, 60])
@pytest.mark.parametrize("form", ["symmetric", "asymmetric"])
def test_misfit_and_gradient_are_those_of_the_examples_by_autograd(form, n):
    M, examples = drawn(MatrixSensing(form=form, noise=0.3), d=5, count=n)
    own = Examples(examples.x[0], examples.y[0])
    measured = Measurements.of(own, Coordinates(5, form == "symmetric"))
    assert (measured.rest > 0.0) == (n == 60)
    root = torch.from_numpy(np.random.default_rng(1).standard_normal((5, 5)))
    X = (root + root.T if form == "symmetric" else root).requires_grad_()

    def loss(matrix: torch.Tensor) -> torch.Tensor:
        return ((own.x * matrix.flatten()).sum(1) - own.y).square().mean() / 2.0

    (expected,) = torch.autograd.grad(loss(X), X)
    if form == "symmetric":
        expected = (expected + expected.T) / 2.0
    with torch.no_grad():
        found, at_truth = (measured.misfit(one) for one in (X, M[0]))
        assert torch.allclose(measured.gradient(found), expected)
        # Equal but for what no matrix can fit.
        gap = (found.square().sum() - at_truth.square().sum()) / 2.0
        assert torch.isclose(gap, loss(X) - loss(M[0]))


@pytest.mark.parametrize(("form", "n"), [("symmetric", 21), ("asymmetric", 36)])
def test_as_many_measurements_as_coordinates_determine_the_matrix(form, n):
    M, examples = drawn(MatrixSensing(form=form), d=6, count=n)
    coordinates = Coordinates(6, form == "symmetric")
    A = coordinates.vectors(examples.x[0].view(n, 6, 6))
    enough, rank = minimum_norm(A, examples.y[0])
    assert rank == n == coordinates.count
    assert torch.allclose(coordinates.matrix(enough), M[0], atol=1e-8)
    too_few, _ = minimum_norm(A[:-1], examples.y[0, :-1])
    assert (coordinates.matrix(too_few) - M[0]).norm() > 1e-3


# The threshold of nuclear norm minimisation


@pytest.mark.parametrize("k", [4, 16])
def test_the_statistical_dimension_is_the_distance_of_gaussian_matrices_to_the_cone(k):
    """d = 80 against the limit; the difference is of order 1 / d."""
    d, generator = 80, np.random.default_rng(0)
    drawn = generator.standard_normal((20, d - k, d - k))
    s = np.linalg.svd(drawn, compute_uv=False)
    at = np.linspace(0.0, 2.0 * np.sqrt(d), 200)
    lacking = [k * (2 * d - k) + k * t**2 + (np.clip(s - t, 0, None) ** 2).sum() / 20 for t in at]
    assert nuclear_norm_dimension(k / d) * d**2 == pytest.approx(min(lacking), rel=0.01)


def test_a_matrix_of_full_rank_needs_every_measurement():
    assert nuclear_norm_dimension(0.999) == pytest.approx(1.0, abs=0.003)


def test_the_shipped_thresholds_are_the_statistical_dimension():
    spec = load(Path(__file__).parents[2] / "experiments" / "matrix_sensing.yaml")
    table = spec.theory[0].table
    assert len(table) == 12
    for row in table:
        assert row.n_star == pytest.approx(
            nuclear_norm_dimension(row.k / row.d) * row.d**2, abs=0.06
        )
