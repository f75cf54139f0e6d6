"""Recursive feature machines: kernels in a learned metric, their gradients, and what they find."""

import math

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge as Reference

from orchestrator.domain.feature_machine import Machine, symmetric_power
from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.fact_recursive_feature_machine import (
    FactRecursiveFeatureMachine,
)
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.learners.recursive_feature_machine import RecursiveFeatureMachine
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.modular_addition import ModularAddition
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_point, trials

PROFILES = ("laplace", "rbf")
MACHINES = (RecursiveFeatureMachine, FactRecursiveFeatureMachine)

each_profile = pytest.mark.parametrize("profile", PROFILES)
each_machine = pytest.mark.parametrize("kind", MACHINES)


def some_examples(n: int = 24, d: int = 5, outputs: int = 0, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, outputs) if outputs else n)
    return Examples(torch.from_numpy(rng.normal(size=(n, d))), torch.from_numpy(y))


def a_metric(d: int = 5, seed: int = 7) -> torch.Tensor:
    root = torch.from_numpy(np.random.default_rng(seed).normal(size=(d, d)))
    return root @ root.T / d + 0.1 * torch.eye(d, dtype=torch.float64)


def a_machine(profile: str, outputs: int = 0, metric: torch.Tensor | None = None) -> Machine:
    metric = a_metric() if metric is None else metric
    return Machine.solved(some_examples(outputs=outputs), metric, profile, 1.7, 1e-2)


def function_at(machine: Machine, z: torch.Tensor) -> torch.Tensor:
    """Outputs at one point z (D,), written with square roots of explicit differences, (C,)."""
    away = z - machine.x
    squared = ((away @ machine.metric) * away).sum(1)
    apart = squared > 1e-20  # the kernel at distance 0 is 1 and adds no gradient
    if machine.profile == "laplace":
        distance = torch.where(apart, squared, 1.0).sqrt()
        kernel = torch.where(apart, torch.exp(-distance / machine.length), 1.0)
    else:
        kernel = torch.exp(-squared / (2 * machine.length**2))
    return kernel @ machine.alpha.reshape(len(machine.x), -1)


def automatic_gradients(machine: Machine) -> torch.Tensor:
    """(n, C, D) by automatic differentiation."""
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda z: function_at(machine, z), one)
         for one in machine.x]
    )  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("profile", "kernel"), [("laplace", "laplace"), ("rbf", "rbf")])
def test_without_iterations_it_is_kernel_ridge_regression(machine, profile, kernel):
    given, fresh = some_examples(), some_examples(seed=1)
    learner = machine(kernel=profile, bandwidth=0.8, ridge=0.01, iterations=0)
    plain = KernelRidge(kernel=kernel, bandwidth=0.8, ridge=0.01)
    point, streams = a_point(d=5, n=24), Streams(["key"])
    ours, theirs = (one.fit_one(given, point, streams) for one in (learner, plain))
    torch.testing.assert_close(ours.predict(fresh.x), theirs.predict(fresh.x), rtol=1e-6, atol=1e-7)


@each_profile
def test_a_machine_in_a_metric_is_scikit_learn_on_rotated_inputs(profile):
    given, fresh = some_examples(outputs=3), some_examples(seed=1).x
    machine = a_machine(profile, outputs=3)
    root = symmetric_power(machine.metric, 0.5).numpy()
    x, z = given.x.numpy() @ root, fresh.numpy() @ root
    kernel = (
        Matern(length_scale=1.7, nu=0.5)
        if profile == "laplace"
        else lambda a, b: math.exp(-((a - b) @ (a - b)) / (2 * 1.7**2))
    )
    gram, cross = (
        (kernel(x), kernel(z, x))
        if profile == "laplace"
        else [np.array([[kernel(a, b) for b in x] for a in rows]) for rows in (x, z)]
    )
    reference = Reference(alpha=1e-2, kernel="precomputed").fit(gram, given.y.numpy())
    np.testing.assert_allclose(machine.at(fresh).numpy(), reference.predict(cross), rtol=1e-7)


@each_profile
@pytest.mark.parametrize("outputs", [0, 3])
def test_gradients_are_those_of_automatic_differentiation(profile, outputs):
    machine = a_machine(profile, outputs)
    ours = torch.stack(list(machine.gradients()), 1)
    torch.testing.assert_close(ours, automatic_gradients(machine), rtol=1e-8, atol=1e-10)


@each_profile
def test_gradients_are_differences_of_the_function(profile):
    """The Laplace kernel has a symmetric kink at training points; central differences miss it."""
    machine, step = a_machine(profile), 1e-3
    slopes = [
        (machine.at(machine.x + move) - machine.at(machine.x - move)) / (2 * step)
        for move in step * torch.eye(5, dtype=torch.float64)
    ]
    (ours,) = machine.gradients()
    torch.testing.assert_close(ours, torch.stack(slopes, 1), rtol=1e-3, atol=1e-4)


