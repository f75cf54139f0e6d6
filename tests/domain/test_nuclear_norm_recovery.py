"""Nuclear norm minimisation: against another solver, closed forms, and its own proof."""

import numpy as np
import pytest
import torch
from scipy import optimize

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.nuclear_norm_recovery import NuclearNormRecovery
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.matrix_sensing import MatrixSensing
from tests.builders import a_cell, a_point, a_trial, training_examples, trials


def fitted(x: torch.Tensor, y: torch.Tensor, learner: NuclearNormRecovery | None = None):
    """The fit to x (n, d * d) and y (n,), and its M (d, d)."""
    d = round(x.shape[1] ** 0.5)
    point = a_point(d=d, n=len(y))
    fit = (learner or NuclearNormRecovery()).fit_one(Examples(x, y), point, Streams(["a"]))
    assert fit.coefficients is not None
    return fit, fit.coefficients.view(d, d).numpy()


def nuclear_norm(M: np.ndarray) -> float:
    return float(np.linalg.svd(M, compute_uv=False).sum())


def by_scipy(x: np.ndarray, y: np.ndarray, d: int) -> float:
    """The least |M|_*, as the least (|U|^2 + |V|^2) / 2 with U V^T = M, by SLSQP."""
    generator, values = np.random.default_rng(0), []

    def product(z: np.ndarray) -> np.ndarray:
        U, V = z.reshape(2, d, d)
        return U @ V.T

    for _ in range(3):
        found = optimize.minimize(
            lambda z: z @ z / 2.0,
            generator.standard_normal(2 * d * d),
            jac=lambda z: z,
            constraints={"type": "eq", "fun": lambda z: x @ product(z).ravel() - y},
            method="SLSQP",
            options={"maxiter": 1000, "ftol": 1e-12},
        )
        values.append(found.fun if found.success else np.inf)
    return min(values)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_nuclear_norm_is_the_least_that_another_solver_finds(n):
    d = 4
    examples, _ = training_examples(a_trial(MatrixSensing(noise=0.3), d=d, n=n, k=2, repeat=n))
    fit, M = fitted(examples.x, examples.y, NuclearNormRecovery(gap=1e-8))
    x, y = examples.x.numpy(), examples.y.numpy()
    assert fit.outcomes == [Outcome.FITTED]
    assert np.allclose(x @ M.ravel(), y)
    assert nuclear_norm(M) == pytest.approx(by_scipy(x, y, d), rel=1e-6)


def test_given_the_diagonal_the_diagonal_matrix_is_the_answer():
    d, y = 5, torch.tensor([3.0, -2.0, 1.0, 0.5, -0.25], dtype=torch.float64)
    x = torch.stack([torch.diag(row).flatten() for row in torch.eye(d, dtype=torch.float64)])
    fit, M = fitted(x, y)
    assert fit.outcomes == [Outcome.FITTED]
    assert nuclear_norm(M) == pytest.approx(float(y.abs().sum()), rel=1e-6)
    assert np.allclose(M, np.diag(y.numpy()), atol=1e-4)


def test_a_proof_that_stops_a_trial_holds_for_every_other_solution():
    """The gap bounds by how much any matrix that fits can have a smaller nuclear norm."""
    examples, truth = training_examples(a_trial(MatrixSensing(), d=8, n=20, k=3))
    fit, M = fitted(examples.x, examples.y, NuclearNormRecovery(gap=1e-3))
    gap = float(fit.measures["duality_gap"])
    assert gap <= 1e-3
    closer, better = fitted(examples.x, examples.y, NuclearNormRecovery(gap=1e-9))
    assert float(closer.measures["duality_gap"]) <= 1e-9
    for other in (truth.view(8, 8).numpy(), better):
        assert nuclear_norm(other) >= (1.0 - gap) * nuclear_norm(M) - 1e-12


def test_enough_measurements_recover_the_matrix_and_too_few_do_not():
    """Of 200 trials of another seed at each n none came nearer to its bound than a factor of ten,
    so that a false alarm has a chance of less than 1.5% per trial, with confidence 0.95.
    """
    many = run_pack(trials(a_cell(MatrixSensing(), NuclearNormRecovery(), d=8, n=50, k=1), 5))
    few = run_pack(trials(a_cell(MatrixSensing(), NuclearNormRecovery(), d=8, n=14, k=1), 5))
    assert all(one.measures["relative_error"] < 1e-4 for one in many)
    assert all(one.measures["relative_error"] > 1e-2 for one in few)
    assert {one.outcome for one in many + few} == {Outcome.FITTED}


def test_a_scale_of_the_labels_is_a_scale_of_the_matrix():
    examples, _ = training_examples(a_trial(MatrixSensing(), d=6, n=15, k=2))
    _, M = fitted(examples.x, examples.y)
    _, large = fitted(examples.x, 1024.0 * examples.y)
    assert np.array_equal(large, 1024.0 * M)


def test_every_measurement_leaves_the_least_squares_solution():
    examples, _ = training_examples(a_trial(MatrixSensing(noise=0.3), d=4, n=30, k=2))
    fit, M = fitted(examples.x, examples.y)
    expected = np.linalg.lstsq(examples.x.numpy(), examples.y.numpy(), rcond=None)[0]
    assert np.allclose(M.ravel(), expected)
    assert float(fit.measures["duality_gap"]) == 0.0


def test_steps_that_ran_out_and_equations_without_a_solution_are_out_of_budget():
    examples, _ = training_examples(a_trial(MatrixSensing(), d=8, n=25, k=2))
    short, _ = fitted(examples.x, examples.y, NuclearNormRecovery(steps=10))
    twice = torch.cat([examples.x, examples.x[:1]])
    unlike = torch.cat([examples.y, examples.y[:1] + 1.0])
    contradictory, _ = fitted(twice, unlike)
    for fit in (short, contradictory):
        assert fit.outcomes == [Outcome.OUT_OF_BUDGET]
        assert 1e-6 < float(fit.measures["duality_gap"]) <= 1.0


def test_no_signal_is_the_zero_matrix():
    examples, _ = training_examples(a_trial(MatrixSensing(), d=5, n=10, k=1))
    fit, M = fitted(examples.x, torch.zeros_like(examples.y))
    assert fit.outcomes == [Outcome.FITTED]
    assert not M.any()
