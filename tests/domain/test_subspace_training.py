import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.subspace_training import SubspaceTraining
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.block_sums import BlockSums
from orchestrator.domain.targets.digits import Digits
from orchestrator.domain.targets.linear import Linear
from tests.builders import a_cell, a_point, a_trial, trials


def real_parameters(net, d, width):
    """W (width, d), b (width,), a (width,), c () of the first network, as new tensors."""
    first = net.first[0]
    return [
        part.clone()
        for part in (first[:d, :width].T, first[d, :width], net.outer[0, :width], net.offset[0, 0])
    ]


def plain_training(trial):
    """The mean loss after the same steps on all parameters themselves, by autograd."""
    learner, point, target = trial.cell.learner, trial.cell.point, trial.cell.target
    streams = Streams([trial.key])
    concept = target.draw(point, streams.at("concept"))
    data = target.examples(concept, point, learner.examples, streams.at("train"))
    x, y = data.x[0], data.y[0]
    start = TwoLayer(width=learner.width).initial(point, streams.at("learner").at("initial"))
    theta = [one.requires_grad_() for one in real_parameters(start, point.d, learner.width)]
    velocity = [torch.zeros_like(one) for one in theta]

    def loss():
        W, b, a, c = theta
        f = torch.relu(x @ W.T + b) @ a + c
        if target.labels == "sign":
            return torch.nn.functional.softplus(-y * f).mean()
        return ((f - y) ** 2).mean() / 2

    for _ in range(learner.steps):
        downhill = torch.autograd.grad(loss(), theta)
        velocity = [learner.momentum * v + g for v, g in zip(velocity, downhill, strict=True)]
        with torch.no_grad():
            for one, v in zip(theta, velocity, strict=True):
                one.sub_(learner.learning_rate * v)
    return loss().item()


# The subspace


def test_frames_have_orthonormal_columns():
    P = orthonormal_columns(9, 4, Streams(["a", "b"]))
    assert torch.allclose(P.mT @ P, torch.eye(4).double().expand(2, 4, 4), atol=1e-14)


def test_frames_are_uniform_on_the_sphere():
    """The law of one entry, in each column and both signs: 1,500 frames, Kolmogorov-Smirnov; a
    sound draw fails with chance 1e-6 per column. (x + 1) / 2 is Beta((d - 1) / 2, (d - 1) / 2)."""
    P = orthonormal_columns(4, 3, Streams([str(one) for one in range(1500)]))
    for column in range(3):
        entry = (P[:, 0, column].numpy() + 1) / 2
        assert stats.kstest(entry, stats.beta(1.5, 1.5).cdf).pvalue > 1e-6


# The network


@pytest.mark.parametrize("target", [Digits(), Linear()], ids=lambda one: one.kind)
@pytest.mark.parametrize("beyond", [0, 7])
def test_in_all_directions_it_is_plain_training(target, beyond):
    learner = SubspaceTraining(width=5, examples=30, steps=25, learning_rate=0.05)
    n = learner.parameters(6) + beyond
    trial = a_trial(target, learner, d=6, n=n, k=2)
    found = run_pack([trial])[0].measures["train_loss"]
    assert found == pytest.approx(plain_training(trial), rel=1e-9)


def test_in_few_directions_a_step_is_the_projected_gradient_of_autograd():
    """After one step without momentum the loss is that of theta_0 - rate P P' grad."""
    learner = SubspaceTraining(width=5, examples=30, steps=1, learning_rate=0.2)
    trial = a_trial(Digits(), learner, d=6, n=4, k=2)
    point, streams = trial.cell.point, Streams([trial.key])
    concept = trial.cell.target.draw(point, streams.at("concept"))
    data = trial.cell.target.examples(concept, point, 30, streams.at("train"))
    start = TwoLayer(width=5).initial(point, streams.at("learner").at("initial"))
    P = orthonormal_columns(41, 4, streams.at("learner").at("subspace"))[0]
    W, b, a, c = real_parameters(start, 6, 5)

    def loss(theta):
        # In the order of a network's numbers: inputs with the bias last, outer weights, offset.
        first, outer, offset = theta[:35].view(7, 5), theta[35:40], theta[40]
        f = torch.relu(data.x[0] @ first[:6] + first[6]) @ outer + offset
        return torch.nn.functional.softplus(-data.y[0] * f).mean()

    theta = torch.cat([W.T.flatten(), b, a, c[None]]).requires_grad_()
    downhill = torch.autograd.grad(loss(theta), theta)[0]
    expected = float(loss(theta.detach() - 0.2 * P @ (P.T @ downhill)))
    assert run_pack([trial])[0].measures["train_loss"] == pytest.approx(expected, rel=1e-12)


