import math

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from orchestrator.domain.batched_net import (
    ACTIVATIONS,
    LOSSES,
    Gradient,
    Parameters,
    Sizes,
    padded,
    scores,
)
from orchestrator.domain.learner import Outcome, Problem
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.measures import on_test
from orchestrator.domain.minibatches import CHUNK_STEPS, FiniteBatches, FreshBatches
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Result, Trial

D, WIDTH = 5, 7

PHI = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "quadratic": torch.square,
    "silu": functional.silu,
}
LOSS = {
    "logistic": lambda f, y: -functional.logsigmoid(y * f),
    "squared": lambda f, y: (f - y).square() / 2,
    "hinge": lambda f, y: (1 - y * f).clamp_min(0),
    "correlation": lambda f, y: -y * f,
}


def trial(learner: TwoLayer, repeat: int = 0, d: int = 8, n: int = 100, k: int = 2) -> Trial:
    return Trial(Cell(SparseParity(), learner, Point(d=d, n=n, k=k)), repeat)


def problem(ns: list[int], dtype=torch.float64, d: int = D, keys: str = "abcdef") -> Problem:
    target, point = SparseParity(), Point(d=d, n=1, k=2)
    streams = Streams(keys[: len(ns)], dtype=dtype)
    concept = target.draw(point, streams.at("concept"))
    return Problem(target, point, torch.tensor(ns), concept, streams, dtype, max(ns))


def some_net(trials: int = 3, dtype=torch.float64, scale: float = 1.0) -> Parameters:
    """Weights and biases that are all nonzero, padding apart."""
    generator = torch.Generator().manual_seed(0)
    net = Parameters.zeros(Sizes.of(trials, D, WIDTH), dtype, torch.device("cpu"))
    for view in (net.first[:, : D + 1, :WIDTH], net.outer[:, :WIDTH], net.offset):
        view.copy_(torch.randn(view.shape, generator=generator, dtype=dtype) * scale)
    return net


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_by_hand_are_those_of_autograd(activation, loss):
    net = some_net()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 12, D, generator=generator, dtype=torch.float64)
    y = torch.randn(3, 16, generator=generator, dtype=torch.float64).sign()
    weight = torch.rand(3, 16, generator=generator, dtype=torch.float64)
    weight[:, 12:] = 0.0
    wide = padded(x, 16, net.sizes.inputs)

    leaves = [view.clone().requires_grad_() for view in (net.first, net.outer, net.offset)]
    first, outer, offset = leaves
    found = (PHI[activation](wide @ first) * outer[:, None]).sum(2) + offset
    (LOSS[loss](found, y) * weight).sum().backward()
    gradient = Gradient(net, 16, ACTIVATIONS[activation], LOSSES[loss]).at(net, wide, y, weight)

    for view, leaf in zip((gradient.first, gradient.outer, gradient.offset), leaves, strict=True):
        torch.testing.assert_close(view, leaf.grad, rtol=1e-10, atol=1e-12)
    assert gradient.first[:, D + 1 :].count_nonzero() == 0
    assert gradient.outer[:, WIDTH:].count_nonzero() == 0


