import math

import numpy as np
import pytest
import torch
from scipy import integrate

from orchestrator.domain.learner import Outcome, Problem
from orchestrator.domain.learners.deep_linear_network import DeepLinearNetwork, Statistics
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.deep_linear_teacher import DeepLinearTeacher
from tests.builders import a_cell, a_trial, trials


def a_teacher(d=6, k=3, **settings):
    """A teacher's map and its first 2 d examples, with one trial: M (d, d), x, y (2 d, d)."""
    target, streams = DeepLinearTeacher(**settings), Streams(["a"])
    point = a_trial(target, d=d, k=k).cell.point
    concept = target.draw(point, streams.at("concept"))
    examples = target.examples(concept, point, 2 * d, streams.at("train"))
    return concept.view(d, d).numpy(), examples.x[0].numpy(), examples.y[0].numpy()


def problem_of(trial):
    """What a pack of one trial and its twin gives the learner."""
    point, target = trial.cell.point, trial.cell.target
    streams = Streams([trial.key] * 2)
    return Problem(
        target=target,
        point=point,
        n=torch.tensor([point.n] * 2),
        concept=target.draw(point, streams.at("concept")),
        streams=streams,
        dtype=torch.float64,
        padded_n=trial.cell.learner.padded_n([point]),
    )


def shares(n, k, teacher=None, **settings):
    """`least_mode` after n steps, of one trial."""
    cell = a_cell(teacher or DeepLinearTeacher(), DeepLinearNetwork(**settings), d=8, n=n, k=k)
    return run_pack(trials(cell, 1))[0].measures["least_mode"]


def sigmoid(t, s, start):
    """Saxe et al. 2013: the strength of a mode of two layers at time t."""
    grown = math.exp(2 * s * t)
    return s * grown / (grown - 1 + s / start)


def integrated(t, s, start, depth):
    """da/dt = L a^(2 - 2/L) (s - a) from `start`, by scipy."""
    rate = lambda _, a: depth * a ** (2 - 2 / depth) * (s - a)
    return integrate.solve_ivp(rate, (0, t), [start], rtol=1e-10, atol=1e-14).y[0, -1]


# The teacher


def test_the_map_has_the_singular_values_of_its_spectrum_and_no_others():
    M, _, _ = a_teacher(d=6, k=3, strength=2.0, decay=0.5)
    expected = [2.0, 2.0 / 2**0.5, 2.0 / 3**0.5, 0, 0, 0]
    assert np.linalg.svd(M, compute_uv=False) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("start", [0, 1, 5])
def test_any_d_examples_in_a_row_are_white_and_say_the_whole_map(start):
    M, x, y = a_teacher(d=6)
    x, y = x[start : start + 6], y[start : start + 6]
    assert np.allclose(x.T @ x / 6, np.eye(6), atol=1e-12)
    assert np.allclose(y.T @ x / 6, M, atol=1e-12)


# Learning times against theory


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_modes_of_two_layers_follow_the_sigmoid(k, share):
    """Steps of 0.001 stand for the flow: their error is of order s * rate / 2 of the exponent."""
    s, start, rate = 1 / k, 1e-3, 1e-3
    n = round(math.log((s / start - 1) * share / (1 - share)) / (2 * s) / rate)
    found = shares(n, k, scale=start**0.5, learning_rate=rate)
    assert found == pytest.approx(sigmoid(n * rate, s, start) / s, abs=2e-3)


def test_a_mode_of_two_layers_is_half_learnt_at_the_time_of_the_formula():
    s, scale, rate = 0.25, 0.05, 2e-3
    n_star = math.log(s / scale**2 - 1) / (2 * s) / rate
    assert shares(round(0.99 * n_star), 4, scale=scale, learning_rate=rate) < 0.5
    assert shares(round(1.01 * n_star), 4, scale=scale, learning_rate=rate) > 0.5


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_modes_of_other_depths_follow_their_differential_equation(depth):
    s, scale, rate = 0.5, 0.3, 1e-3
    teacher = DeepLinearTeacher(strength=s, decay=0.0)
    for n in (300, 1500, 3000):
        expected = integrated(n * rate, s, scale**depth, depth) / s
        found = shares(n, 2, teacher, depth=depth, scale=scale, learning_rate=rate)
        assert found == pytest.approx(expected, abs=1e-3)


