"""Gradient descent on the square loss of one rectified linear unit."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class ReluGradientDescent(LoopedLearner):
    """v after `steps` of v <- v - rate mean_i (relu(<v, x_i>) - y_i) relu'(<v, x_i>) x_i from 0.

    relu' is 1 at 0, so that the first step goes along mean_i y_i x_i. Predicts max(0, <v, x>). With
    labels of a unit and inputs N(0, I) it converges to that unit from n = C d on; the mean loss has
    curvature 1/2 there, that of n examples up to (1 + sqrt(2 d / n))^2 / 2, which the default rate
    of 0.5 allows from n = d on. 400 steps then shrink the error by 0.75^400 or, where the least
    curvature is a tenth of that, by 1e-5. Both were chosen by hand.

    x is (n, d) real, y (n,) real or ±1. A trial whose v is not finite diverges.

    Source: Soltanolkotabi (2017), "Learning ReLUs via gradient descent", NeurIPS 30, section 2.
    """

    kind: Literal["relu_gradient_descent"] = "relu_gradient_descent"
    learning_rate: float = Field(0.5, gt=0.0)
    steps: int = Field(400, ge=1)

    reports: ClassVar[tuple[str, ...]] = ("train_error",)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """`train_error` is the mean squared error on the n examples."""
        x, y = examples.x, examples.y
        transposed = x.T.contiguous()
        v = torch.zeros_like(x[0])
        for _ in range(self.steps):
            score = x @ v
            missing = torch.where(score >= 0, score - y, 0.0)
            v = v - (transposed @ missing) * (self.learning_rate / len(y))
        finite = bool(v.isfinite().all()) and bool(x.isfinite().all())
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={"train_error": ((x @ v).clamp(min=0.0) - y).square().mean()},
            predict=lambda inputs: (inputs @ v).clamp(min=0.0),
        )

    def work(self, point: Point) -> float:
        """Two products with the matrix of examples at every step."""
        return 4.0 * self.steps * point.n * point.d