def test_more_directions_fit_better():
    """The gap of mean losses is more than 20 standard errors."""
    losses = []
    for n in (2, 60):
        cell = a_cell(Digits(), SubspaceTraining(width=8, examples=200), d=64, n=n, k=5)
        losses.append(np.mean([one.measures["train_loss"] for one in run_pack(trials(cell, 6))]))
    assert losses[1] < losses[0] / 2


def test_too_large_a_rate_diverges_and_it_is_said():
    learner = SubspaceTraining(width=5, examples=30, learning_rate=1e6)
    results = run_pack(trials(a_cell(Linear(), learner, d=6, n=20), 3))
    assert {one.outcome for one in results} == {Outcome.DIVERGED}


# The linear model and the toy


@pytest.mark.parametrize(("d", "k"), [(40, 4), (1000, 10), (23, 7)])
def test_a_random_subspace_solves_k_equations_exactly_from_dimension_k_on(d, k):
    """Below, a loss under 1e-8 needs a coincidence of chance about 1e-4 per trial."""
    learner = SubspaceTraining(model="linear", examples=2 * k)
    for n, is_solved in ((k - 1, False), (k, True), (k + 1, True)):
        cell = a_cell(BlockSums(), learner, d=d, n=n, k=k)
        losses = [one.measures["train_loss"] for one in run_pack(trials(cell, 8))]
        assert all((loss < 1e-8) is is_solved for loss in losses)


def test_the_linear_model_is_the_best_point_of_its_subspace():
    """The same frame and start; normal equations, which this size allows."""
    learner = SubspaceTraining(model="linear", examples=50)
    trial = a_trial(Linear(noise=0.5), learner, d=12, n=5)
    point, streams = trial.cell.point, Streams([trial.key])
    concept = trial.cell.target.draw(point, streams.at("concept"))
    data = trial.cell.target.examples(concept, point, 50, streams.at("train"))
    own = streams.at("learner")
    start = own.at("initial").normals(12)[0].numpy() / math.sqrt(12)
    P = orthonormal_columns(12, 5, own.at("subspace"))[0].numpy()
    A, missing = data.x[0].numpy() @ P, data.y[0].numpy() - data.x[0].numpy() @ start
    u = np.linalg.solve(A.T @ A, A.T @ missing)
    expected = float(np.mean((A @ u - missing) ** 2) / 2)
    assert run_pack([trial])[0].measures["train_loss"] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("d", [20, 23])
def test_blocks_share_the_unknowns_out_evenly(d):
    target, streams, point = BlockSums(), Streams(["a"]), a_point(d=d, k=4)
    examples = target.examples(target.draw(point, streams), point, 10, streams)
    x = examples.x[0]
    assert torch.equal(x[:4].sum(0), torch.ones(d).double())
    assert set(x.sum(1).tolist()) <= {float(d // 4), float(-(-d // 4))}
    assert examples.y[0].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    assert torch.equal(x[4:8], x[:4])


# Company


@pytest.mark.parametrize("d", [7, 37])
@pytest.mark.parametrize("model", ["network", "linear"])
def test_a_trial_has_the_same_bits_in_company_of_other_n(d, model):
    learner = SubspaceTraining(model=model, steps=10, examples=21, width=9)
    mixed = [a_trial(Digits(), learner, d=d, n=n, k=2) for n in (2, 5, 9, 16, 1)]
    for trial, result in zip(mixed, run_pack(mixed), strict=True):
        assert result.same_as(run_pack([trial])[0])
