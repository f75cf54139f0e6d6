import math

import numpy as np
import pytest
import torch
from scipy import optimize

from orchestrator.domain.learners.weighted_ridge import WeightedRidge, weighted_solution
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.shifted_linear import ShiftedLinear
from orchestrator.domain.targets.sparse_linear import SparseLinear
from tests.builders import a_cell, a_point, a_problem, training_examples, trials


def r_squared(n, d, k, target, exponent):
    """R^2 on test inputs of weighted least squares, as d grows with n / d fixed and k small.

    With gains h = g c / (1 + g c), of which the mean is d / n, the excess error r^2 solves
    (d / n) r^2 = E[h^2 (e^2 + r^2)], e the residual of the best linear function for those weights.
    Source: El Karoui, Bean, Bickel, Lim & Yu (2013), "On robust regression with high-dimensional
    predictors", PNAS 110(36), for the quadratic loss with weights.
    """
    s, misfit = target.spread, target.misfit
    x = s * np.random.default_rng(0).normal(size=(200_000, k))
    g = np.exp(exponent * (k * math.log(s) - 0.5 * (1 - s**-2) * (x**2).sum(1)))
    cubes = misfit / math.sqrt(6 * k) * (x**3 - 3 * x).sum(1)
    slopes = (g[:, None] * x * cubes[:, None]).mean(0) / (g[:, None] * x**2).mean(0)
    left = (cubes - x @ slopes) ** 2 + target.noise**2
    gains = lambda log_c: (h := g * math.exp(log_c)) / (1 + h)
    c = optimize.brentq(lambda log_c: gains(log_c).mean() - d / n, -30, 30)
    h2 = gains(c) ** 2
    excess = (h2 * left).mean() / (d / n - h2.mean()) + (slopes**2).sum()
    rest = misfit**2 + target.noise**2
    return 1 - (excess + rest) / (1 + rest)


def least_n(level, d, k, target, exponent):
    """The n, not rounded, at which that R^2 is `level`."""
    return optimize.brentq(
        lambda n: r_squared(n, d, k, target, exponent) - level, 1.05 * d, 60 * d, rtol=1e-4
    )


@pytest.mark.parametrize(("n", "d"), [(3, 6), (6, 6), (30, 6)])
def test_the_solution_is_that_of_the_normal_equations(n, d):
    rng = np.random.default_rng(n)
    x, y, g = rng.normal(size=(n, d)), rng.normal(size=n), rng.exponential(size=n)
    found = weighted_solution(
        Examples(torch.from_numpy(x), torch.from_numpy(y)), torch.from_numpy(g), 0.3
    )
    wanted = np.linalg.solve(x.T @ (g[:, None] * x) + 0.3 * n * np.eye(d), x.T @ (g * y))
    assert np.allclose(found.numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_examples_count_by_the_ratio_of_densities(exponent):
    target = ShiftedLinear(misfit=1.0)
    trial = trials(a_cell(target, WeightedRidge(exponent=exponent), d=5, n=40, k=2), 1)[0]
    examples, _ = training_examples(trial)
    g = target.log_ratio(examples.x, a_point(d=5, k=2)).mul(exponent).exp()
    w = weighted_solution(examples, g / g.mean(), 1e-6)
    error = float((examples.x @ w - examples.y).square().mean())
    assert run_pack([trial])[0].measures["train_error"] == pytest.approx(error, rel=1e-9)


def test_weights_do_nothing_where_nothing_is_shifted():
    draw = torch.manual_seed(0)
    x, y = (torch.randn(2, 20, *size, generator=draw).double() for size in ((4,), ()))
    problem = a_problem(x, y, [20, 11], SparseLinear())
    plain, weighted = (
        WeightedRidge(exponent=exponent).fit(problem, Streams(["a", "b"])).coefficients
        for exponent in (0.0, 1.0)
    )
    assert torch.equal(plain, weighted)


def test_weights_remove_the_bias_of_a_misfit_and_nothing_else_does():
    """At 4,000 examples in 5 dimensions, means of 60 trials; the bands are 4.5 standard errors and
    more, so that a sound learner fails with chance 7e-6."""
    target, ends = ShiftedLinear(misfit=0.5, noise=0.0), []
    for exponent in (0.0, 1.0):
        learner = WeightedRidge(exponent=exponent)
        results = run_pack(trials(a_cell(target, learner, d=5, n=4000, k=2), 60))
        ends.append(float(np.mean([result.measures["r_squared"] for result in results])))
    bias = 1.5 * 0.5**2 * (1.5**2 - 1) ** 2
    assert ends[0] == pytest.approx(1 - (bias + 0.25) / 1.25, abs=0.05)
    assert ends[1] == pytest.approx(1 - 0.25 / 1.25, abs=0.05)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@pytest.mark.parametrize("misfit", [0.0, 0.2])
def test_the_error_is_that_of_theory(misfit, exponent):
    """Means of 60 trials at d = 60, n = 240; 0.04 is 5 of their standard errors or more, so that a
    sound learner fails with chance below 4 * 6e-7 but for what theory lacks at finite d."""
    target, learner = ShiftedLinear(misfit=misfit), WeightedRidge(exponent=exponent)
    results = run_pack(trials(a_cell(target, learner, d=60, n=240, k=4), 60))
    measured = float(np.mean([result.measures["r_squared"] for result in results]))
    assert measured == pytest.approx(r_squared(240, 60, 4, target, exponent), abs=0.04)


def test_weights_that_are_not_finite_give_no_solution():
    x = torch.full((3, 2), 1e300, dtype=torch.float64)
    w = weighted_solution(Examples(x, x[:, 0]), torch.tensor([1.0, math.nan, 1.0]).double(), 1.0)
    assert w.isnan().all()