def test_the_slope_of_a_step_is_that_of_autograd_from_random_weights():
    trial = a_trial(
        DeepLinearTeacher(),
        DeepLinearNetwork(depth=3, width=5, initial="random", scale=0.7, learning_rate=0.05),
        d=6,
        n=1,
        k=3,
    )
    learner, problem = trial.cell.learner, problem_of(trial)
    layers = learner.initial_layers(Statistics.of(problem), problem.streams.at("learner"))
    own = [layer[0].clone().requires_grad_() for layer in layers]
    loss = ((problem.x[0] @ (own[2] @ own[1] @ own[0]).T - problem.y[0]) ** 2).sum(1).mean() / 2
    loss.backward()
    stepped = [layer.detach() - 0.05 * layer.grad for layer in own]
    found = learner.fit(problem, problem.streams.at("learner")).coefficients[0]
    assert torch.allclose(found.view(6, 6), stepped[2] @ stepped[1] @ stepped[0], atol=1e-14)


def test_small_random_weights_start_where_the_mean_of_both_layers_does():
    """16 trials of width 64; a mode's start is chi-squared with 64 degrees, so that the median of
    its logarithm has a standard error of 0.06, and 5% of the learning time are 7 of those."""
    s, scale = 1.0, 0.01
    n_star = math.log(s / (scale**2 * (1 + 64 / 16) / 4) - 1) / (2 * s) / 0.01
    for factor, is_learnt in ((0.95, False), (1.05, True)):
        learner = DeepLinearNetwork(initial="random", scale=scale, width=64)
        cell = a_cell(DeepLinearTeacher(), learner, d=16, n=round(factor * n_star), k=1)
        found = np.median([one.measures["least_mode"] for one in run_pack(trials(cell, 16))])
        assert bool(found > 0.5) is is_learnt


@pytest.mark.parametrize("depth", [2, 3])
def test_orthogonal_weights_are_isometries_times_the_scale(depth):
    trial = a_trial(DeepLinearTeacher(), d=6, n=1, k=3)
    learner = DeepLinearNetwork(depth=depth, width=4, initial="orthogonal", scale=0.3)
    problem = problem_of(a_trial(trial.cell.target, learner, d=6, n=1, k=3))
    for layer in learner.initial_layers(Statistics.of(problem), problem.streams.at("learner")):
        assert np.linalg.svd(layer[0].numpy(), compute_uv=False) == pytest.approx([0.3] * 4)


# Ends


def test_the_slowest_mode_is_the_one_that_is_reported():
    """At a time when the first of two modes is learnt and the second is not."""
    n = round(1.2 * math.log(1 / 0.01**2 - 1) / 2 / 0.01)
    assert shares(n, 1) > 0.8
    assert shares(n, 2) < 0.1


def test_too_large_a_step_diverges_and_it_is_said():
    learner = DeepLinearNetwork(learning_rate=5.0, initial="random", scale=1.0)
    results = run_pack(trials(a_cell(DeepLinearTeacher(), learner, d=8, n=200, k=2), 3))
    assert {one.outcome for one in results} == {Outcome.DIVERGED}


def test_a_trial_has_the_same_end_and_curve_among_trials_of_other_n():
    learner = DeepLinearNetwork()
    mixed = [a_trial(DeepLinearTeacher(), learner, d=7, n=n, k=2) for n in (3, 100, 64, 200)]
    together = run_pack(mixed)
    for trial, result in zip(mixed, together, strict=True):
        assert result.same_as(run_pack([trial])[0])
        assert result.curves["least_mode"][-1][0] == trial.cell.point.n
