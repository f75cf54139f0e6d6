"""A network of one or more hidden layers, in the parametrisation of one's choice."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from orchestrator.domain.activations import ActivationName, activation
from orchestrator.domain.batched_net import LOSS_VALUES, padded
from orchestrator.domain.criticality import CRITICAL, UNIT
from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.minibatches import CHUNK_STEPS, Batch, FiniteBatches, some
from orchestrator.domain.mixup import Mix, mixes
from orchestrator.domain.optimisers import Adam, Optimiser, Sgd
from orchestrator.domain.parametrisation import SCALINGS, Parametrisation
from orchestrator.domain.parametrised_net import Layout, ParametrisedNet, Weight
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams

MIXED_N = 4096
"""Up to this n trials of any n share a call; above, n within a factor of two."""


class ParametrisedNetwork(Learner):
    """f(x) = output_scale (V . h + c), h the values of `depth` hidden layers of `width` units.

    n counts training examples. A step uses all of them while n <= batch_size (or where that is
    null) and otherwise batch_size of them drawn with replacement; `steps` steps are taken.

    `parametrisation` says how multipliers, start and learning rates of all weights scale with the
    width (table in `orchestrator.domain.parametrisation`); inputs are divided by sqrt(d) in all of
    them. mup and mean_field start with the same outputs, and so do ntk and standard: within a pair
    they differ at one width by learning rates at most, while the outputs of the pairs start at
    different sizes. With `output_scale` alpha the
    loss is L(f) / alpha^2, so that large alpha is training without moving the features (Chizat,
    Oyallon & Bach 2019, arXiv:1812.07956).

    The axes: `activation`, with `order` for polynomials (`orchestrator.domain.activations`);
    `initialisation: critical` for variances C_W and C_b that carry signals through depth
    (`orchestrator.domain.criticality`); `mixup` alpha, 0 for none (`orchestrator.domain.mixup`);
    `mask: fixed` for a random choice of `mask_kept` of every `mask_group` weights of the first
    layer into a unit, and `mask: magnitude` for the largest, chosen anew at every step while
    gradients reach all of them (Zhou et al. 2021, arXiv:2102.04010, without its decay);
    `weight_decay` as in two_layer: before a step all weights, and neither biases nor c nor shapes,
    are multiplied by 1 - eta weight_decay, whatever their own rates, also those masked out.

    The measure `weight_change` is |W_1 - start| / |start| in Frobenius norm. The curve `train_loss`
    is the loss on the examples of a step before that step, mixed where they are. A trial whose
    weights end infinite or nan has outcome diverged.

    Defaults were chosen by hand; 2-parities show their threshold in seconds with them.
    """

    kind: Literal["parametrised_network"] = "parametrised_network"
    parametrisation: Parametrisation = "mup"
    width: int = Field(64, ge=16, multiple_of=16, description="units of every hidden layer")
    depth: int = Field(1, ge=1, le=64, description="hidden layers")
    activation: ActivationName = "relu"
    order: int = Field(3, ge=1, le=15, description="of poly_relu and poly_norm")
    initialisation: Literal["unit", "critical"] = "unit"
    output_scale: float = Field(1.0, gt=0.0, description="alpha")
    loss: Literal["logistic", "squared", "hinge", "correlation"] = "logistic"
    optimiser: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(0.5, gt=0.0, description="eta, at width 1")
    weight_decay: float = Field(0.0, ge=0.0)
    batch_size: int | None = Field(64, ge=1, description="null: all n examples at every step")
    steps: int = Field(800, ge=1)
    mixup: float = Field(0.0, ge=0.0, description="alpha of Beta(alpha, alpha); 0 is none")
    mask: Literal["none", "fixed", "magnitude"] = "none"
    mask_kept: int = Field(2, ge=1, description="N of N:M")
    mask_group: int = Field(4, ge=1, description="M of N:M")

    reports: ClassVar[tuple[str, ...]] = ("weight_change",)
    dtype: ClassVar[torch.dtype] = torch.float32

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if self.parametrisation == "mean_field" and self.depth > 1:
            raise ValueError("parametrisation: mean_field has one hidden layer; set depth: 1")
        if self.initialisation == "critical" and self.activation not in CRITICAL:
            known = ", ".join(sorted(CRITICAL))
            raise ValueError(f"initialisation: critical is known for activations {known}")
        if self.mask_kept > self.mask_group:
            raise ValueError("mask_kept exceeds mask_group; N of N:M is at most M")
        return self

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Train every trial of the pack."""
        return _Training(self, problem, streams).fit()

    def net(self, point: Point, streams: Streams) -> ParametrisedNet:
        """Networks before the first step, one per stream."""
        layout = Layout(
            d=point.d,
            inputs=rounded_up(point.d + 1),
            width=self.width,
            depth=self.depth,
            scalings=SCALINGS[self.parametrisation],
            optimiser=self.optimiser,
            start=CRITICAL[self.activation] if self.initialisation == "critical" else UNIT,
            scale=self.output_scale,
            mask=None if self.mask == "none" else (self.mask_kept, self.mask_group),
            mask_is_fixed=self.mask == "fixed",
        )
        phi = activation(self.activation, self.width, self.order)
        return ParametrisedNet(layout, phi, streams)

    def rows(self, n: int) -> int:
        """Examples in a step at that n."""
        return n if self.batch_size is None else min(n, self.batch_size)

    def weights(self, d: int) -> float:
        """Weights of one network."""
        return float(self.width * (d + 1 + (self.depth - 1) * self.width))

    def work(self, point: Point) -> float:
        """Three matrix products a step, and one for 1,000 test examples, at two operations each."""
        return self.weights(point.d) * (6.0 * self.steps * self.rows(point.n) + 2000.0)

    def memory_bytes(self, point: Point) -> float:
        """Examples, six copies of the weights and six of a batch's hidden values, in float32."""
        hidden = 6.0 * rounded_up(max(self.rows(point.n), 1008)) * self.width * self.depth
        examples = 3.0 * (point.n + 1000.0) * rounded_up(point.d + 1)
        return 4.0 * (examples + 6.0 * self.weights(point.d) + hidden)

    def shape(self, point: Point) -> Hashable:
        """Nothing is summed over n but a full batch, so that other steps may mix n."""
        if self.batch_size is None:
            return rounded_up(point.n)
        return max(MIXED_N, 1 << (point.n - 1).bit_length())

    def padded_n(self, points: Sequence[Point]) -> int:
        """The largest n."""
        return max(point.n for point in points)


