"""Online steps of one neuron on the sphere: by autograd, and by a plain numpy version."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import special

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.spherical_sgd import SphericalSgd
from orchestrator.domain.measures import squared_overlap
from orchestrator.domain.pack import run_pack
from orchestrator.domain.spherical import SphericalStep, slope_of, step_scale
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.hermite_index import HermiteIndex
from tests.builders import a_cell, a_point, a_problem, a_trial, trials

ARMS = [
    {"degree": 1},
    {"degree": 3, "learning_rate": 1.0},
    {"degree": 2, "method": "smooth"},
    {"degree": 3, "method": "smooth"},
    {"degree": 3, "method": "reuse", "reach": 0.3, "learning_rate": 0.05},
    {"degree": 3, "method": "reuse", "activation": "arctan"},
]


def h(p, u):
    return special.eval_hermitenorm(p, u) / math.sqrt(math.factorial(p))


def averaged_h(p, w, x, reach):
    """The mean of h_p(<w', x>) over w' = (w + reach v) / sqrt(1 + reach^2), by Gauss-Gegenbauer."""
    d = len(w)
    z, weight = special.roots_gegenbauer(24, (d - 3) / 2)
    u = w @ x / np.linalg.norm(w)
    across = math.sqrt(x @ x - u * u)
    values = h(p, (u + reach * across * z) / math.sqrt(1 + reach**2))
    return values @ weight / weight.sum()


def activation(learner, w, x):
    u = w @ x / np.linalg.norm(w)
    if learner.activation == "arctan":
        return math.atan(u)
    if learner.method == "smooth":
        return averaged_h(learner.degree, w, x, len(w) ** 0.25)
    return h(learner.degree, u)


def slope(learner, u):
    if learner.activation == "arctan":
        return 1 / (1 + u * u)
    return math.sqrt(learner.degree) * h(learner.degree - 1, u)


def numerical_tangent(learner, w, x, size=1e-5):
    """The gradient of the activation on the sphere, by central differences."""
    steps = size * np.eye(len(w))
    return np.array(
        [
            (activation(learner, w + e, x) - activation(learner, w - e, x)) / (2 * size)
            for e in steps
        ]
    )


def moved(learner, w, x, y):
    """One batch, x (b, d) and y (b,), an example and a coordinate at a time."""
    d = len(w)
    rate = (
        learner.learning_rate
        * {
            "plain": d ** -max(learner.degree / 2, 1.0),
            "reuse": 1 / d,
            "smooth": d ** -max(learner.degree / 2, 1.0)
            * (1 + math.sqrt(d)) ** (learner.degree - 1),
        }[learner.method]
    )
    total = sum(label * numerical_tangent(learner, w, one) for one, label in zip(x, y, strict=True))
    if learner.method == "reuse":
        ahead = w + learner.reach / d * total
        total = sum(
            label * slope(learner, ahead @ one) * (one - (w @ one) * w)
            for one, label in zip(x, y, strict=True)
        )
    v = w + rate * total
    return v / np.linalg.norm(v)


def by_hand(trial):
    """The estimate of a trial, from its streams."""
    learner, point, target = trial.cell.learner, trial.cell.point, trial.cell.target
    streams = Streams([trial.key])
    concept = target.draw(point, streams.at("concept"))
    start = streams.at("learner").at("initial").normals(point.d)[0].numpy()
    w, total = start / np.linalg.norm(start), np.zeros(point.d)
    rows = learner.rows
    for first in range(0, point.n, learner.batch_size):
        drawn = target.examples(concept, point, rows, streams.at(f"stream/{first // rows}"))
        own = slice(first % rows, first % rows + min(learner.batch_size, point.n - first))
        w = moved(learner, w, drawn.x[0, own].numpy(), drawn.y[0, own].numpy())
        if min(first + learner.batch_size, point.n) > point.n // 2:
            total = total + w
    truth = concept[0].numpy()
    return (total @ truth) ** 2 / (total @ total)


@pytest.mark.parametrize("settings", ARMS)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_walk_is_that_of_the_formula(settings, batch_size):
    learner = SphericalSgd(batch_size=batch_size, **settings)
    trial = a_trial(HermiteIndex(degree=3), learner, d=8, n=33)
    found = run_pack([trial])[0].measures
    assert found["squared_overlap"] == pytest.approx(by_hand(trial), rel=1e-5)
    assert found["steps"] == -(-33 // batch_size)


@pytest.mark.parametrize("settings", [one for one in ARMS if one.get("method") != "smooth"])
def test_the_first_use_of_a_batch_follows_autograd(settings):
    learner = SphericalSgd(**{**settings, "method": "plain"})
    streams = Streams(["a", "b"])
    start, inputs, labels = streams.normals(3, 6), streams.normals(4, 6), streams.normals(4)
    start = start / start.norm(dim=2, keepdim=True)
    with torch.enable_grad():
        free = start.clone().requires_grad_()
        u = torch.einsum("bjd,bid->bji", free / free.norm(dim=2, keepdim=True), inputs)
        phi = torch.atan(u) if learner.activation == "arctan" else _h(learner.degree, u)
        (phi * labels[:, None]).sum().backward()
    squares = inputs.square().sum(2)
    moved_to = start + learner.learning_rate * step_scale("plain", learner.degree, 6) * free.grad
    expected = moved_to / moved_to.norm(dim=2, keepdim=True)
    found = learner.step(6).taken(start, inputs, labels[:, None], squares[:, None])
    assert torch.allclose(found, expected, rtol=1e-12)


def _h(p, u):
    return {1: u, 3: (u**3 - 3 * u) / math.sqrt(6)}[p]


def test_an_overlap_of_a_matched_neuron_grows_as_theory_says_from_its_start():
    """The mean move along w* is rate p m^(p-1) (1 - m^2). 100,000 examples at m = 1/2 and p = 2, 5
    standard deviations: a sound learner fails with chance 6e-7."""
    d, m, streams = 5, 0.5, Streams(["a", "b"])
    concept = torch.eye(d, dtype=torch.float64)[:1].expand(2, -1)
    target = HermiteIndex(degree=2)
    examples = target.examples(concept, a_point(d=d), 100_000, streams)
    w = torch.tensor([m, math.sqrt(1 - m * m), 0, 0, 0], dtype=torch.float64).expand(2, 1, -1)
    step = SphericalStep(slope_of("hermite", "plain", 2, d), 1.0)
    u = torch.bmm(w, examples.x.mT)
    pull = step.slope(u, u) * examples.y[:, None]
    each = pull[0, 0] * (examples.x[0, :, 0] - u[0, 0] * m)
    tangent = step.tangent(w, examples.x, u, pull)[0, 0, 0] / 100_000
    assert float(tangent) == pytest.approx(float(each.mean()), rel=1e-9)
    assert abs(float(tangent) - 2 * m * (1 - m * m)) < 5 * float(each.std()) / math.sqrt(100_000)


def test_smoothing_at_exponent_two_changes_nothing_but_the_step():
    """Smoothed and plain slopes are in the ratio (1 - l^2 / (d - 1)) / (1 + l^2), l^2 = sqrt(d)."""
    d, u = 26, torch.linspace(-3, 3, 7, dtype=torch.float64)
    squares = torch.linspace(20, 30, 7, dtype=torch.float64)
    plain = slope_of("hermite", "plain", 2, d)(u, squares) * step_scale("plain", 2, d)
    smooth = slope_of("hermite", "smooth", 2, d)(u, squares) * step_scale("smooth", 2, d)
    assert torch.allclose(smooth, plain * (1 - math.sqrt(d) / (d - 1)), rtol=1e-12)


def test_trials_of_other_n_that_outlive_their_mates_are_what_they_are_alone():
    learner = SphericalSgd(degree=2, batch_size=3)
    together = [a_trial(HermiteIndex(degree=2), learner, d=6, n=n) for n in (5, 900, 300, 257)]
    for trial, packed in zip(together, run_pack(together), strict=True):
        assert packed.same_as(run_pack([trial])[0])


def test_of_two_opposite_starts_one_is_kept_and_it_is_the_one_that_tells_more():
    """30 trials of a cubic at d = 16 and n = 300, where success depends on the side of the start:
    more often than from one start, and in 5 to 25 trials the other neuron is kept. With the shares
    of 300 trials, 0.63 against 0.43 and 0.51, the first fails with chance 4e-3, the second 1e-4."""
    target, settings = HermiteIndex(degree=3), {"learning_rate": 1.0, "degree": 3}
    problem = a_problem(torch.zeros(30, 1, 16).double(), torch.zeros(30, 1).double(), [300] * 30)
    concept = target.draw(problem.point, problem.streams.at("concept"))
    problem = replace(problem, target=target, concept=concept)
    one, two = (
        SphericalSgd(antipodal=both, **settings)
        .fit(problem, problem.streams.at("learner"))
        .coefficients
        for both in (False, True)
    )
    found = [squared_overlap(w, concept) > 0.25 for w in (one, two)]
    assert int(found[1].sum()) > int(found[0].sum())
    assert 5 <= int((one != two).any(1).sum()) <= 25


def test_a_neuron_that_is_not_finite_is_never_the_one_that_is_kept():
    w = torch.eye(4, dtype=torch.float64)[:2].repeat(2, 1, 1)
    w[0, 0], w[1, 1] = torch.nan, torch.nan
    problem = a_problem(torch.zeros(2, 1, 4).double(), torch.zeros(2, 1).double(), [20] * 2)
    target = HermiteIndex(degree=3)
    concept = target.draw(problem.point, problem.streams.at("concept"))
    kept = SphericalSgd(antipodal=True)._better(replace(problem, target=target, concept=concept), w)
    assert torch.equal(kept, torch.stack([w[0, 1], w[1, 0]]))


def test_linear_links_are_found_from_about_d_examples():
    """40 trials at 4 d, all above; at theory's half-way point of 0.75 d about half are. 600 other
    trials had 0.75 (deviation 0.036), at least 0.65: 0.25 is 14 standard deviations away."""
    learner = SphericalSgd(degree=1, learning_rate=1.0)
    cell = a_cell(HermiteIndex(degree=1), learner, d=64, n=256)
    assert all(one.measures["squared_overlap"] > 0.25 for one in run_pack(trials(cell, 40)))


def test_reuse_finds_a_cubic_where_one_pass_does_not():
    """20 trials each at d = 64 and n = 1,000, where a share of 0.95 and of 0.1 succeed; at least 15
    and at most 7 do, which a sound learner fails with chance 1e-4."""
    found = {}
    for method, settings in {
        "plain": {"learning_rate": 1.0},
        "reuse": {"learning_rate": 1.0, "activation": "arctan"},
    }.items():
        cell = a_cell(HermiteIndex(degree=3), SphericalSgd(method=method, **settings), d=64, n=1000)
        results = run_pack(trials(cell, 20))
        found[method] = sum(one.measures["squared_overlap"] > 0.25 for one in results)
    assert found["reuse"] >= 15
    assert found["plain"] <= 7


def test_a_step_without_bound_diverges_and_it_is_said():
    cell = a_cell(HermiteIndex(degree=10), SphericalSgd(degree=10, learning_rate=1e300), d=6, n=60)
    assert {one.outcome for one in run_pack(trials(cell, 2))} == {Outcome.DIVERGED}


def test_only_polynomials_can_be_smoothed():
    with pytest.raises(ValidationError, match="closed form"):
        SphericalSgd(method="smooth", activation="arctan")