def test_a_second_minibatch_finds_nothing_left_of_the_first():
    net = some_net()
    gradient = Gradient(net, 16, ACTIVATIONS["tanh"], LOSSES["squared"])
    batches = [
        (padded(x, 16, net.sizes.inputs), x.sum(2)[:, :16], torch.full((3, 16), 1 / 16).double())
        for x in torch.randn(2, 3, 16, D, dtype=torch.float64, generator=torch.Generator())
    ]
    fresh = Gradient(net, 16, ACTIVATIONS["tanh"], LOSSES["squared"]).at(net, *batches[1])
    gradient.at(net, *batches[0])
    assert torch.equal(gradient.at(net, *batches[1]).flat, fresh.flat)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scores_are_those_of_the_formula_whatever_the_number_of_rows(activation):
    net = some_net()
    x = torch.randn(3, 300, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    z = x @ net.first[:, :D] + net.first[:, D : D + 1]
    expected = (PHI[activation](z) * net.outer[:, None]).sum(2) + net.offset
    torch.testing.assert_close(scores(net, x, ACTIVATIONS[activation]), expected)
    assert scores(net, x[:, :1], ACTIVATIONS[activation]).shape == (3, 1)


class PlainTraining:
    """One trial the slow way: an nn.Module and an optimiser of torch, from the same start."""

    def __init__(self, learner: TwoLayer, start: Parameters, place: int, d: int) -> None:
        hidden = torch.nn.Linear(d, learner.width, dtype=torch.float64)
        out = torch.nn.Linear(learner.width, 1, dtype=torch.float64)
        with torch.no_grad():
            hidden.weight.copy_(start.first[place, :d, : learner.width].T)
            hidden.bias.copy_(start.first[place, d, : learner.width])
            out.weight.copy_(start.outer[place, None, : learner.width])
            out.bias.copy_(start.offset[place])
        self.learner, self.hidden, self.out = learner, hidden, out
        groups = [
            {"params": [hidden.weight, out.weight], "weight_decay": learner.weight_decay},
            {"params": [hidden.bias, out.bias], "weight_decay": 0.0},
        ]
        if learner.optimiser == "adam":
            self.optimiser = torch.optim.AdamW(groups, lr=learner.learning_rate)
        else:
            assert learner.weight_decay == 0.0  # torch's SGD has no decoupled decay
            self.optimiser = torch.optim.SGD(groups, lr=learner.learning_rate)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(PHI[self.learner.activation](self.hidden(x)))[:, 0]

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        with torch.enable_grad():
            self.optimiser.zero_grad()
            LOSS[self.learner.loss](self.scores(x), y).mean().backward()
            self.optimiser.step()


@pytest.mark.parametrize(
    "learner",
    [
        TwoLayer(width=20, steps=40),
        TwoLayer(width=20, steps=40, batch_size=None, activation="tanh", loss="squared"),
        TwoLayer(width=20, steps=40, optimiser="sgd", learning_rate=0.2, weight_decay=0.0),
        TwoLayer(width=20, samples="fresh", batch_size=10, weight_decay=0.3, activation="silu"),
    ],
    ids=["default", "full batch", "sgd", "fresh"],
)
def test_a_pack_learns_what_plain_torch_learns_from_the_same_start_and_minibatches(learner):
    ns = [70, 77, 80] if learner.batch_size is None else [30, 77, 200]
    given = problem(ns, d=8)
    streams = given.streams.at("learner")
    start = learner.initial(given.point, streams.at("initial"))
    fit = learner.fit(given, streams)
    source = (
        FreshBatches(given, 10, start.sizes.inputs)
        if learner.samples == "fresh"
        else FiniteBatches(given, streams, learner.batch_size, start.sizes.inputs)
    )
    plain = [PlainTraining(learner, start, place, 8) for place in range(3)]
    most = max(learner.steps_at(n) for n in ns)
    for number in range(-(-most // CHUNK_STEPS)):
        for offset, batch in enumerate(source.chunk(number, range(3))):
            for place, one in enumerate(plain):
                own = batch.weight[place] > 0
                if number * CHUNK_STEPS + offset < learner.steps_at(ns[place]):
                    one.step(batch.x[place, own, :8], batch.y[place, own])
    expected = torch.stack([one.scores(x) for one, x in zip(plain, given.test.x, strict=True)])
    torch.testing.assert_close(fit.predict(given.test.x), expected, rtol=1e-7, atol=1e-8)


def test_a_small_sample_is_used_whole_at_every_step_and_a_large_one_drawn_from():
    given = problem([3, 16, 40])
    source = FiniteBatches(given, given.streams.at("learner"), 16, 8)
    seen = [(b.x.clone(), b.y.clone(), b.weight.clone()) for b in source.chunk(0, [0, 1, 2])]
    assert len(seen) == CHUNK_STEPS
    for x, y, weight in seen:
        assert torch.equal(x[0, :3, :D], given.x[0, :3])
        assert torch.equal(y[1], given.y[1, :16])
        assert weight[0].tolist() == [1 / 3] * 3 + [0.0] * 13
        assert x[0, 3:].count_nonzero() == 0
        rows = {tuple(row) for row in given.x[2, :40].tolist()}
        assert {tuple(row) for row in x[2, :, :D].tolist()} <= rows
    assert not torch.equal(seen[0][0][2], seen[1][0][2])


def test_draws_with_replacement_reach_every_example_equally_often():
    """512 draws from 20 examples; chi-square with 19 degrees of freedom above 66: 4e-7."""
    given = problem([20, 20])
    given.__dict__["train"] = type(given.train)(
        torch.arange(20.0).double().expand(2, 20)[..., None].expand(2, 20, D), given.y
    )
    source = FiniteBatches(given, given.streams.at("learner"), 16, 8)
    drawn = torch.cat([batch.x[0, :, 0].clone() for batch in source.chunk(0, [0, 1])]).long()
    counts = torch.bincount(drawn, minlength=20)
    assert len(counts) == 20
    assert ((counts - 25.6).square() / 25.6).sum() < 66


def test_a_fresh_stream_gives_each_example_once_and_stops_at_n():
    given = problem([25, 400])
    batches = list(FreshBatches(given, 10, 8).chunk(0, [0, 1]))
    assert [round(1 / b.weight[0, 0].item()) for b in batches[:3]] == [10, 10, 5]
    assert all(b.weight[0].count_nonzero() == 0 for b in batches[3:])
    stream = torch.cat([batch.x[1, :10, :D] for batch in batches])
    assert torch.equal(stream, given.fresh(0, 10 * CHUNK_STEPS).x[1])


def test_steps_are_those_asked_for_or_as_many_as_a_stream_lasts():
    finite = run_pack([trial(TwoLayer(width=16, steps=33), n=20)])[0]
    fresh = TwoLayer(width=16, samples="fresh", batch_size=10, steps=3)
    results = run_pack([trial(fresh, n=n) for n in (7, 10, 11, 999)])
    assert finite.measures["steps"] == 33
    assert [result.measures["steps"] for result in results] == [1, 1, 2, 100]


LEARNERS = [
    TwoLayer(width=20, steps=40),
    TwoLayer(width=20, steps=40, batch_size=10, activation="tanh", loss="squared"),
    TwoLayer(width=20, steps=40, batch_size=None, activation="silu", optimiser="sgd"),
    TwoLayer(width=16, samples="fresh", batch_size=32, activation="quadratic"),
    TwoLayer(width=64, steps=300, stop_at=0.9, check_every=10, loss="hinge"),
]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.label)
def test_a_trial_gives_the_same_bits_alone_and_in_any_company(learner):
    mixed = [trial(learner, repeat, d=9, n=n) for n in (40, 300, 64, 37, 1100) for repeat in (0, 1)]
    alone = {one.key: run_pack([one])[0] for one in mixed}
    for company in (mixed, mixed[::-1], mixed[1:4], mixed[3:] + mixed[:2]):
        for result in run_pack(company):
            assert result.same_as(alone[result.key])


def test_a_diverging_trial_changes_nothing_for_its_company():
    """A learning rate at which some trials overflow and others of the same pack do not."""
    learner = TwoLayer(
        width=16, steps=60, activation="quadratic", optimiser="sgd", loss="squared",
        learning_rate=0.15, weight_decay=0.0,
    )  # fmt: skip
    trials = [trial(learner, repeat, d=6, n=30) for repeat in range(24)]
    together = run_pack(trials)
    outcomes = {result.outcome for result in together}
    assert outcomes == {Outcome.FITTED, Outcome.DIVERGED}
    for one, result in zip(trials, together, strict=True):
        assert run_pack([one])[0].same_as(result)


def test_a_trial_whose_weights_overflow_is_diverged_and_never_accurate():
    learner = TwoLayer(
        width=16, steps=50, activation="quadratic", optimiser="sgd", loss="squared",
        learning_rate=100.0, weight_decay=0.0,
    )  # fmt: skip
    result = run_pack([trial(learner)])[0]
    assert result.outcome is Outcome.DIVERGED
    assert result.measures.get("test_accuracy", 0.0) == 0.0


def fitted(steps: int, stop_at: float | None = None) -> tuple[list[Outcome], list[float], list]:
    """Outcomes, steps and test accuracies of three trials, the same whatever the settings."""
    given = problem([400, 10, 400], torch.float32, d=8)
    learner = TwoLayer(width=64, steps=steps, stop_at=stop_at, check_every=10)
    fit = learner.fit(given, given.streams.at("learner"))
    accuracy = on_test(fit.predict(given.test.x), given.test.y, "sign")["test_accuracy"]
    return list(fit.outcomes), fit.measures["steps"].tolist(), accuracy.tolist()


def test_a_trial_stops_at_the_first_check_above_stop_at_and_is_judged_there():
    outcomes, steps, accuracies = fitted(200, stop_at=0.97)
    assert outcomes == [Outcome.FITTED, Outcome.OUT_OF_BUDGET, Outcome.FITTED]
    for place in (0, 2):
        assert steps[place] % 10 == 0
        assert fitted(int(steps[place]))[2][place] == accuracies[place] > 0.97
        assert fitted(int(steps[place]) - 10)[2][place] <= 0.97


def test_a_trial_that_never_passes_stop_at_ends_where_it_would_have_without():
    _, steps, accuracies = fitted(200, stop_at=0.97)
    assert steps[1] == 200
    assert accuracies[1] == fitted(200)[2][1]


def test_a_fresh_trial_is_looked_at_after_its_own_steps_and_not_after_those_of_its_company():
    """Mates end at 115, 137, 159 and 181 steps; after 159 the trial would be good for once."""
    learner = TwoLayer(
        width=32, samples="fresh", batch_size=32, weight_decay=0.0, stop_at=0.6, check_every=50
    )
    long = trial(learner, d=15, n=32 * 600, k=3)
    alone = run_pack([long])[0]
    assert alone.measures["steps"] % 50 == 0
    assert 0 < alone.measures["steps"] < 600
    for steps in range(115, int(alone.measures["steps"]), 22):
        mate = trial(learner, 1, d=15, n=32 * steps, k=3)
        together = run_pack([long, mate])
        assert together[0].same_as(alone)
        assert together[1].same_as(run_pack([mate])[0])


def test_a_fresh_trial_that_is_good_after_its_last_step_alone_is_fitted():
    learner = TwoLayer(samples="fresh", batch_size=32, weight_decay=0.0, check_every=10_000)
    ends = [
        run_pack([trial(learner.model_copy(update={"stop_at": stop_at}), d=6, n=32 * 90)])[0]
        for stop_at in (0.6, 0.9999)
    ]
    assert [end.measures["steps"] for end in ends] == [90, 90]
    assert ends[0].outcome is Outcome.FITTED
    assert ends[1].outcome is (
        Outcome.FITTED if ends[1].measures["test_accuracy"] == 1.0 else Outcome.OUT_OF_BUDGET
    )


@pytest.mark.parametrize("stop_at", [1.0, 1.5, -1.0, math.nan, math.inf])
def test_a_stop_at_that_no_trial_or_every_trial_exceeds_is_refused(stop_at: float):
    with pytest.raises(ValidationError, match="stop_at"):
        TwoLayer(stop_at=stop_at)
    assert TwoLayer(stop_at=-0.5).stop_at == -0.5


def test_fresh_samples_without_a_batch_size_are_refused():
    with pytest.raises(ValidationError, match="batch_size"):
        TwoLayer(samples="fresh", batch_size=None)


def test_weights_start_at_variance_one_over_fan_in_and_biases_at_zero():
    """200 networks with 16,000 and 2,000 weights; 6 standard deviations of a mean square: 2e-9."""
    learner = TwoLayer(width=10)
    net = learner.initial(Point(d=8, n=1), Streams([str(key) for key in range(200)]))
    first, outer = net.first[:, :8, :10], net.outer[:, :10]
    assert abs(first.square().mean() * 8 - 1) < 6 * math.sqrt(2 / first.numel())
    assert abs(outer.square().mean() * 10 - 1) < 6 * math.sqrt(2 / outer.numel())
    assert net.first[:, 8:].count_nonzero() == 0
    assert net.offset.count_nonzero() == 0


@pytest.mark.parametrize("samples", ["finite", "fresh"])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_batches_of_sixteen_leave_no_trial_to_the_tail_of_a_vectorised_loop(samples, count):
    learner = TwoLayer(width=16, steps=60, batch_size=16, samples=samples)
    pack = [trial(learner, repeat, n=n) for repeat, n in enumerate([900, 330, 960, 640, 961])]
    alone = [run_pack([one])[0] for one in pack[:count]]
    assert all(map(Result.same_as, run_pack(pack[:count]), alone))
