"""Gradient descent on the factors of a matrix."""

import math
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from orchestrator.domain.convergence import decay_rate, loss_curve, loss_slope
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.measurements import Coordinates, Measurements
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

IMBALANCE = 3.0
"""F begins so many times as large as G; the source's."""

BEYOND = 1e6
"""A loss so many times its first value is not coming back. By hand."""

Factors = tuple[torch.Tensor, torch.Tensor]


class FactoredDescent(LoopedLearner):
    """M = F G^T, or X X^T, with factors d x (k + extra_rank) from descent with a fixed step.

    With W = (1 / n) sum_i r_i A_i, r_i = <A_i, M> - y_i and h = learning_rate a step is

        F <- F - h W G,  G <- G - h W^T F      (asymmetric)
        X <- X - h W X, W symmetrised          (symmetric; half the gradient)

    on the loss sum_i r_i^2 / (2 n). F and X begin with independent entries
    N(0, initial_scale^2 / d), G with N(0, (initial_scale / 3)^2 / d). k is the target's: with
    extra_rank 0 the learner is told the rank.

    `beta` modifies one step, of the asymmetric form: when the loss has first fallen below
    `modify_at` times its first value, with F = U diag(s) B^T,

        F <- beta U,  G <- G B diag(s) / beta,

    which leaves F G^T as it is, instead of a descent step. All directions of F then have length
    beta, and G falls at rate beta^2 in those of excess rank too, where it was initial_scale^2.

    For a noiseless target of singular values 1 and n large the loss falls like exp(-2 h T) at exact
    rank; with rank to spare like 1 / T^2 (symmetric), exp(-(16/9) h initial_scale^2 T) (asymmetric)
    or exp(-2 h beta^2 T) (modified, beta <= 1).

    Losses here are above the least that any matrix has where n > d^2 (symmetric: d (d + 1) / 2).
    A trial ends when its loss is at most `tolerance` times its first value; one that is not there
    after `steps` steps is out of budget, and judged where it stands. Measures: `steps` taken,
    `train_loss` sum_i r_i^2 / (2 n) at the end, the loss' `loss_slope` and `decay_rate` (see
    `convergence`: power of the step count over the last decade; rate per step over the second half
    of the fall). The curve is `train_loss` before the steps 1, 2, 4, … and the last. One trial
    after another: the measurements of one stay in the processor's cache.

    Source: Xiong, Ding & Du (2024), "How over-parameterization slows down gradient descent in
    matrix sensing: the curses of symmetry and initialization", ICLR, arXiv:2310.01769; their n, m,
    r, k are our d, n, k, k + extra_rank, their alpha our initial_scale. The modified step is made
    where the source's proof makes it after so many steps. Defaults are by hand.
    """

    kind: Literal["factored_descent"] = "factored_descent"
    form: Literal["symmetric", "asymmetric"] = "asymmetric"
    extra_rank: int = Field(
        0, ge=0, description="columns of the factors beyond k; at most d in all"
    )
    initial_scale: float = Field(0.1, gt=0.0, description="alpha, about the length of a column")
    learning_rate: float = Field(0.2, gt=0.0, description="h, where singular values are about 1")
    steps: int = Field(2000, ge=10, description="steps before a trial is out of budget")
    tolerance: float = Field(1e-20, ge=0.0, lt=1.0, description="of the first loss; ends a trial")
    beta: float | None = Field(None, gt=0.0, description="of the modified step; null: none")
    modify_at: float = Field(0.01, gt=0.0, lt=1.0, description="of the first loss; when to modify")

    revision: ClassVar[int] = 2
    reads: ClassVar[frozenset[Labels]] = frozenset({"measurement"})
    reports: ClassVar[tuple[str, ...]] = ("steps", "train_loss", "loss_slope", "decay_rate")
    linear: ClassVar[bool] = True
    n_counts: ClassVar[str] = "measurements"

    @model_validator(mode="after")
    def _only_two_factors_are_out_of_balance(self) -> Self:
        if self.form == "symmetric" and self.beta is not None:
            raise ValueError("beta modifies a step of the asymmetric form; leave it out here")
        return self

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d * d,), M row by row, the measures and the curve.

        A trial whose loss is not finite, or `BEYOND` times what it was, diverges.
        """
        coordinates = Coordinates(point.d, self.form == "symmetric", examples.x.device)
        measured = Measurements.of(examples, coordinates)
        (F, G), losses = self._descended(measured, self.initial(point, streams))
        estimate, least = (F @ G.T).flatten(), measured.rest / 2.0
        return Fit(
            outcomes=[self._outcome(losses)],
            measures={
                "steps": torch.tensor(float(len(losses) - 1)),
                "train_loss": torch.tensor(losses[-1] + least, dtype=torch.float64),
                "loss_slope": torch.tensor(loss_slope(losses), dtype=torch.float64),
                "decay_rate": torch.tensor(decay_rate(losses), dtype=torch.float64),
            },
            predict=lambda x: (x * estimate).sum(1),
            coefficients=estimate,
            curves=[{"train_loss": loss_curve([loss + least for loss in losses])}],
        )

    def rank(self, point: Point) -> int:
        """Columns of the factors."""
        return min(point.k + self.extra_rank, point.d)

    def initial(self, point: Point, streams: Streams) -> Factors:
        """F and G, (d, rank) each, before the first step; the same X twice where symmetric."""
        scale = self.initial_scale / math.sqrt(point.d)
        F = scale * streams.normals(point.d, self.rank(point))[0]
        if self.form == "symmetric":
            return F, F
        return F, scale / IMBALANCE * streams.normals(point.d, self.rank(point))[0]

    def stepped(self, factors: Factors, gradient: torch.Tensor) -> Factors:
        """The factors after a step, from the gradient (d, d) with respect to M."""
        F, G = factors
        forward = F.addmm(gradient, G, alpha=-self.learning_rate)
        if self.form == "symmetric":
            return forward, forward
        return forward, G.addmm(gradient.T, F, alpha=-self.learning_rate)

    def _descended(self, measured: Measurements, factors: Factors) -> tuple[Factors, list[float]]:
        """The factors after the last step, and the losses before each step and after the last."""
        losses: list[float] = []
        is_to_modify = self.beta is not None
        for step in range(self.steps + 1):
            misfit = measured.misfit(factors[0] @ factors[1].T)
            losses.append(float(torch.dot(misfit, misfit)) / 2.0)
            # Written so that nan ends the loop.
            goes_on = self.tolerance * losses[0] < losses[-1] < BEYOND * losses[0]
            if step == self.steps or not goes_on:
                break
            if is_to_modify and losses[-1] < self.modify_at * losses[0]:
                factors, is_to_modify = self.modified(factors), False
            else:
                factors = self.stepped(factors, measured.gradient(misfit))
        return factors, losses

    def modified(self, factors: Factors) -> Factors:
        """The same product, with all singular values of the first factor equal to `beta`."""
        assert self.beta is not None
        U, s, Bt = torch.linalg.svd(factors[0], full_matrices=False)
        return self.beta * U, factors[1] @ (Bt.T * (s / self.beta))

    def _outcome(self, losses: list[float]) -> Outcome:
        if losses[-1] <= self.tolerance * losses[0]:
            return Outcome.FITTED
        return Outcome.OUT_OF_BUDGET if losses[-1] < BEYOND * losses[0] else Outcome.DIVERGED

    def work(self, point: Point) -> float:
        """The triangular factor, and two products with it a step; all steps are counted."""
        count = Coordinates(point.d, self.form == "symmetric").count
        rows = min(point.n, count)
        per_step = 4.0 * rows * count + 6.0 * point.d**2 * self.rank(point)
        return 2.0 * point.n * count * rows + self.steps * per_step

    def memory_bytes(self, point: Point) -> float:
        """Four copies of the measurements, d * d numbers each."""
        return 4.0 * 8.0 * (point.n + 16.0) * (point.d**2 + 1.0)
