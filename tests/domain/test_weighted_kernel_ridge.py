import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.kernel_ridge import KernelRidge as Reference

from orchestrator.domain.bias_variance import DECOMPOSED
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.learners.weighted_kernel_ridge import WeightedKernelRidge, weighted_solver
from orchestrator.domain.measures import reported
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.linear import Linear
from orchestrator.domain.targets.shifted_quadratic import ShiftedQuadratic
from orchestrator.spec import load
from tests.builders import a_cell, a_point, a_problem, trials

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "kernel_covariate_shift.yaml"


def theory(n, d, k, target, exponent, ridge, samples=200_000):
    """(squared bias, variance) as d grows with n / d fixed and k small, for the kernel exp(x.z/d).

    The kernel is 1 + x.z/d + what its diagonal has beyond that, so that each example has a ridge of
    its own, D = ridge / g + exp(|x|^2/d) - 1 - |x|^2/d. With tau the root of
    1 / tau = 1 + (n / d) E[1 / (D + tau)] and v = (n / d) tau^2 E[1 / (D + tau)^2], leaving out one
    example at a time gives variance noise^2 v / (1 - v) and squared bias
    (tau^2 + curvature^2) / (1 - v), the quadratic part being noise to a linear function.
    """
    rng, s = np.random.default_rng(0), target.spread
    few = s * rng.normal(size=(samples, k))
    g = np.exp(exponent * (k * math.log(s) - 0.5 * (1 - s**-2) * (few**2).sum(1)))
    norm = ((few**2).sum(1) + rng.chisquare(d - k, size=samples)) / d
    ridges = ridge * g.mean() / g + np.exp(norm) - 1 - norm
    gain = lambda tau, power: n / d * (1 / (ridges + tau) ** power).mean()
    tau = brentq(lambda tau: tau * (1 + gain(tau, 1)) - 1, 1e-9, 1.0)
    v = tau**2 * gain(tau, 2)
    return (tau**2 + target.curvature**2) / (1 - v), target.noise**2 * v / (1 - v)


@pytest.mark.parametrize("kernel", ["exp_dot", "rbf", "nngp"])
def test_predictions_agree_with_scikit_learn(kernel):
    rng = np.random.default_rng(0)
    x, z, y = rng.normal(size=(30, 5)), rng.normal(size=(9, 5)), rng.normal(size=30)
    g = rng.exponential(size=30)
    learner = WeightedKernelRidge(kernel=kernel)
    gram = learner.gram(torch.from_numpy(x), torch.from_numpy(x))
    across = learner.gram(torch.from_numpy(z), torch.from_numpy(x))
    alpha = weighted_solver(gram, torch.from_numpy(g), 0.3)(torch.from_numpy(y))
    reference = Reference(alpha=0.3, kernel="precomputed")
    reference.fit(gram.numpy(), y, sample_weight=g)
    assert np.allclose((across @ alpha).numpy(), reference.predict(across.numpy()), rtol=1e-8)


def test_the_learner_weighs_examples_by_the_powered_ratio_over_its_mean():
    target, learner = ShiftedQuadratic(), WeightedKernelRidge(exponent=0.7, ridge=0.2)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 20, 6)))
    problem = a_problem(x, x[:, :, 0], [20], target)
    fit = learner.fit(problem, Streams(["a"]))
    g = target.log_ratio(x[0], a_point(d=6, k=1)).mul(0.7).exp()
    gram = learner.gram(x[0], x[0])
    wanted = torch.linalg.solve(gram + 0.2 * torch.diag(g.mean() / g), x[0, :, 0])
    assert fit.predict is not None
    torch.testing.assert_close(fit.predict(x)[0], gram @ wanted)


@pytest.mark.parametrize(("target", "exponent"), [(ShiftedQuadratic(), 0.0), (Linear(), 1.0)])
def test_with_exponent_0_and_where_nothing_is_shifted_it_is_kernel_ridge_regression(
    target, exponent
):
    x = torch.randn(1, 24, 5, generator=torch.Generator().manual_seed(0)).double()
    problem = a_problem(x, x[:, :, 0].exp(), [24], target)
    ours = WeightedKernelRidge(exponent=exponent, kernel="rbf", ridge=0.1)
    theirs = KernelRidge(kernel="rbf", ridge=0.1)
    weighted, plain = (one.fit(problem, Streams(["a"])).predict for one in (ours, theirs))
    assert weighted is not None
    assert plain is not None
    torch.testing.assert_close(weighted(x), plain(x))


