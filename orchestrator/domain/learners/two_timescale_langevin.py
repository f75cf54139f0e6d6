"""Noisy gradient descent on the features of a ridge regression that is solved at every step."""

import math
from collections.abc import Hashable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.kernel_alignment import alignment, degrees_of_freedom
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class TwoTimescaleLangevin(LoopedLearner):
    """f(x) = mean_j a_j tanh(<w_j, (x, 1)>) over `width` particles; n counts training examples.

    The second layer is always at its optimum for the first: with H_ij = tanh(<w_j, (x_i, 1)>) and
    K = H H' / width it is a = H'(K + n lambda_a I)^-1 y, which minimises

        mean (f - y)^2 / 2 + lambda_a mean_j a_j^2 / 2.

    What is left is a function G of the distribution mu of the particles, and its first variation is
    -lambda_a a(w)^2 / 2. From w ~ N(0, I) / sqrt(d) every particle moves by

        w <- w - eta (grad(-lambda_a a(w)^2 / 2) + lambda_w w) + sqrt(2 lambda eta) xi

    for `steps` steps with eta the `learning_rate` and lambda the `temperature`; at temperature 0 it
    is gradient descent on G + lambda_w mean |w|^2 / 2.

    `label_noise` s > 0 adds (s^2 / 2 n) degrees of freedom, tr K (K + n lambda_a I)^-1, to what is
    minimised, on average over draws: at every step e_i = s or -s by fair coins, a(w)^2 becomes the
    product of the a(w) for y + e and for y - e, and E (y + e)(y - e)' = y y' - s^2 I. That is the
    regulariser which the source's procedure has; how the noise enters is ours. The network is
    judged with a for y itself.

    Curves, at steps 1, 2, 4, … before the step, and after the last as step `steps` + 1:
    `train_loss`, `kernel_alignment` of K and y, and `degrees_of_freedom`. The measures of the same
    names are those at the end.

    x is (n, d) real, y (n,) real or signs. A trial whose particles end infinite or nan diverges.

    Defaults: form, eta, lambda, lambda_a and lambda_w are as reported for the source's experiment,
    of 2,000 particles and 10,000 steps; the rest was chosen by hand.

    Source: Takakura & Suzuki (2024), "Mean-field analysis on two-layer neural networks from a
    kernel perspective", arXiv:2403.14917.
    """

    kind: Literal["two_timescale_langevin"] = "two_timescale_langevin"
    width: int = Field(200, ge=1, description="particles")
    learning_rate: float = Field(0.2, gt=0.0, description="eta")
    temperature: float = Field(0.004, ge=0.0, description="lambda")
    ridge: float = Field(0.25, gt=0.0, description="lambda_a, of the second layer")
    confinement: float = Field(0.25, ge=0.0, description="lambda_w, of the first layer")
    label_noise: float = Field(0.0, ge=0.0, description="s")
    steps: int = Field(500, ge=1)

    reports: ClassVar[tuple[str, ...]] = ("kernel_alignment", "degrees_of_freedom")

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Train one trial."""
        x, y = _with_ones(examples.x), examples.y
        w = streams.at("initial").normals(self.width, point.d + 1)[0] / math.sqrt(point.d)
        noise, coins = streams.at("noise"), streams.at("labels")
        trace = _Trace(self, y)
        for step in range(1, self.steps + 1):
            hidden = torch.tanh(x @ w.T)
            trace.note(step, hidden)
            error = self._label_errors(coins, y)
            w = w - self.learning_rate * self.gradient(w, x, hidden, y + error, y - error)
            if self.temperature > 0.0:
                scale = math.sqrt(2.0 * self.temperature * self.learning_rate)
                w = w + scale * noise.normals(*w.shape)[0]
        hidden = torch.tanh(x @ w.T)
        last = trace.note(self.steps + 1, hidden)
        outer = self.second_layer(hidden, y) / self.width
        finite = bool(w.isfinite().all()) and bool(outer.isfinite().all())
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={name: torch.tensor(last[name]) for name in self.reports},
            predict=lambda inputs: torch.tanh(_with_ones(inputs) @ w.T) @ outer,
            curves=[trace.curves()],
        )

    def second_layer(self, hidden: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The best a for H (n, width): (width,), from (H'H / width + n lambda_a I) a = H'y.

        nan where H or y is not finite.
        """
        gram = hidden.T @ hidden / hidden.shape[1]
        gram.diagonal().add_(self.ridge * len(y))
        factor, broken = torch.linalg.cholesky_ex(gram)
        if int(broken) or not bool(y.isfinite().all()):
            return torch.full_like(gram[0], torch.nan)
        return torch.cholesky_solve((hidden.T @ y)[:, None], factor)[:, 0]

    def gradient(
        self,
        w: torch.Tensor,
        x: torch.Tensor,
        hidden: torch.Tensor,
        one: torch.Tensor,
        other: torch.Tensor,
    ) -> torch.Tensor:
        """What moves each particle but for noise: grad(-lambda_a a a' / 2) + lambda_w w, as w.

        a and a' are the second layers for labels `one` and `other`, (n,); x is (n, d + 1). The
        gradient of lambda_a a(w) is that of w's feature against the residuals, over n.
        """
        a = [self.second_layer(hidden, labels) for labels in (one, other)]
        left = [
            labels - hidden @ outer / self.width
            for labels, outer in zip((one, other), a, strict=True)
        ]
        pulls = (left[0][:, None] * a[1] + left[1][:, None] * a[0]) / (2.0 * len(x))
        slope = 1.0 - hidden.square()
        return self.confinement * w - (pulls * slope).T @ x

    def _label_errors(self, coins: Streams, y: torch.Tensor) -> torch.Tensor:
        if self.label_noise == 0.0:
            return torch.zeros_like(y)
        return self.label_noise * coins.signs(len(y), 1)[0, :, 0]

    def work(self, point: Point) -> float:
        """Two Gram matrices of features, their factors, and products with the examples a step."""
        n, d, width = float(point.n), float(point.d + 1), float(self.width)
        return self.steps * (4.0 * n * width**2 + width**3 + n * width * (4.0 * d + 40.0))

    def memory_bytes(self, point: Point) -> float:
        """Examples, hidden values and Gram matrices, each a few times in float64."""
        rows = point.n + 1000.0
        return 8.0 * (5.0 * rows * (point.d + 1 + self.width) + 4.0 * self.width**2)

    def shape(self, point: Point) -> Hashable:
        """N to the next power of two: nothing is padded, but rows are drawn for the largest n."""
        return (point.n - 1).bit_length()


