"""A wide two-layer network in the parametrisation whose limit is the neural tangent kernel."""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from orchestrator.domain import kernels
from orchestrator.domain.batched_net import (
    ACTIVATIONS,
    LOSSES,
    Gradient,
    Parameters,
    Sizes,
    padded,
    scores,
)
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples

ACTIVATION = ACTIVATIONS["relu"]


class Layers(NamedTuple):
    """One number for the first layer and one for the outer."""

    first: float
    outer: float


class NtkNetwork(LoopedLearner):
    """f(x) = sqrt(2 / width) sum_j a_j relu(w_j . x / sqrt(d)), all a_j and w_j of order one.

    n counts training examples, all of them used at every step of accelerated gradient descent on

        (1/2) sum_i (f(x_i) - y_i)^2 + (ridge / 2) |theta - theta_0|^2,

    theta all numbers a_j and w_j, theta_0 where they start: N(0, 1), in pairs of equal w_j and
    opposite a_j, so that f = 0 at first. With the width its tangent kernel tends to the `ntk`
    kernel of depth 1 and stays what it was, and the minimum to that of `kernel_ridge` with this
    kernel and ridge. At finite width the kernel scatters by 1 / sqrt(width) and features move:
    `movement` is |theta - theta_0| / |theta_0|, which falls as 1 / sqrt(width) too.

    A step goes from v = theta + m (theta - last theta) to v - rate gradient(v), with rate =
    `learning_rate` / (lambda + ridge), lambda the largest eigenvalue of the `ntk` Gram matrix of
    the trial's own examples, q = rate ridge and m = (1 - sqrt q) / (1 + sqrt q). That is Nesterov's
    choice for curvatures between ridge and 1 / rate: distances to the minimum fall by about
    1 - sqrt q a step. In the limit it is stable at a learning rate below 4/3. Trials whose
    parameters end infinite or nan have diverged. `train_error` is the mean squared error on the n
    examples.

    x is (n, d), y (n,); float32, one trial after another: a trial's hidden values then stay in a
    core's cache. Width, ridge 0.1, learning rate 1/2, which leaves room for the scatter of narrow
    networks, and 300 steps were chosen by hand; at n = 100 the distance falls below 1e-4.

    Source: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572; Chizat, Oyallon & Bach (2019), "On
    lazy training in differentiable programming", arXiv:1812.07956, for pairs that begin at 0; Hu,
    Li & Yu (2020), "Simple and effective regularization methods for training on noisily labeled
    data", arXiv:1905.11368, for the distance to the start as a ridge.
    """

    kind: Literal["ntk_network"] = "ntk_network"
    width: int = Field(1024, ge=2, multiple_of=2, description="hidden units, in pairs")
    ridge: float = Field(0.1, gt=0.0, description="weight of the distance to the start")
    learning_rate: float = Field(0.5, gt=0.0, description="in units of 1 / (lambda + ridge)")
    steps: int = Field(300, ge=1, description="steps of accelerated gradient descent")

    reports: ClassVar[tuple[str, ...]] = ("train_error", "movement")
    dtype: ClassVar[torch.dtype] = torch.float32

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Train one network."""
        start = self.initial(point, streams.at("initial"))
        net = self.trained(start, examples)
        finite = bool(net.finite().all())
        error = scores(net, examples.x[None], ACTIVATION)[0] - examples.y
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={
                "train_error": error.square().mean(),
                "movement": self.length(net.flat - start.flat, net.sizes, point.d)
                / self.length(start.flat, net.sizes, point.d),
            },
            predict=lambda x: scores(net, x[None], ACTIVATION)[0],
        )

    def initial(self, point: Point, streams: Streams) -> Parameters:
        """The network before the first step; its biases are 0 and stay so.

        The weights kept are W = w / sqrt(d) and A = sqrt(2 / width) a.
        """
        net = Parameters.zeros(
            Sizes.of(len(streams), point.d, self.width), streams.dtype, streams.device
        )
        half = self.width // 2
        w, a = streams.normals(half, point.d).mT, streams.normals(half)
        net.first[:, : point.d, : self.width] = torch.cat([w, w], 2) / math.sqrt(point.d)
        net.outer[:, : self.width] = torch.cat([a, -a], 1) * math.sqrt(2.0 / self.width)
        return net

    def trained(self, start: Parameters, examples: Examples) -> Parameters:
        """The network after all steps from `start`, which is left as it was."""
        count, d = examples.x.shape
        x = padded(examples.x[None], count, start.sizes.inputs)
        x[:, :, d] = 0.0  # no biases
        y, weight = examples.y[None], torch.ones_like(examples.y[None])
        rate = self.rate(examples.x)
        momentum = 2.0 / (1.0 + math.sqrt(rate * self.ridge)) - 1.0
        # Where w = sqrt(d) W moves along its gradient, W moves by 1 / d along its own; A likewise.
        rates = Layers(rate / d, rate * 2.0 / self.width)
        theta, last = start.flat.clone(), start.flat
        ahead, gradient = start.like(), Gradient(start, count, ACTIVATION, LOSSES["squared"])
        for _ in range(self.steps):
            torch.lerp(last, theta, 1.0 + momentum, out=ahead.flat)
            downhill = gradient.at(ahead, x, y, weight)
            last = theta
            theta = ahead.flat.lerp(start.flat, rate * self.ridge)
            step = Parameters(start.sizes, theta)
            step.first.sub_(downhill.first, alpha=rates.first)
            step.outer.sub_(downhill.outer, alpha=rates.outer)
        return Parameters(start.sizes, theta)

    def rate(self, x: torch.Tensor) -> float:
        """The step size for the examples x (n, d): nan where their Gram matrix is not finite."""
        gram = kernels.ntk(x.double(), x.double(), depth=1)
        if not bool(gram.isfinite().all()):
            return math.nan
        return self.learning_rate / (float(torch.linalg.eigvalsh(gram)[-1]) + self.ridge)

    def length(self, theta: torch.Tensor, sizes: Sizes, d: int) -> torch.Tensor:
        """Euclidean length of all w_j and a_j of one network, kept as W and A in `theta`."""
        parts = Parameters(sizes, theta)
        w, a = parts.first.square().sum() * d, parts.outer.square().sum() * (self.width / 2.0)
        return (w + a).sqrt()

    def work(self, point: Point) -> float:
        """Three matrix products a step, and one for 1,000 test examples; the Gram matrix."""
        weights = float((point.d + 1) * self.width)
        return weights * (6.0 * self.steps * point.n + 2000.0) + 10.0 * float(point.n) ** 3

    def memory_bytes(self, point: Point) -> float:
        """Examples, six copies of the weights and three of the hidden values, in float32; Gram."""
        _, inputs, hidden = Sizes.of(1, point.d, self.width)
        n = float(max(point.n, 128))
        kept = 3.0 * (n + 1000.0) * inputs + 6.0 * inputs * hidden + 3.0 * n * hidden
        return 4.0 * kept + 8.0 * 4.0 * n**2
