"""A two-layer network in the mean-field regime, trained by noisy gradient descent."""

import math
from collections.abc import Hashable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.batched_net import LOSS_VALUES, Parameters, Sizes, padded
from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.kernel_alignment import alignment, degrees_of_freedom
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.mean_field import Sample, features, gradient, output
from orchestrator.domain.minibatches import some
from orchestrator.domain.optimisers import Langevin
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Labels

NOISY_STEPS = 8
"""Steps whose noise is drawn together; it shapes every trial's noise, so never a setting."""


class MeanFieldLangevin(Learner):
    """f(z) = mean over `width` particles of h_x(z), on inputs z = x / sqrt(d); n counts examples.

    With h as in `orchestrator.domain.mean_field` (R is `size`), all n examples at every step, and
    lambda = temperature / d, every particle moves by

        X <- X - eta grad (dF/dmu)(X) + sqrt(2 lambda eta) xi
        F = mean log(1 + exp(-y f)) + lambda confinement * mean |X|^2

    from X ~ N(0, I), for `steps` steps with eta the `learning_rate`. The noise makes F + lambda
    times the entropy of the particles what is minimised: without data they would spread as
    N(0, 1 / (2 confinement)). At temperature 0 it is plain gradient descent on the logistic loss.

    Curves, before steps 1, 2, 4, … and the last, on the n examples: `train_loss`;
    `kernel_alignment` of the kernel of the features tanh(<z, x_1> + x_2) with the labels, and that
    kernel's `degrees_of_freedom` at ridge n lambda (at 1e-3 n for temperature 0; by hand).

    x is (B, n, d) with |x|^2 about d, y (B, n) signs. A trial whose particles end infinite or nan
    diverges.

    Defaults: R = 15 and the form of h, loss and step are the source's, as are 2,000 particles where
    we have 400; temperature, confinement, rate and steps were chosen by hand.

    Source: Suzuki, Wu, Oko & Nitanda (2023), "Feature learning via mean-field Langevin dynamics:
    classifying sparse parities and beyond", NeurIPS 36.
    """

    kind: Literal["mean_field_langevin"] = "mean_field_langevin"
    width: int = Field(400, ge=16, multiple_of=16, description="particles")
    size: float = Field(15.0, gt=0.0, description="R, the largest |f|")
    learning_rate: float = Field(0.2, gt=0.0, description="eta")
    temperature: float = Field(0.02, ge=0.0, description="d lambda")
    confinement: float = Field(0.1, ge=0.0, description="lambda_1")
    steps: int = Field(2500, ge=1)

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    dtype: ClassVar[torch.dtype] = torch.float32

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Train every trial of the pack; one of odd size gets a twin of its last trial."""
        count = len(problem)
        trials = [*range(count), *([count - 1] * (count % 2))]
        own = some(streams, trials)
        net, sample = self.initial(problem.point, own.at("initial")), _sample(problem, trials)
        curves = _Curves(self, problem, logged_steps(self.steps))
        rate, temperature = self.learning_rate, self.temperature / problem.point.d
        langevin = Langevin(rate, temperature, _Noise(own, net, problem.point.d))
        for step in range(1, self.steps + 1):
            downhill, f = gradient(net, sample, self.size, temperature * self.confinement)
            curves.note(step, net, sample, f)
            langevin.step(net, downhill)
        return Fit(
            outcomes=[
                Outcome.FITTED if one else Outcome.DIVERGED for one in net.finite().tolist()[:count]
            ],
            predict=lambda x: self._predicted(net, x[trials])[:count],
            curves=curves.found(),
        )

    def initial(self, point: Point, streams: Streams) -> Parameters:
        """Particles before the first step, one set per stream."""
        net = Parameters.zeros(
            _sizes(len(streams), point.d, self.width), streams.dtype, streams.device
        )
        _fill(net, point.d, streams.normals(self.width, point.d + 2))
        return net

    def _predicted(self, net: Parameters, x: torch.Tensor) -> torch.Tensor:
        count, inputs = x.shape[1], net.sizes.inputs
        wide = padded(x / math.sqrt(x.shape[2]), rounded_up(count), inputs)
        return output(net, features(net, wide), self.size)[:, :count]

    def work(self, point: Point) -> float:
        """Two matrix products a step, at two operations each; 20 for a tanh, 8 for a normal."""
        d, n = float(point.d), float(point.n)
        return self.width * self.steps * (4.0 * n * (d + 1) + 20.0 * n + 8.0 * (d + 2))

    def memory_bytes(self, point: Point) -> float:
        """Four copies of hidden values, and noise of some steps in float64, twice."""
        rows = float(rounded_up(max(point.n, 1008)))
        return self.width * (16.0 * rows + 16.0 * NOISY_STEPS * (point.d + 2)) + 12.0 * rows * (
            point.d + 1
        )

    def shape(self, point: Point) -> Hashable:
        """All n examples are summed over at every step: n rounded up to 16."""
        return rounded_up(point.n)


class _Noise:
    """Standard normals for every particle, step after step."""

    def __init__(self, streams: Streams, net: Parameters, d: int) -> None:
        self._streams, self._d, self._step = streams, d, 0
        self._drawn, self._noise = streams.normals(0), net.like()

    def __call__(self) -> Parameters:
        """The next step's; valid until the one after."""
        chunk, place = divmod(self._step, NOISY_STEPS)
        if place == 0:
            width = self._noise.sizes.hidden
            streams = self._streams.at(f"noise/{chunk}")
            self._drawn = streams.normals(NOISY_STEPS, width, self._d + 2)
        self._step += 1
        _fill(self._noise, self._d, self._drawn[:, place])
        return self._noise