@each_profile
@pytest.mark.parametrize("centred", [False, True])
def test_the_next_metric_is_the_average_outer_product_of_gradients(profile, centred):
    machine = a_machine(profile, outputs=3)
    gradients = automatic_gradients(machine)
    if centred:
        gradients = gradients - gradients.mean(0)
    expected = torch.einsum("ncd,nce->de", gradients, gradients)
    ours = RecursiveFeatureMachine(centred=centred).learned(machine)
    torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-10)
    root = RecursiveFeatureMachine(centred=centred, power=0.5).learned(machine)
    torch.testing.assert_close(root @ root, expected, rtol=1e-6, atol=1e-8)


@each_profile
@pytest.mark.parametrize("outputs", [0, 3])
def test_the_fact_is_the_gradient_of_the_loss_times_the_input(profile, outputs):
    """Residuals of kernel ridge are -ridge alpha, so F is the sum over ridge of -dl/dx x'."""
    machine, given = a_machine(profile, outputs), some_examples(outputs=outputs)
    residuals = (machine.at(given.x) - given.y).reshape(len(given.x), -1)
    pull = torch.einsum("nc,ncd->nd", residuals, automatic_gradients(machine))
    expected = -pull.T @ given.x / 1e-2
    torch.testing.assert_close(machine.weighted_gradients(), expected, rtol=1e-6, atol=1e-8)


def test_both_rules_stay_at_a_metric_that_is_its_own_fact():
    metric = a_metric()

    class AtConvergence:
        def weighted_gradients(self):
            return 3.0 * metric

    AtConvergence.metric = metric
    for geometric in (False, True):
        learned = FactRecursiveFeatureMachine(geometric=geometric).learned(AtConvergence())
        torch.testing.assert_close(learned / learned.trace(), metric / metric.trace())


@each_machine
def test_the_metric_keeps_its_trace_and_has_no_negative_direction(kind):
    metric = kind().machine(some_examples()).metric
    assert float(metric.trace()) == pytest.approx(5.0)
    assert torch.equal(metric, metric.T)
    assert float(torch.linalg.eigvalsh(metric).min()) > -1e-12


@each_machine
def test_a_single_example_teaches_no_metric(kind):
    given = some_examples(n=1)
    machine = kind().machine(given)
    assert torch.equal(machine.metric, torch.eye(5, dtype=torch.float64))


@each_machine
def test_examples_that_are_not_finite_diverge(kind):
    given = some_examples()
    given.x[3, 1] = math.nan
    fit = kind().fit_one(given, a_point(d=5, n=24), Streams(["key"]))
    assert fit.outcomes == [Outcome.DIVERGED]


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, 1e308])
def test_a_metric_that_is_not_finite_diverges(spoilt, monkeypatch):
    """At 1e308 every entry is finite and their sum is not."""
    learned = lambda _, machine: torch.full_like(machine.metric, spoilt)
    monkeypatch.setattr(RecursiveFeatureMachine, "learned", learned)
    learner = RecursiveFeatureMachine()
    fit = learner.fit_one(some_examples(), a_point(d=5, n=24), Streams(["key"]))
    assert fit.outcomes == [Outcome.DIVERGED]


@each_machine
def test_with_many_examples_the_metric_shows_the_hidden_coordinates(kind):
    """At 2.4 times the threshold; 12 of 12 trials at fixed keys, which never differ."""
    found = run_pack(trials(a_cell(SparseParity(), kind(), d=10, n=85, k=2), 12))
    assert all(one.measures["exact_recovery"] == 1.0 for one in found)
    assert all(one.measures["support_share"] > 0.5 for one in found)
    assert all(one.measures["test_accuracy"] > 0.9 for one in found)


def test_without_iterations_every_coordinate_weighs_the_same():
    learner = RecursiveFeatureMachine(iterations=0)
    (found,) = run_pack(trials(a_cell(SparseParity(), learner, d=10, n=60, k=3), 1))
    assert found.measures["support_share"] == pytest.approx(0.3)
    assert found.measures["exact_recovery"] == 0.0


def test_sums_that_were_never_shown_are_named_by_learned_features_alone():
    """At 76% of the table of 17 residues; 4 trials at fixed keys, which never differ."""
    settings = {"kernel": "rbf", "bandwidth": 0.5, "ridge": 1e-4}
    plain = RecursiveFeatureMachine(iterations=0, **settings)
    machine = FactRecursiveFeatureMachine(iterations=40, geometric=True, **settings)
    accuracies = [
        [one.measures["test_accuracy"]
         for one in run_pack(trials(a_cell(ModularAddition(), learner, d=17, n=220), 4))]
        for learner in (plain, machine)
    ]  # fmt: skip
    assert max(accuracies[0]) < 0.05
    assert min(accuracies[1]) > 0.9
