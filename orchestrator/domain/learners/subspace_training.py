"""Training in a random subspace: how few parameters need to move?"""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.batched_net import (
    ACTIVATIONS,
    LOSS_VALUES,
    LOSSES,
    Gradient,
    Parameters,
    Sizes,
    padded,
    scores,
    scores_of_padded,
)
from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams


class SubspaceTraining(Learner):
    """theta = theta_0 + P u with u in R^n trained from 0; n counts the dimensions of the subspace.

    P (D, n) has uniform random orthonormal columns, theta_0 is a random initialisation, and neither
    moves. The least n at which training comes as far as the criterion asks is the intrinsic
    dimension of the task. From n = D on P is a rotation and the subspace is everything; descent
    with momentum then takes the very path it takes without P. (The source has independent columns
    of unit length, nearly orthogonal for n well below D; the subspaces have the same law.)

    `examples` training examples are given, whatever n is. The model is

    - `network`: two layers of `width` rectified linear units, theta all weights and biases, D =
      (d + 2) width + 1, theta_0 weights N(0, 1 / inputs) and biases 0. Full-batch gradient descent
      with momentum, v <- momentum v + P' grad, u <- u - learning_rate v, `steps` times, on the mean
      of log(1 + exp(-y f)) for signs and (f - y)^2 / 2 for real labels;
    - `linear`: f(x) = <theta, x>, D = d, theta_0 ~ N(0, I / d), and u is where descent on the
      squared error ends: the least squares solution of least norm, by LAPACK. No setting but
      `examples` matters.

    `train_loss` is the mean loss on the training examples, (f - y)^2 / 2 for `linear` whatever the
    labels. A trial that is not finite diverges. A network's curve is its `train_loss` before steps
    1, 2, 4, … and the last.

    Rate, momentum, width and steps were chosen by hand, so that 512 images of digits are fitted in
    all directions (97% of others right). In few directions larger rates, about 3, do better.

    Source: Li, Farkhoor, Liu & Yosinski (2018), "Measuring the intrinsic dimension of objective
    landscapes", arXiv:1804.08838, section 2. Momentum: Polyak (1964).
    """

    kind: Literal["subspace_training"] = "subspace_training"
    model: Literal["network", "linear"] = "network"
    examples: int = Field(512, ge=1, description="training examples")
    width: int = Field(32, ge=1, description="hidden units of the network")
    learning_rate: float = Field(0.3, gt=0.0, description="of the network")
    momentum: float = Field(0.9, ge=0.0, lt=1.0, description="of the network")
    steps: int = Field(200, ge=1, description="of the network")

    reports: ClassVar[tuple[str, ...]] = ("train_loss",)
    n_counts: ClassVar[str] = "dimensions of the subspace"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Train every trial of the pack."""
        if self.model == "linear":
            return _linear(problem, streams)
        return _Network(self, problem, streams).fit()

    def parameters(self, d: int) -> int:
        """D."""
        return d if self.model == "linear" else (d + 2) * self.width + 1

    def subspace(self, point: Point) -> int:
        """Columns of P: n, but no more than D."""
        return min(point.n, self.parameters(point.d))

    def work(self, point: Point) -> float:
        """A QR decomposition of P, then one solve, or products with data and P at every step."""
        D, n = float(self.parameters(point.d)), float(self.subspace(point))
        if self.model == "linear":
            return 4.0 * n * n * (D + self.examples) + 2.0 * self.examples * D * n
        return 4.0 * D * n * n + self.steps * (6.0 * self.examples * D + 4.0 * D * n)

    def memory_bytes(self, point: Point) -> float:
        """Three copies of P, three of the examples and four of the network's hidden values."""
        P = self.parameters(point.d) * rounded_up(self.subspace(point))
        data = self.examples * (3.0 * (point.d + 1) + 4.0 * rounded_up(self.width))
        return 8.0 * (3.0 * P + data)

    def shape(self, point: Point) -> Hashable:
        """The columns of P, rounded up to 16."""
        return rounded_up(self.subspace(point))

    def padded_n(self, points: Sequence[Point]) -> int:
        """The training examples."""
        return self.examples


def frames(problem: Problem, streams: Streams, D: int) -> Iterator[torch.Tensor]:
    """P of each trial: (D, min(n, D)), a function of its own n."""
    for trial, n in enumerate(problem.n.tolist()):
        yield orthonormal_columns(D, min(n, D), streams.of(trial))[0]


