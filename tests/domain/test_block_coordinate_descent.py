import math

import numpy as np
import pytest
import torch

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.block_coordinate_descent import BlockCoordinateDescent
from orchestrator.domain.learners.lasso import Lasso
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_linear import SparseLinear
from tests.builders import a_cell, a_problem, trials

RULES = ["greedy", "random", "cyclic"]


def some_examples(n=60, d=20, sign=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    y = x[:, 0] - 2 * x[:, 1] + 0.5 * rng.normal(size=n)
    return Examples(torch.from_numpy(x), torch.from_numpy(np.sign(y) if sign else y))


def ended(examples, **settings):
    return BlockCoordinateDescent(**settings).descended(examples, Streams(["a"]))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("block", [1, 3, 100])
def test_the_squared_loss_ends_where_the_lasso_does(rule, block):
    given = some_examples()
    twice = a_problem(torch.stack([given.x] * 2), torch.stack([given.y] * 2), [60, 60])
    reference = Lasso(penalty=0.2).fit(twice, Streams(["a", "b"])).coefficients[0]
    end = ended(given, rule=rule, block=block, penalty=0.2, gap=1e-12)
    assert end.gap <= 1e-12
    assert torch.allclose(end.w, reference, atol=1e-5)
    assert torch.equal(end.w != 0, reference != 0)


def test_a_trial_out_of_budget_counts_every_iteration():
    cell = a_cell(SparseLinear(noise=0.1), BlockCoordinateDescent(steps=2), d=32, n=60, k=3)
    for result in run_pack(trials(cell, 3)):
        assert result.outcome is Outcome.OUT_OF_BUDGET
        assert result.measures["iterations"] == 2


@pytest.mark.parametrize("rule", RULES)
def test_the_logistic_loss_ends_where_its_optimality_conditions_hold(rule):
    given = some_examples(sign=True)
    end = ended(given, loss="logistic", rule=rule, penalty=0.05, gap=1e-12, steps=10_000)
    x, y, w = given.x.numpy(), given.y.numpy(), end.w.numpy()
    slope = x.T @ (y / (1 + np.exp(y * (x @ w)))) / 60
    assert 0 < np.count_nonzero(w) < 20
    assert np.abs(slope).max() <= 0.05 * (1 + 1e-4)
    assert np.allclose(slope[w != 0], 0.05 * np.sign(w[w != 0]), atol=1e-5)


def test_the_gap_bounds_how_far_the_logistic_objective_is_from_the_least():
    given = some_examples(sign=True)

    def objective(w):
        loss = torch.nn.functional.softplus(-given.y * (given.x @ w)).mean()
        return float(loss + 0.05 * w.abs().sum())

    best = objective(ended(given, loss="logistic", penalty=0.05, gap=1e-12).w)
    for steps in (1, 5, 30):
        early = ended(given, loss="logistic", penalty=0.05, steps=steps, gap=1e-12)
        assert early.gap * math.log(2) >= objective(early.w) - best > 0


def test_the_best_coordinate_first_identifies_the_support_sooner_than_in_turn_or_at_random():
    """Mean iterations of 4 trials at fixed keys."""
    target, mean = SparseLinear(signal="signs", noise=0.1), {}
    for rule in RULES:
        learner = BlockCoordinateDescent(rule=rule, block=1)
        results = run_pack(trials(a_cell(target, learner, d=40, n=60, k=3), 4))
        assert all(result.outcome is Outcome.FITTED for result in results)
        mean[rule] = sum(result.measures["iterations"] for result in results) / 4
    assert mean["greedy"] < mean["cyclic"] / 4
    assert mean["greedy"] < mean["random"] / 4


def test_epochs_count_how_often_a_coordinate_was_worked_on():
    cell = a_cell(SparseLinear(noise=0.1), BlockCoordinateDescent(block=8), d=32, n=60, k=3)
    for result in run_pack(trials(cell, 3)):
        assert result.measures["epochs"] == result.measures["iterations"] / 4


def test_the_zeros_of_the_end_are_those_at_the_last_counted_iteration():
    given = some_examples()
    end = ended(given, block=2, gap=1e-9)
    early = ended(given, block=2, gap=1e-9, steps=end.identified)
    before = ended(given, block=2, gap=1e-9, steps=end.identified - 1)
    assert torch.equal(early.w != 0, end.w != 0)
    assert not torch.equal(before.w != 0, end.w != 0)


def test_a_penalty_above_every_slope_needs_no_iteration():
    end = ended(some_examples(), penalty=100.0)
    assert (end.identified, end.gap, int(end.w.count_nonzero())) == (0, 0.0, 0)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_data_that_are_not_finite_end_at_once_without_a_gap(loss, bad):
    given = some_examples(sign=True)
    given.x[3, 2] = bad
    assert math.isnan(ended(given, loss=loss).gap)