class _Training:
    """One call of `fit`. A pack of odd size gets a twin of its last trial."""

    def __init__(self, learner: ParametrisedNetwork, problem: Problem, streams: Streams) -> None:
        self._learner, self._problem, count = learner, problem, len(problem)
        self._trials = [*range(count), *([count - 1] * (count % 2))]
        self._streams = some(streams, self._trials)
        self._net = learner.net(problem.point, self._streams.at("initial"))
        self._inputs = rounded_up(problem.point.d + 1)
        self._batches = FiniteBatches(problem, streams, learner.batch_size, self._inputs)
        self._used = torch.tensor(
            [learner.rows(int(problem.n[one])) for one in self._trials],
            device=problem.n.device,
        )
        self._train_loss = Trace(count, logged_steps(learner.steps))

    def fit(self) -> Fit:
        count = len(self._problem)
        with torch.enable_grad():
            self._train()
        start = self._net.start.flatten(1)
        moved = (self._net.first_weights().flatten(1) - start).square().sum(1).sqrt()
        change = moved / start.square().sum(1).sqrt()
        return Fit(
            outcomes=[
                Outcome.FITTED if one else Outcome.DIVERGED for one in self._net.finite()[:count]
            ],
            measures={"weight_change": change[:count]},
            predict=self._predict,
            curves=[{"train_loss": self._train_loss.curve(one)} for one in range(count)],
        )

    def _train(self) -> None:
        weights = self._net.weights()
        leaves = [one.leaf for one in weights]
        moving = [one.detach() for one in leaves]
        optimiser = self._optimiser(weights)
        shrink = 1.0 - self._learner.learning_rate * self._learner.weight_decay
        for number in range(-(-self._learner.steps // CHUNK_STEPS)):
            mixtures = self._mixtures(number)
            for place, batch in enumerate(self._batches.chunk(number, self._trials)):
                step = number * CHUNK_STEPS + place + 1
                if step > self._learner.steps:
                    return
                loss = self._loss(batch, mixtures[place])
                if step in self._train_loss:
                    count = len(self._problem)
                    self._train_loss.note(step, range(count), loss.detach()[:count])
                total = (loss / self._learner.output_scale**2).sum()
                downhill = torch.autograd.grad(total, leaves)
                if self._learner.weight_decay > 0.0:
                    self._net.decay(shrink)
                optimiser.step(moving, downhill)

    def _optimiser(self, weights: Sequence[Weight]) -> Optimiser:
        rates = [self._learner.learning_rate * one.rate for one in weights]
        if self._learner.optimiser == "sgd":
            return Sgd(rates)
        first, second = ([torch.zeros_like(one.leaf.detach()) for one in weights] for _ in range(2))
        return Adam(rates, first, second)

    def _mixtures(self, number: int) -> list[Mix | None]:
        if self._learner.mixup == 0.0:
            return [None] * CHUNK_STEPS
        streams = self._streams.at(f"mixup/{number}")
        return [*mixes(streams, self._learner.mixup, self._used, self._batches.rows)]

    def _loss(self, batch: Batch, mix: Mix | None) -> torch.Tensor:
        """The mean loss of every trial's batch: (B,)."""
        value = LOSS_VALUES[self._learner.loss]
        x = batch.x if mix is None else mix.inputs(batch.x)
        f = self._net.scores(x, batch.weight)
        values = value(f, batch.y)
        if mix is not None:
            values = mix.loss(values, value(f, batch.y.gather(1, mix.partner)))
        return (values * batch.weight).sum(1)

    def _predict(self, x: torch.Tensor) -> torch.Tensor:
        count = x.shape[1]
        wide = padded(x[self._trials], rounded_up(count), self._inputs)
        return self._net.scores(wide)[: len(self._problem), :count].detach()