class _Curves:
    """Loss, alignment and degrees of freedom of a pack's trials, at the steps that are logged."""

    def __init__(self, learner: MeanFieldLangevin, problem: Problem, steps: list[int]) -> None:
        self._n = problem.n.tolist()
        self._ridge = learner.temperature / problem.point.d or 1e-3
        names = ("train_loss", "kernel_alignment", "degrees_of_freedom")
        self._traces = {name: Trace(len(self._n), steps) for name in names}

    def note(self, step: int, net: Parameters, sample: Sample, f: torch.Tensor) -> None:
        """What holds before that step, at which f is what the network says of the sample."""
        if step not in self._traces["train_loss"]:
            return
        loss = (LOSS_VALUES["logistic"](f, sample.y) * sample.weight).sum(1)
        hidden = features(net, sample.z)
        seen = [
            _kernel(hidden[trial, :n], sample.y[trial, :n], self._ridge)
            for trial, n in enumerate(self._n)
        ]
        everyone = range(len(self._n))
        self._traces["train_loss"].note(step, everyone, loss[: len(self._n)])
        for place, name in enumerate(("kernel_alignment", "degrees_of_freedom")):
            values = torch.tensor([one[place] for one in seen], dtype=torch.float64)
            self._traces[name].note(step, everyone, values)

    def found(self) -> list[dict[str, tuple[tuple[int, float], ...]]]:
        """Each trial's curves."""
        return [
            {name: trace.curve(trial) for name, trace in self._traces.items()}
            for trial in range(len(self._n))
        ]


def _kernel(hidden: torch.Tensor, y: torch.Tensor, ridge: float) -> tuple[float, float]:
    """Alignment and degrees of freedom from features (n, N) of one trial, in float64."""
    own = hidden.double()
    return alignment(own, y.double()), degrees_of_freedom(own, ridge * len(y))


def _sizes(trials: int, d: int, width: int) -> Sizes:
    """Inputs padded to a multiple of 16, so that a step leaves no tail (see `Sizes`)."""
    return Sizes(trials, rounded_up(d + 1), width)


def _fill(net: Parameters, d: int, numbers: torch.Tensor) -> None:
    """Put (B, width, d + 2) where particles lie: x_1, x_2, x_3."""
    net.first[:, : d + 1] = numbers[:, :, : d + 1].mT
    net.outer[:] = numbers[:, :, d + 1]


def _sample(problem: Problem, trials: list[int]) -> Sample:
    """All examples of those trials, divided by sqrt(d)."""
    given = problem.given()[trials]
    own = given.to(problem.dtype)
    inputs = rounded_up(problem.point.d + 1)
    scaled = torch.where(given[:, :, None], problem.x[trials] / math.sqrt(problem.point.d), 0.0)
    z = padded(scaled, problem.padded_n, inputs) * own[:, :, None]
    y = torch.where(given, problem.y[trials].to(problem.dtype), 0.0)
    return Sample(z, y, own / problem.n[trials][:, None].to(problem.dtype))