def test_predictions_are_the_smoother_times_the_labels():
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, 20, *size, generator=draw).double() for size in ((4,), ()))
    fresh = torch.randn(2, 7, 4, generator=draw).double()
    problem = a_problem(x, y, [20, 13], ShiftedQuadratic())
    fit = WeightedKernelRidge(ridge=0.3).fit(problem, Streams(["a", "b"]))
    assert fit.smoother is not None
    assert fit.predict is not None
    for trial, smoother in enumerate(fit.smoother(fresh)):
        n = (20, 13)[trial]
        assert smoother.shape == (7, n)
        torch.testing.assert_close(smoother @ y[trial, :n], fit.predict(fresh)[trial])


def test_bias_and_variance_are_those_of_noise_drawn_again_and_again():
    """600 draws of the noise on the same inputs; the band is 5 standard errors of the mean excess
    error, so that a sound decomposition fails with chance 6e-7."""
    target, learner = ShiftedQuadratic(noise=0.6), WeightedKernelRidge(ridge=0.3)
    trial = trials(a_cell(target, learner, d=6, n=40, k=2), 1)[0]
    measures = run_pack([trial])[0].measures
    streams, point = Streams([trial.key]), trial.cell.point
    concept = target.draw(point, streams.at("concept"))
    x = target.examples(concept, point, 40, streams.at("train")).x
    fresh = target.examples(concept, point, 1000, streams.at("test")).x
    g = target.log_ratio(x[0], point).exp()
    solve = weighted_solver(learner.gram(x[0], x[0]), g / g.mean(), 0.3)
    noise = 0.6 * torch.randn(40, 600, generator=torch.Generator().manual_seed(1)).double()
    labels = target.noiseless(concept, x)[0][:, None] + noise
    wanted = target.noiseless(concept, fresh)[0][:, None]
    missed = learner.gram(fresh[0], x[0]) @ solve(labels) - wanted
    excess = missed.square().mean(0)
    error = float(excess.std()) / math.sqrt(600)
    told = measures["squared_bias"] + measures["variance"]
    assert abs(float(excess.mean()) - told) < 5 * error


def test_only_targets_that_know_their_noise_have_the_error_taken_apart():
    assert {"squared_bias", "variance"} <= set(reported(ShiftedQuadratic(), WeightedKernelRidge()))
    assert "variance" not in reported(Linear(), WeightedKernelRidge())
    assert "variance" not in reported(ShiftedQuadratic(), KernelRidge())


@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_bias_and_variance_are_those_of_theory(exponent):
    """Means of 24 trials at d = 100, n = 200: 5 standard errors, Student's t: chance 5e-5 for each
    of two means, and a tenth for finite d."""
    target, learner = ShiftedQuadratic(), WeightedKernelRidge(ridge=0.1, exponent=exponent)
    results = run_pack(trials(a_cell(target, learner, d=100, n=200, k=8), 24))
    wanted = theory(200, 100, 8, target, exponent, 0.1)
    for name, value in zip(("squared_bias", "variance"), wanted, strict=True):
        sample = np.array([result.measures[name] for result in results])
        assert abs(sample.mean() - value) < 5 * sample.std(ddof=1) / math.sqrt(24) + 0.1 * value


def test_the_experiment_file_gives_the_numbers_of_theory():
    """Means over 200,000 inputs, of ratios of densities; 2% is ten of their standard errors."""
    spec = load(EXPERIMENT)
    target = spec.arms[0].target
    for entry in spec.theory:
        exponent = entry.learner.settings["exponent"]
        found = dict(zip(DECOMPOSED, theory(400, 200, 8, target, exponent, ridge=0.1), strict=True))
        told = float(entry.mean.at(d=200, k=8, n=400))
        assert found[entry.measure] == pytest.approx(told, rel=0.02)


def test_weights_that_are_not_finite_give_no_solution():
    gram = torch.eye(3, dtype=torch.float64)
    solve = weighted_solver(gram, torch.tensor([1.0, math.nan, 1.0]).double(), 1.0)
    assert solve(gram[0]).isnan().all()
