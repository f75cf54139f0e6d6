"""The informed reader's posterior is the exact one under our search's own prior."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from benchmarks.search.curves import crossing_at
from benchmarks.search.families import problem
from benchmarks.search.methods.informed import informed_interval, quantiles
from benchmarks.search.methods.oracle import Cloud
from benchmarks.search.problems import Law, Problem, Trials
from orchestrator.inference.prior import SCALE_WEIGHTS, prior
from orchestrator.inference.threshold import Asked

SHARES = (0.025, 0.5, 0.975)


def told(ds: tuple[int, ...], outcomes: dict[tuple[int, int], list[int]]) -> Trials:
    """Trials of thresholds 20 d with these counts by (threshold, n)."""
    asked = tuple(Asked(d, 1, 5, 100_000) for d in ds)
    curves = tuple(crossing_at("early", math.log(20 * d), 3.0, 0.02, 0.02) for d in ds)
    trials = Trials(Problem("base", 0, asked, curves))
    trials.counts = outcomes
    return trials


def integrated(trials: Trials, count: int) -> np.ndarray:
    """Quantiles (shares, C) by summing the posterior over a grid of all log n_star."""
    asked, curves = trials.problem.asked, trials.problem.curves
    believed = prior([(ask.d, ask.k) for ask in asked], asked)
    axes = [np.linspace(*ends, count) for ends in believed.reach]
    likelihood = np.zeros([count] * len(axes))
    for i, (axis, curve) in enumerate(zip(axes, curves, strict=True)):
        log_n, won, tried = trials.of(i)
        chance = curve.if_crossing_at(axis, log_n)
        logs = np.log(chance) @ won + np.log(1 - chance) @ (tried - won)
        likelihood += logs.reshape([-1 if j == i else 1 for j in range(len(axes))])
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    total = np.zeros_like(likelihood)
    for weight, covariance in zip(SCALE_WEIGHTS, believed.covariance, strict=True):
        density = multivariate_normal.pdf(points, believed.mean, covariance)
        total += weight * density * np.exp(likelihood - likelihood.max())
    columns = []
    for i, axis in enumerate(axes):
        marginal = total.sum(tuple(j for j in range(len(axes)) if j != i))
        below = np.cumsum(marginal) - marginal / 2
        columns.append(np.interp(SHARES, below / below[-1], axis))
    return np.column_stack(columns)


@pytest.mark.parametrize(
    "outcomes",
    [
        {(0, 60): [0, 1], (0, 200): [1, 4], (0, 400): [3, 4], (0, 9_000): [1, 1]},
        {(0, 60): [0, 2], (0, 9_000): [3, 3]},
        {(0, 700): [0, 2]},
    ],
)
def test_one_threshold_is_integrated_exactly(outcomes):
    trials = told((20,), outcomes)
    exact = integrated(trials, 20_001)
    assert np.abs(quantiles(trials, SHARES) - exact).max() < 0.005 * (exact[2] - exact[0])[0]


@pytest.mark.parametrize(("repeats", "allowed"), [(1, 0.05), (8, 0.01)])
@pytest.mark.parametrize(
    ("ds", "outcomes"),
    [
        ((10, 12), {(0, 100): [0, 2], (0, 300): [3, 4], (1, 150): [1, 4], (1, 800): [2, 2]}),
        ((10, 12), {(0, 100): [0, 2], (0, 240): [3, 4]}),
        ((10, 200), {(0, 100): [1, 2], (0, 240): [3, 4], (1, 900): [0, 1], (1, 5_000): [2, 3]}),
    ],
)
def test_two_thresholds_agree_with_integration_over_both(ds, outcomes, repeats, allowed):
    """What they say to each other is rounded to a Gaussian, which it is for many outcomes."""
    trials = told(ds, {point: [repeats * x for x in tally] for point, tally in outcomes.items()})
    exact = integrated(trials, 1_001)
    assert (np.abs(quantiles(trials, SHARES) - exact) < allowed * (exact[2] - exact[0])).all()


def sampled(trials: Trials) -> np.ndarray:
    """Quantiles (shares, C) by importance sampling under each scale, weighed by evidence."""
    asked = trials.problem.asked
    believed = prior([(ask.d, ask.k) for ask in asked], asked)
    draws, log_weights = [], []
    for weight, covariance in zip(SCALE_WEIGHTS, believed.covariance, strict=True):
        law = Law(believed.mean, np.linalg.cholesky(covariance))
        cloud = Cloud(trials, law, particles=40_000)
        draws.append(cloud.m)
        log_weights.append(cloud._log_weights + math.log(weight))
    m, logs = np.concatenate(draws), np.concatenate(log_weights)
    weights = np.exp(logs - logsumexp(logs))
    columns = []
    for column in m.T:
        order = np.argsort(column)
        columns.append(np.interp(SHARES, np.cumsum(weights[order]), column[order]))
    return np.column_stack(columns)


def test_four_thresholds_one_without_outcomes_agree_with_importance_sampling():
    """Ends by sampling are good to 1% of the width, rounding of words may take 4%."""
    trials = told(
        (10, 20, 40, 80),
        {
            (0, 100): [0, 3], (0, 180): [2, 4], (0, 2_000): [1, 1], (1, 300): [1, 3],
            (1, 900): [2, 2], (3, 900): [0, 2], (3, 1_700): [3, 4], (3, 5_000): [1, 1],
        },
    )  # fmt: skip
    exact = sampled(trials)
    assert (np.abs(quantiles(trials, SHARES) - exact) < 0.05 * (exact[2] - exact[0])).all()


def test_a_jump_has_no_interval_to_compare_with():
    assert informed_interval(Trials(problem("integer_steps", 0))) is None