class _Trace:
    """What is told of one trial along the way."""

    def __init__(self, learner: TwoTimescaleLangevin, y: torch.Tensor) -> None:
        self._learner, self._y = learner, y
        steps = [*logged_steps(learner.steps)[:-1], learner.steps + 1]
        self._traces = {
            name: Trace(1, steps)
            for name in ("train_loss", "kernel_alignment", "degrees_of_freedom")
        }

    def note(self, step: int, hidden: torch.Tensor) -> dict[str, float]:
        """What holds before that step, where it is logged; returned as well."""
        if step not in self._traces["train_loss"]:
            return {}
        y, ridge = self._y, self._learner.ridge * len(self._y)
        missing = y - hidden @ self._learner.second_layer(hidden, y) / hidden.shape[1]
        found = {
            "train_loss": float(missing.square().mean() / 2.0),
            "kernel_alignment": alignment(hidden, y),
            "degrees_of_freedom": degrees_of_freedom(hidden, ridge),
        }
        for name, value in found.items():
            self._traces[name].note(step, [0], torch.tensor([value]))
        return found

    def curves(self) -> dict[str, tuple[tuple[int, float], ...]]:
        """By name."""
        return {name: trace.curve(0) for name, trace in self._traces.items()}


def _with_ones(x: torch.Tensor) -> torch.Tensor:
    """A 1 after each row: (m, d) -> (m, d + 1)."""
    return torch.nn.functional.pad(x, (0, 1), value=1.0)
