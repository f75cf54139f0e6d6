"""Single-index functions and sliced inverse regression: by hand, and by the values known."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, optimize, stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.sliced_inverse_regression import SlicedInverseRegression
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.single_index import SingleIndex
from tests.builders import a_cell, a_point, a_problem, training_examples, trials

LINKS = {"linear": lambda u: u, "cubic": lambda u: u**3, "exp": np.exp, "square": np.square}


def drawn(target, d, count, trials=3):
    streams = Streams([str(trial) for trial in range(trials)])
    concept = target.draw(a_point(d=d), streams.at("concept"))
    return concept, target.examples(concept, a_point(d=d), count, streams.at("train"))


def regressed(x: np.ndarray, y: np.ndarray, slices: int = 10):
    """The fit of a pack of two equal trials."""
    given = torch.from_numpy(np.stack([x, x])), torch.from_numpy(np.stack([y, y]))
    problem = a_problem(*given, [len(y)] * 2, SingleIndex())
    return SlicedInverseRegression(slices=slices).fit(problem, Streams(["a", "b"]))


# The target


@pytest.mark.parametrize("link", LINKS)
def test_labels_are_the_link_of_one_linear_function(link):
    w, examples = drawn(SingleIndex(link=link), d=7, count=20)
    assert torch.allclose(w.norm(dim=1), torch.ones(3, dtype=torch.float64))
    u = np.einsum("bnd,bd->bn", examples.x.numpy(), w.numpy())
    assert np.allclose(examples.y.numpy(), LINKS[link](u), rtol=1e-12)


def test_noise_is_normal_and_leaves_inputs_alone():
    """Kolmogorov-Smirnov: a sound sampler fails with chance 1e-6."""
    _, clean = drawn(SingleIndex(link="cubic"), d=4, count=5000)
    _, noisy = drawn(SingleIndex(link="cubic", noise=0.3), d=4, count=5000)
    assert torch.equal(noisy.x, clean.x)
    assert stats.kstest((noisy.y - clean.y).flatten().numpy() / 0.3, "norm").pvalue > 1e-6


# The learner


def by_hand(x: np.ndarray, y: np.ndarray, slices: int) -> tuple[float, np.ndarray]:
    """The largest eigenvalue and its vector of M b = lambda S b, slice after slice."""
    x = x - x.mean(0)
    order, between = np.argsort(y, kind="stable"), np.zeros((x.shape[1],) * 2)
    for members in np.split(order, [cut * len(y) // slices for cut in range(1, slices)]):
        mean = x[members].mean(0)
        between += len(members) / len(y) * np.outer(mean, mean)
    values, vectors = linalg.eigh(between, x.T @ x / len(y))
    return values[-1], vectors[:, -1]


@pytest.mark.parametrize(
    ("n", "d", "slices"), [(40, 5, 10), (43, 7, 10), (16, 7, 4), (30, 3, 2), (12, 1, 12)]
)
def test_the_direction_is_that_of_the_generalised_eigenproblem(n, d, slices):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), rng.normal(size=n)
    fit, (value, b) = regressed(x, y, slices), by_hand(x, y, slices)
    found = fit.coefficients[0].numpy()
    assert fit.measures["leading_eigenvalue"][0] == pytest.approx(value)
    assert abs(found @ b) / np.linalg.norm(found) / np.linalg.norm(b) == pytest.approx(1.0)


def test_more_slices_than_examples_are_as_many_as_examples():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    assert torch.equal(regressed(x, y, 50).coefficients, regressed(x, y, 6).coefficients)


def test_neither_a_monotone_change_of_labels_nor_coordinates_matter():
    rng = np.random.default_rng(1)
    x, y, mix = rng.normal(size=(50, 4)), rng.normal(size=50), rng.normal(size=(4, 4))
    plain, changed = regressed(x, y), regressed(x @ mix.T + 3.0, np.exp(y))
    back = changed.coefficients[0].numpy() @ mix
    assert np.allclose(np.abs(back), np.abs(plain.coefficients[0].numpy()), rtol=1e-8)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_data_that_are_not_finite_or_too_few_diverge_alone(value):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(3, 20, 4)), rng.normal(size=(3, 20))
    x[0, 3, 1] = value
    problem = a_problem(torch.from_numpy(x), torch.from_numpy(y), [20, 20, 4], SingleIndex())
    fit = SlicedInverseRegression().fit(problem, Streams(["a", "b", "c"]))
    assert fit.outcomes == [Outcome.DIVERGED, Outcome.FITTED, Outcome.DIVERGED]
    assert fit.coefficients[0].isnan().all()


# Values known


def between_slices(link: str, noise: float, slices: int) -> float:
    """Mean over slices of E[u | y in slice]^2, of y = g(u) + noise, by 4000 equal parts of u."""
    u = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    g = LINKS[link](u)

    def below(cut: float) -> np.ndarray:
        return stats.norm.cdf((cut - g) / noise)

    inner = [
        optimize.brentq(lambda y, level=level: below(y).mean() - level, -1e4, 1e4)
        for level in np.arange(1, slices) / slices
    ]
    chances = np.diff([0 * u, *[below(cut) for cut in inner], 1 + 0 * u], axis=0)
    return float((((chances * u).mean(1) * slices) ** 2).mean())


@pytest.mark.parametrize("slices", [2, 10])
@pytest.mark.parametrize("link", ["linear", "cubic", "exp"])
def test_with_many_examples_the_eigenvalue_is_that_of_the_link(link, slices):
    """n = 20,000, d = 4, noise 1: it scatters by 0.005, and lies d / n too high. The band of 5
    deviations of a mean of 4 is left by a sound learner with chance 6e-7, six times.
    """
    learner = SlicedInverseRegression(slices=slices)
    pack = trials(a_cell(SingleIndex(link=link, noise=1.0), learner, d=4, n=20_000), 4)
    results = run_pack(pack)
    found = sum(result.measures["leading_eigenvalue"] for result in results) / 4
    assert abs(found - between_slices(link, 1.0, slices)) < 5 * 0.005 / 2 + 4 / 20_000
    assert all(result.measures["squared_overlap"] > 0.99 for result in results)


def test_two_slices_of_a_noiseless_monotone_link_have_eigenvalue_two_over_pi():
    """E[u | u > 0]^2; a band of 5 deviations of 0.004 fails with chance 6e-7."""
    learner = SlicedInverseRegression(slices=2)
    cell = a_cell(SingleIndex(link="exp"), learner, d=3, n=20_000)
    assert abs(run_pack(trials(cell, 1))[0].measures["leading_eigenvalue"] - 2 / math.pi) < 0.02


@pytest.mark.parametrize(("link", "gamma"), [("linear", 0.25), ("cubic", 0.25), ("linear", 0.4)])
def test_the_overlap_with_many_coordinates_is_the_one_derived(link, gamma):
    """d = 300, noise 1, 16 trials: one scatters by 0.02 to 0.03, and at this d means lie up to
    0.01 off the limit. Bands of 5 deviations beyond: a sound learner fails with chance 2e-6.
    """
    cell = a_cell(
        SingleIndex(link=link, noise=1.0), SlicedInverseRegression(), d=300, n=round(300 / gamma)
    )
    found = sum(result.measures["squared_overlap"] for result in run_pack(trials(cell, 16))) / 16
    signal = between_slices(link, 1.0, 10)
    limit = signal / (signal + (1 - signal) * gamma / (1 - gamma))
    assert abs(found - limit) < 5 * 0.03 / 4 + 0.01


@pytest.mark.parametrize("d", [50, 100])
def test_two_slices_reach_one_half_at_pi_d(d):
    """lambda is 1 / pi at noise 1, and n = pi d. One trial scatters by 0.09: the mean of 100
    leaves a band of 5 deviations with chance 6e-7, twice.
    """
    learner = SlicedInverseRegression(slices=2)
    cell = a_cell(SingleIndex(noise=1.0), learner, d=d, n=round(math.pi * d))
    found = sum(result.measures["squared_overlap"] for result in run_pack(trials(cell, 100))) / 100
    assert between_slices("linear", 1.0, 2) == pytest.approx(1 / math.pi, rel=1e-3)
    assert abs(found - 0.5) < 5 * 0.09 / 10


def test_an_even_link_hides_its_direction_however_many_examples_there_are():
    """A direction drawn blindly has mean overlap 1 / d = 0.05; this learner's scatter is alike."""
    cell = a_cell(SingleIndex(link="square"), SlicedInverseRegression(), d=20, n=4000)
    overlaps = [result.measures["squared_overlap"] for result in run_pack(trials(cell, 20))]
    assert sum(overlaps) / 20 < 0.05 + 5 * 0.07 / math.sqrt(20)


def test_equal_labels_are_cut_in_the_order_given():
    trial = trials(a_cell(SingleIndex(), SlicedInverseRegression(), d=3, n=30), 1)[0]
    x = training_examples(trial)[0].x.numpy()
    y = np.repeat([1.0, 2.0, 3.0], 10)
    assert np.allclose(regressed(x, y, 5).measures["leading_eigenvalue"][0], by_hand(x, y, 5)[0])
