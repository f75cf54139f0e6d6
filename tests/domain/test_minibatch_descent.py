import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import optimize

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.minibatch_descent import MinibatchDescent
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.spiked_linear import SpikedLinear
from tests.builders import a_cell, a_point, a_problem, a_trial, trials


def settled_error(step, n, d, spike, noise):
    """E|w - truth|^2 that steps on batches of n settle at; infinite where the mean square explodes.

    With inputs N(0, diag(l)) and errors m_i = E e_i^2, and E[H M H] = (1 + 1/n) L M L
    + L tr(L M) / n for the Hessian H of a batch, m_i = (step / n)(S + noise^2) / (2 - step
    (1 + 1/n) l_i) with S = sum l_i m_i.
    """
    eigenvalues = np.array([1.0 + spike] + [1.0] * (d - 1))
    room = 2.0 - step * (1.0 + 1.0 / n) * eigenvalues
    shares = step / n / room
    fraction = float(shares @ eigenvalues)
    if (room <= 0).any() or fraction >= 1.0:
        return math.inf, math.inf
    errors = shares * noise**2 / (1.0 - fraction)
    loss = float(eigenvalues @ errors) + noise**2
    square = loss * eigenvalues.sum() / n + (1.0 + 1.0 / n) * float(eigenvalues**2 @ errors)
    return float(errors.sum()), square / d  # and the mean square of a gradient's entry


def largest_step(n, d, spike, noise):
    """The step of SGD at which the settled error is 1, the error of w = 0."""
    excess = lambda step: min(settled_error(step, n, d, spike, noise)[0], 1e9) - 1.0
    return float(optimize.brentq(excess, 1e-9, 3.0, xtol=1e-12))


def largest_rate(optimiser, n, d, spike, noise):
    """That of Adam belongs to the step divided by the root of a gradient's mean square."""
    step = largest_step(n, d, spike, noise)
    if optimiser == "sgd":
        return step
    return step * math.sqrt(settled_error(step, n, d, spike, noise)[1])


def least_batch(optimiser, rate, d, spike, noise):
    """The batch size, not rounded, at which `rate` is the largest stable one."""
    short = lambda n: math.log(largest_rate(optimiser, n, d, spike, noise) / rate)
    return float(optimize.brentq(short, 0.2, 50 * d))


def by_hand(trial):
    """The same descent on the same data with numpy, one example's outer product at a time."""
    learner, point = trial.cell.learner, trial.cell.point
    streams = Streams([trial.key])
    concept = trial.cell.target.draw(point, streams.at("concept"))
    steps = learner.steps_at(point.d, point.n)
    together = min(steps, -(-1024 // point.n))
    w, mean, square = np.zeros(point.d), 0.0, 0.0
    for step in range(steps):
        chunk = trial.cell.target.examples(
            concept, point, together * point.n, streams.at(f"stream/{step // together}")
        )
        at = step % together * point.n
        x, y = chunk.x[0, at : at + point.n].numpy(), chunk.y[0, at : at + point.n].numpy()
        g = x.T @ (x @ w - y) / point.n
        if learner.optimiser == "adam":
            mean = 0.9 * mean + 0.1 * g
            square = 0.999 * square + 0.001 * g**2
            g = mean / (1 - 0.9 ** (step + 1))
            g = g / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8)
        w = w - learner.learning_rate / point.k * g
    return float(np.linalg.norm(w - concept[0].numpy()))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("n", [1, 5, 40])
def test_the_steps_are_those_of_the_formula(optimiser, n):
    learner = MinibatchDescent(optimiser=optimiser, learning_rate=0.05)
    trial = a_trial(SpikedLinear(), learner, d=12, n=n, k=2)
    measured = run_pack([trial])[0].measures
    assert measured["relative_error"] == pytest.approx(by_hand(trial), rel=1e-9)
    assert measured["steps"] == max(50, 240 // n)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("n", [4, 16])
def test_the_error_crosses_that_of_zero_at_the_rate_of_theory(optimiser, n):
    """12 trials of d = 128 at 0.75 and 1.3 times that rate; their mean error lies 6 standard errors
    from 1 or more, so that a sound learner fails with chance below 1e-7."""
    rate = largest_rate(optimiser, n, 128, 4.0, 1.0)
    for factor, is_stable in ((0.75, True), (1.3, False)):
        learner = MinibatchDescent(optimiser=optimiser, learning_rate=factor * rate, beta1=0.0)
        results = run_pack(trials(a_cell(SpikedLinear(), learner, d=128, n=n), 12))
        errors = [result.measures.get("relative_error", math.inf) for result in results]
        assert bool(np.mean(errors) < 1.0) is is_stable


def test_twice_the_stable_rate_makes_gradient_descent_explode_and_it_is_said():
    learner = MinibatchDescent(learning_rate=1.0, passes=400.0)
    results = run_pack(trials(a_cell(SpikedLinear(), learner, d=16, n=2), 3))
    assert {result.outcome for result in results} == {Outcome.DIVERGED}


def test_k_divides_the_learning_rate():
    """One trial's data, at rate 0.2 with k = 2 and at rate 0.1 with k = 1."""
    streams, ends = Streams(["a", "b"]), []
    for k, rate in ((2, 0.2), (1, 0.1)):
        x = torch.zeros(2, 1, 8, dtype=torch.float64)
        problem = replace(a_problem(x, x[:, :, 0], [4, 4], SpikedLinear()), point=a_point(k=k))
        ends.append(MinibatchDescent(learning_rate=rate).fit(problem, streams).coefficients)
    assert torch.equal(ends[0], ends[1])


def test_without_noise_the_stable_step_is_that_of_the_sample_covariance():
    """For one eigenvalue the mean square explodes at 2 n / (n + d + 1)."""
    for n in (2, 30, 400):
        step = largest_step(n, 50, 0.0, 1e-6)
        assert step == pytest.approx(2 * n / (n + 51), rel=1e-5)


def test_inputs_have_one_large_variance_along_the_diagonal():
    """20,000 draws; bands of 5 standard deviations of a variance: fails with chance 1e-6."""
    target, streams = SpikedLinear(spike=8.0), Streams(["a"])
    point = a_point(d=5, n=4)
    w = target.draw(point, streams.at("concept"))
    assert float(w.square().sum()) == pytest.approx(1.0)
    x = target.examples(w, point, 20_000, streams.at("train")).x[0]
    along = x.sum(1) / math.sqrt(5)
    band = 5 * math.sqrt(2 / 20_000)
    assert abs(float(along.square().mean()) / 9.0 - 1.0) < band
    across = (x[:, 0] - x[:, 1]) / math.sqrt(2)
    assert abs(float(across.square().mean()) - 1.0) < band
    assert abs(float((along * across).mean())) < 5 * 3 / math.sqrt(20_000)
    assert torch.equal(target.examples(w, point, 7, streams.at("train")).x[0], x[:7])
