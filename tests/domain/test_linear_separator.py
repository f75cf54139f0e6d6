import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from tests.builders import a_cell, a_problem, training_examples, trials


def separated(x, y, **settings):
    """The fit of a pack of two equal trials."""
    x, y = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    problem = a_problem(torch.stack([x, x]), torch.stack([y, y]), [len(y)] * 2)
    return LinearSeparator(**settings).fit(problem, Streams(["a", "b"]))


def largest_margin(z: np.ndarray) -> float:
    """max over |w|_inf <= 1 of min z w, by HiGHS; above 0 exactly when rows z are separable."""
    n, d = z.shape
    costs, rows = np.r_[np.zeros(d), -1.0], np.hstack([-z, np.ones((n, 1))])
    bounds = [(-1, 1)] * d + [(None, None)]
    found = linprog(costs, A_ub=rows, b_ub=np.zeros(n), bounds=bounds, method="highs")
    assert found.status == 0
    return -found.fun


@pytest.mark.parametrize(("d", "ns"), [(2, (3, 4, 6)), (10, (17, 20, 24)), (40, (76, 80, 86))])
def test_every_trial_agrees_with_highs(d, ns):
    pack = [trial for n in ns for trial in trials(a_cell(d=d, n=n), 20)]
    for trial, result in zip(pack, run_pack(pack), strict=True):
        examples, _ = training_examples(trial)
        margin = largest_margin((examples.x * examples.y[:, None]).numpy())
        assert result.outcome is Outcome.FITTED
        assert (result.measures["train_error"] == 0.0) is (margin > 1e-9)


@pytest.mark.parametrize(("d", "n"), [(5, 8), (10, 20), (20, 36), (20, 44)])
def test_separable_labellings_are_as_frequent_as_cover_counted(d, n):
    """The band is 5 standard deviations: a sound separator fails with chance 6e-7."""
    count, chance = 640, float(binom.cdf(d - 1, n - 1, 0.5))
    results = run_pack(trials(a_cell(d=d, n=n), count))
    share = sum(result.measures["train_error"] == 0.0 for result in results) / count
    assert abs(share - chance) < 5 * math.sqrt(chance * (1 - chance) / count)


def test_exactly_covers_number_of_labellings_of_given_points_are_separable():
    """C(7, 3) = 2 (1 + 6 + 15) = 44 of the 128 labellings of 7 points in general position."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 3)))
    labels = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=7)), dtype=torch.float64)
    problem = a_problem(x.expand(128, 7, 3).contiguous(), labels, [7] * 128)
    fit = LinearSeparator().fit(problem, Streams([str(one) for one in range(128)]))
    assert int((fit.measures["train_error"] == 0).sum()) == 44


def test_the_hyperplane_found_separates_and_its_error_is_the_share_it_misclassifies():
    pack = trials(a_cell(d=6, n=13), 40)
    for trial in pack:
        examples, _ = training_examples(trial)
        fit = separated(examples.x, examples.y)
        assert fit.predict is not None
        assert fit.measures["train_error"].dtype == torch.float64
        wrong = fit.predict(examples.x.expand(2, -1, -1))[0] * examples.y <= 0
        assert float(fit.measures["train_error"][0]) == pytest.approx(float(wrong.double().mean()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(
            st.tuples(st.tuples(*[st.sampled_from([-1, 1])] * d), st.sampled_from([-1, 1])),
            min_size=1, max_size=9,
        )
    )
)  # fmt: skip
def test_points_that_are_not_in_general_position_are_settled_too(examples):
    """Corners of a small cube repeat, contradict each other and lie on common planes."""
    x, y = np.array([x for x, _ in examples]), np.array([y for _, y in examples])
    fit = separated(x, y)
    assert fit.outcomes == [Outcome.FITTED] * 2
    is_separable = largest_margin((x * y[:, None]).astype(float)) > 1e-9
    assert (float(fit.measures["train_error"][0]) == 0.0) is is_separable


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], [1, -1]),
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [1, 1, 1]),
        ([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, 1.0], [0.0, -1.0]], [1] * 6),
        ([[0.0, 0.0], [1.0, 1.0]], [1, 1]),
        ([[0.0]], [1]),
    ],
    ids=["contradiction", "positive circuit", "weakly only", "the origin", "only the origin"],
)
def test_what_cannot_be_separated_strictly_has_an_error_of_at_least_one_in_n(x, y):
    fit = separated(x, y)
    assert fit.outcomes == [Outcome.FITTED] * 2
    assert float(fit.measures["train_error"][0]) >= 1 / len(y)


@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1e6, 1e300])
def test_the_unit_of_the_inputs_does_not_matter(scale):
    for trial in trials(a_cell(d=5, n=10), 20):
        examples, _ = training_examples(trial)
        plain, scaled = separated(examples.x, examples.y), separated(scale * examples.x, examples.y)
        zero = plain.measures["train_error"] == 0
        assert torch.equal(scaled.measures["train_error"] == 0, zero)
        assert scaled.outcomes == [Outcome.FITTED] * 2


def test_a_trial_out_of_budget_comes_back_from_a_pack_without_the_measure():
    results = run_pack(trials(a_cell(learner=LinearSeparator(steps=1), d=20, n=40), 16))
    unproved = [one for one in results if one.outcome is Outcome.OUT_OF_BUDGET]
    assert unproved
    assert all(dict(one.measures) == {} for one in unproved)
