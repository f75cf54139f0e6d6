"""A network in the neural tangent parametrisation: its path, its start and its limit."""

import math

import pytest
import torch

from orchestrator.domain.learner import Outcome, Problem
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.learners.ntk_network import NtkNetwork
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_parity import SparseParity
from tests.builders import a_point, a_problem

TRIALS, D, N = 8, 6, 20


def the_problem(n: int = N, d: int = D, trials: int = TRIALS) -> Problem:
    streams = Streams([str(key) for key in range(trials)], dtype=torch.float32)
    point, target = a_point(d=d, n=n, k=2), SparseParity()
    concept = target.draw(point, streams.at("concept"))
    given = target.examples(concept, point, 32, streams.at("train"))
    return a_problem(given.x, given.y, [n] * trials, target)


def fitted(learner: NtkNetwork, problem: Problem):
    return learner.fit(problem, own_streams(problem))


def own_streams(problem: Problem) -> Streams:
    return Streams(problem.streams.keys, "learner", dtype=torch.float32)


def fresh_inputs() -> torch.Tensor:
    return Streams([str(key) for key in range(TRIALS)], "fresh", dtype=torch.float32).signs(64, D)


def in_the_limit(problem: Problem, x: torch.Tensor, ridge: float) -> torch.Tensor:
    """Kernel ridge regression of each trial with the ntk kernel, by its own plug-in."""
    learner = KernelRidge(kernel="ntk", depth=1, ridge=ridge)
    fits = [
        learner.fit_one(Examples(own.x.double(), own.y.double()), a_point(d=D, n=N), Streams(["x"]))
        for own in (problem.own(trial) for trial in range(TRIALS))
    ]
    return torch.stack([fit.predict(x[trial].double()) for trial, fit in enumerate(fits)])


def distance(width: int, steps: int = 300) -> float:
    """Root mean square of the difference to the limit, on 64 fresh inputs of 8 trials."""
    problem, x = the_problem(), fresh_inputs()
    ours = fitted(NtkNetwork(width=width, steps=steps, ridge=0.1), problem).predict(x).double()
    return float((ours - in_the_limit(problem, x, 0.1)).square().mean().sqrt())


def test_wide_networks_predict_what_kernel_ridge_with_their_tangent_kernel_does():
    """At fixed seeds, which never fail by chance. The scatter of a kernel of m random features
    falls as 1 / sqrt(m), by 4 from 256 to 4,096 units. Over other seeds the ratio of eight trials
    scatters by 11% about 4, so that one outside (2.3, 6.9) has chance 6e-7.
    """
    narrow, wide = distance(256), distance(4096)
    assert wide < 0.05
    assert 2.3 < narrow / wide < 6.9


def test_steps_are_automatic_differentiation_in_the_scaled_parameters():
    learner, own = NtkNetwork(width=10, steps=4, ridge=0.3), the_problem().own(0)
    streams = Streams(["key"], dtype=torch.float32)
    net = learner.initial(a_point(d=D), streams)
    ours = learner.trained(net, own)
    start = [net.first[0, :D, :10].double() * math.sqrt(D), net.outer[0, :10].double() * 5**0.5]
    rate = learner.rate(own.x)
    root = math.sqrt(0.3 * rate)

    def loss(w, a):
        f = math.sqrt(2 / 10) * torch.relu(own.x.double() @ w / math.sqrt(D)) @ a
        away = sum((p - s).square().sum() for p, s in zip((w, a), start, strict=True))
        return (f - own.y).square().sum() / 2 + 0.15 * away

    theta, last = start, start
    for _ in range(4):
        momentum = (1 - root) / (1 + root)
        ahead = [(p + momentum * (p - q)).requires_grad_()
                 for p, q in zip(theta, last, strict=True)]  # fmt: skip
        downhill = torch.autograd.grad(loss(*ahead), ahead)
        last, theta = theta, [(p - rate * g).detach() for p, g in zip(ahead, downhill, strict=True)]
    kept = (ours.first[0, :D, :10] * math.sqrt(D), ours.outer[0, :10] * 5**0.5)
    for found, expected in zip(kept, theta, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_the_rate_is_the_inverse_of_the_largest_curvature_of_the_limit():
    x = the_problem().own(3).x.double()
    angle = torch.arccos((x @ x.T / D).clamp(-1, 1))
    gram = x @ x.T / D * (math.pi - angle) / math.pi
    gram = gram + (angle.sin() + (math.pi - angle) * angle.cos()) / math.pi
    largest = torch.linalg.matrix_norm(gram, 2)
    rate = NtkNetwork(ridge=0.4, learning_rate=1.5).rate(x)
    assert rate == pytest.approx(1.5 / (float(largest) + 0.4), rel=1e-5)


def test_a_network_is_zero_before_it_is_trained_and_has_weights_of_order_one():
    """Five standard deviations of the mean square of 24,576 Gaussians: fails with chance 6e-7."""
    learner, point = NtkNetwork(width=1024), a_point(d=D, n=N)
    net = learner.initial(point, Streams([str(key) for key in range(TRIALS)], dtype=torch.float32))
    w = net.first[:, :D, :512].double() * math.sqrt(D)
    assert abs(float(w.square().mean()) - 1.0) < 5 * math.sqrt(2 / w.numel())
    assert not net.first[:, D:].any()
    hidden = torch.relu(torch.einsum("bmd,bdh->bmh", fresh_inputs(), net.first[:, :D]))
    assert float(torch.einsum("bmh,bh->bm", hidden, net.outer).abs().max()) < 1e-5


def test_wider_networks_move_less():
    moved = [fitted(NtkNetwork(width=width), the_problem()).measures["movement"].mean()
             for width in (64, 1024)]  # fmt: skip
    assert 3.0 < float(moved[0] / moved[1]) < 5.5


def test_a_rate_beyond_stability_diverges():
    stable, unstable = NtkNetwork(width=512), NtkNetwork(width=512, learning_rate=8.0)
    assert fitted(stable, the_problem()).outcomes == [Outcome.FITTED] * TRIALS
    assert fitted(unstable, the_problem()).outcomes == [Outcome.DIVERGED] * TRIALS


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="multiple of 2"):
        NtkNetwork(width=33)
