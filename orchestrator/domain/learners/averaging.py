"""Averaging: a rectified linear unit along the mean of y x."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class Averaging(LoopedLearner):
    """v = s u with u the direction of mean_i y_i x_i and s >= 0 fitted; predicts max(0, <v, x>).

    s = sum_i y_i r_i / sum_i r_i^2 with r_i = max(0, <u, x_i>), and 0 where that is negative or no
    r_i is positive. With inputs N(0, I) and labels that have E[y x] = c w and E[y^2] = m, the
    squared cosine between u and the unit vector w is 1 / (1 + m d / (c^2 n)) as d grows with n / d
    fixed, whatever the labels are beyond that: it is slow where labels are exact, and does not mind
    where they are not. s is fitted to the examples that made u, so it comes out too large at n / d
    of a few.

    x is (n, d) real, y (n,) real or ±1. No hyper-parameters.

    Source: Goel, Karmalkar & Klivans (2019), "Time/accuracy tradeoffs for learning a ReLU with
    respect to Gaussian marginals", arXiv:1911.01462, who reduce the agnostic ReLU to noisy
    halfspaces, for which averaging is the simplest learner.
    """

    kind: Literal["averaging"] = "averaging"

    reports: ClassVar[tuple[str, ...]] = ("train_error",)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """`train_error` is the mean squared error on the n examples."""
        x, y = examples.x, examples.y
        mean = (y @ x) / len(y)
        u = mean / mean.square().sum().sqrt().clamp(min=torch.finfo(mean.dtype).tiny)
        r = (x @ u).clamp(min=0.0)
        squares = r.square().sum()
        s = torch.where(squares > 0, (r * y).sum() / squares, 0.0).clamp(min=0.0)
        v = s * u
        finite = bool(v.isfinite().all()) and bool(x.isfinite().all())
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={"train_error": (s * r - y).square().mean()},
            predict=lambda inputs: (inputs @ v).clamp(min=0.0),
        )

    def work(self, point: Point) -> float:
        """Two products with the matrix of examples."""
        return 4.0 * point.n * point.d