def _linear(problem: Problem, streams: Streams) -> Fit:
    d = problem.point.d
    start = streams.at("initial").normals(d) / d**0.5
    thetas, losses = [], []
    for trial, P in enumerate(frames(problem, streams.at("subspace"), d)):
        x, y, theta = problem.x[trial].clone(), problem.y[trial].clone(), start[trial].clone()
        u, _ = minimum_norm(x @ P, y - x @ theta)
        thetas.append(theta + P @ u)
        losses.append((x @ thetas[-1] - y).square().mean() / 2.0)
    found = torch.stack(thetas)
    return Fit(
        outcomes=_outcomes(found.isfinite().all(1)),
        measures={"train_loss": torch.stack(losses)},
        predict=lambda x: (x * found[:, None, :]).sum(2),
    )


def _outcomes(finite: torch.Tensor) -> list[Outcome]:
    return [Outcome.FITTED if one else Outcome.DIVERGED for one in finite.tolist()]


class _Network:
    """One call of `fit`: networks whose parameters are rows theta_0 + P u, zero where padded."""

    def __init__(self, learner: SubspaceTraining, problem: Problem, streams: Streams) -> None:
        self._learner, self._problem = learner, problem
        two_layer = TwoLayer(width=learner.width)
        self._net = two_layer.initial(problem.point, streams.at("initial"))
        self._start = self._net.rows()
        self._P = self._padded_frames(streams.at("subspace"))
        self._loss = "logistic" if problem.target.labels == "sign" else "squared"
        rows, inputs = rounded_up(learner.examples), self._net.sizes.inputs
        self._x = padded(problem.x, rows, inputs)
        self._y = torch.nn.functional.pad(problem.y, (0, rows - learner.examples))
        own = torch.arange(rows, device=self._y.device) < learner.examples
        self._weight = (own.to(self._y.dtype) / learner.examples).expand_as(self._y).contiguous()
        self._train_loss = Trace(len(problem), logged_steps(learner.steps))

    def _padded_frames(self, streams: Streams) -> torch.Tensor:
        """P (B, all numbers of a network, columns rounded up), zero in rows of padding."""
        point, width = self._problem.point, self._learner.width
        places = _real_places(self._net.sizes, point.d, width).nonzero()[:, 0]
        most = rounded_up(max(self._problem.n.clamp_max(len(places)).tolist()))
        P = self._start.new_zeros(*self._start.shape, most)
        for own, drawn in zip(P, frames(self._problem, streams, len(places)), strict=True):
            own[places, : drawn.shape[1]] = drawn
        return P

    def fit(self) -> Fit:
        gradient = Gradient(self._net, self._x.shape[1], ACTIVATIONS["relu"], LOSSES[self._loss])
        everyone = range(len(self._problem))
        u = self._P.new_zeros(len(self._P), self._P.shape[2])
        velocity = torch.zeros_like(u)
        for step in range(1, self._learner.steps + 1):
            if step in self._train_loss:
                self._train_loss.note(step, everyone, self._mean_loss())
            downhill = gradient.at(self._net, self._x, self._y, self._weight).rows()
            velocity = velocity * self._learner.momentum + _down(self._P, downhill)
            u = u - velocity * self._learner.learning_rate
            self._net.put_rows(everyone, self._start + _up(self._P, u))
        return Fit(
            outcomes=_outcomes(self._net.finite()),
            measures={"train_loss": self._mean_loss()},
            predict=lambda x: scores(self._net, x, ACTIVATIONS["relu"]),
            curves=[{"train_loss": self._train_loss.curve(one)} for one in everyone],
        )

    def _mean_loss(self) -> torch.Tensor:
        f = scores_of_padded(self._net, self._x, ACTIVATIONS["relu"])
        return (LOSS_VALUES[self._loss](f, self._y) * self._weight).sum(1)


def _real_places(sizes: Sizes, d: int, width: int) -> torch.Tensor:
    """Which of a network's numbers, as `Parameters.rows` lays them out, are not padding: bool."""
    real = Parameters.zeros(sizes._replace(trials=1), torch.float64, torch.device("cpu"))
    real.first[:, : d + 1, :width] = 1.0
    real.outer[:, :width] = 1.0
    real.offset[:] = 1.0
    return real.rows()[0] > 0


def _up(P: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """P u of each trial: (B, rows, n), (B, n) -> (B, rows)."""
    return torch.bmm(P, u[:, :, None])[:, :, 0]


def _down(P: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """P' g of each trial: (B, rows, n), (B, rows) -> (B, n)."""
    return torch.bmm(rows[:, None, :], P)[:, 0]
