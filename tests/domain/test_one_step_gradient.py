"""The first gradient of one neuron on a parity: by hand, and by Fourier coefficients."""

import itertools
import math

import numpy as np
import pytest
import torch

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.one_step_gradient import OneStepGradient, summed_gradient
from orchestrator.domain.pack import run_pack
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_cell, a_problem, a_trial, trials
from tests.domain.majority import examples_needed, majority_coefficient, recovery


def every_input(self, concept, point, count, streams):
    """All 2^d sign vectors in order, again and again: their mean gradient is the expected one."""
    cube = np.array(list(itertools.product([-1.0, 1.0], repeat=point.d)))
    x = torch.from_numpy(np.resize(cube, (count, point.d))).expand(len(concept), -1, -1).clone()
    return Examples(x, x.gather(2, concept[:, None].expand(-1, count, -1)).prod(2))


def problem_of(target, d, n, k):
    rows = torch.zeros(2, 1, d, dtype=torch.float64)
    problem = a_problem(rows, rows[:, :, 0], [n, n], target)
    point = problem.point.model_copy(update={"k": k})
    concept = target.draw(point, problem.streams.at("concept"))
    return type(problem)(
        target, point, problem.n, concept, problem.streams, problem.dtype, problem.padded_n
    )


@pytest.mark.parametrize("k", [2, 4])
def test_over_all_inputs_the_gradient_is_half_of_majority_s_fourier_coefficients(monkeypatch, k):
    d = 7
    monkeypatch.setattr(SparseParity, "examples", every_input)
    problem = problem_of(SparseParity(), d, 2**d, k)
    gradient = summed_gradient(problem).numpy() / 2**d
    truth = problem.target.truth(problem.concept, problem.point).numpy().astype(bool)
    assert np.allclose(gradient[truth], majority_coefficient(d, k - 1) / 2, atol=1e-12)
    assert np.allclose(gradient[~truth], majority_coefficient(d, k + 1) / 2, atol=1e-12)


def test_majority_s_first_coefficient_is_the_known_one():
    """2^(1 - d) C(d - 1, (d - 1) / 2)."""
    assert majority_coefficient(41, 1) == pytest.approx(math.comb(40, 20) / 2**40)


def test_the_gradient_is_that_of_autograd_over_more_than_one_piece():
    problem = problem_of(SparseParity(), d=9, n=1500, k=2)
    drawn = [problem.fresh(number, 1024) for number in range(2)]
    x = torch.cat([one.x for one in drawn], 1)[:, :1500]
    y = torch.cat([one.y for one in drawn], 1)[:, :1500]
    with torch.enable_grad():
        w = torch.ones(2, 9, dtype=torch.float64, requires_grad=True)
        ((x * w[:, None]).sum(2).relu() * y).sum().backward()
    assert torch.equal(summed_gradient(problem), w.grad)


def test_recovery_is_as_often_as_order_statistics_say():
    """240 trials at the n of one half: a share within 4 standard deviations of 1/2 and 4% for the
    normal approximation, so that a sound learner fails with chance 6e-5 at most."""
    for d, k in ((21, 2), (9, 4)):
        n = round(examples_needed(d, k))
        results = run_pack(trials(a_cell(SparseParity(), OneStepGradient(), d=d, n=n, k=k), 240))
        share = np.mean([result.measures["exact_recovery"] for result in results])
        assert share == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(240) + 0.04)


def test_the_order_statistics_are_those_of_a_simulation():
    """40,000 draws of independent normals: 5 standard deviations, fails with chance 6e-7."""
    d, k, n, rng = 21, 2, 400, np.random.default_rng(1)
    a, b = majority_coefficient(d, k - 1) / 2, majority_coefficient(d, k + 1) / 2
    on = np.abs(a + rng.normal(size=(40_000, k)) * math.sqrt((0.5 - a**2) / n))
    off = np.abs(b + rng.normal(size=(40_000, d - k)) * math.sqrt((0.5 - b**2) / n))
    share = (on.min(1) > off.max(1)).mean()
    assert recovery(d, k, n) == pytest.approx(share, abs=5 * 0.5 / math.sqrt(40_000))


def test_predictions_are_the_product_of_the_chosen_signs():
    result = run_pack([a_trial(SparseParity(), OneStepGradient(), d=9, n=4000, k=2)])[0]
    assert result.outcome is Outcome.FITTED
    assert result.measures["exact_recovery"] == result.measures["test_accuracy"] == 1.0


def test_two_of_a_pack_with_other_n_are_what_they_are_alone():
    together = [a_trial(SparseParity(), OneStepGradient(), d=9, n=n, k=2) for n in (5, 3000, 1025)]
    assert all(
        packed.same_as(run_pack([trial])[0])
        for trial, packed in zip(together, run_pack(together), strict=True)
    )
