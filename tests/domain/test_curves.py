"""Learning curves: which steps, what values, and that they come back as they were."""

import math

import numpy as np
import pytest
import torch

from orchestrator.domain.curves import (
    Spread,
    Trace,
    as_lists,
    from_lists,
    logged_steps,
    spreads,
)
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Trial


@pytest.mark.parametrize(
    ("last", "steps"),
    [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8]), (19, [1, 2, 4, 8, 16, 19])],
)
def test_steps_double_and_end_with_the_last(last: int, steps: list[int]):
    assert logged_steps(last) == steps


def test_a_trace_keeps_what_is_finite_to_six_digits():
    trace = Trace(3, [1, 2, 5])
    trace.note(1, [0, 2], torch.tensor([1 / 3, math.inf]))
    trace.note(5, [0], torch.tensor([2e-9]))
    assert [trace.curve(trial) for trial in range(3)] == [((1, 0.333333), (5, 2e-9)), (), ()]
    assert (2 in trace, 3 in trace) == (True, False)


def test_curves_travel_as_lists():
    curves = {"train_loss": ((1, 0.5), (2, 0.25)), "alignment": ()}
    assert from_lists(as_lists(curves)) == curves


def test_spreads_are_numpys_over_the_trials_that_still_train():
    values = np.random.default_rng(0).normal(size=(7, 2)).tolist()
    curves = [tuple(zip((1, 2), row, strict=True)) for row in values] + [((1, 9.0),)]
    first, second = spreads(curves)
    own = [row[0] for row in values] + [9.0]
    low, median, high = np.quantile(own, (0.1, 0.5, 0.9))
    assert first == Spread(1, 8, float(np.mean(own)), low, median, high)
    assert (second.step, second.trials) == (2, 7)
    assert spreads([]) == []


@pytest.mark.parametrize("loss", ["logistic", "squared", "hinge", "correlation"])
def test_the_first_point_of_a_network_is_its_loss_before_training(loss: str):
    learner = TwoLayer(loss=loss, width=8, steps=5, batch_size=None, weight_decay=0.0)
    trial = Trial(Cell(SparseParity(), learner, Point(d=6, n=20, k=2)), repeat=3)
    (result,) = run_pack([trial])
    curve = result.curves["train_loss"]
    assert [step for step, _ in curve] == [1, 2, 4, 5]
    streams = Streams([trial.key], "", "cpu", torch.float32)
    point, target = trial.cell.point, trial.cell.target
    examples = target.examples(
        target.draw(point, streams.at("concept")), point, 20, streams.at("train")
    )
    net = learner.initial(point, streams.at("learner").at("initial"))
    x, y = examples.x[0], examples.y[0].float()
    hidden = torch.relu(x @ net.first[0, :6] + net.first[0, 6])
    f = hidden @ net.outer[0] + net.offset[0]
    losses = {
        "logistic": torch.log1p(torch.exp(-y * f)),
        "squared": (f - y) ** 2 / 2,
        "hinge": torch.clamp(1 - y * f, min=0),
        "correlation": -y * f,
    }
    assert curve[0][1] == pytest.approx(float(losses[loss].mean()), rel=1e-4, abs=1e-6)


def test_a_network_that_learns_has_a_falling_curve():
    learner = TwoLayer(width=32, steps=200)
    cell = Cell(SparseParity(), learner, Point(d=6, n=60, k=1))
    trials = [Trial(cell, repeat) for repeat in range(3)]
    for result in run_pack(trials):
        values = [value for _, value in result.curves["train_loss"]]
        assert values[-1] < 0.5 * values[0]


def test_curves_do_not_depend_on_company():
    def trial(repeat: int, n: int, samples: str) -> Trial:
        learner = TwoLayer(width=8, steps=40, batch_size=16, samples=samples)
        return Trial(Cell(SparseParity(), learner, Point(d=6, n=n, k=2)), repeat=repeat)

    for samples in ("finite", "fresh"):
        together = [trial(repeat, n, samples) for repeat in range(3) for n in (16, 50, 400)]
        for one, alone in zip(run_pack(together), together, strict=True):
            assert one.same_as(run_pack([alone])[0])
            assert one.curves["train_loss"]
