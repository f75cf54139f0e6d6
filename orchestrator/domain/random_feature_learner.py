"""Learners that are linear in features drawn at random, so many that they stand for a kernel."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.linear_fit import ridge_solution
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples

FeatureMap = Callable[[torch.Tensor], torch.Tensor]
"""From inputs (m, d) to their features, one row each."""


class RandomFeatureLearner(LoopedLearner):
    """Base of learners f(x) = <w, phi(x)>, w of least |phi(x_i) w - y_i|^2 + ridge |w|^2.

    A subclass gives `drawn` and `size`. The features are scaled so that phi(x).phi(z) estimates a
    kernel without bias, with an error of the order of 1 / sqrt(features); the ridge is then that of
    kernel ridge regression. Solved with whichever is smaller, the Gram matrix of examples or that
    of features.
    """

    features: int = Field(1000, ge=1, le=100_000, description="how many are drawn")
    ridge: float = Field(1e-6, gt=0.0, description="as in kernel_ridge, on the Gram matrix")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)

    def drawn(self, d: int, streams: Streams) -> FeatureMap:
        """The features of one trial, whose streams are those of a pack of one."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Length of phi(x)."""
        return self.features

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Solve one trial. `train_error` is the mean squared error on its n examples."""
        phi = self.drawn(point.d, streams)
        given = phi(examples.x)
        w = ridge_solution(given, examples.y, self.ridge)
        return Fit(
            outcomes=[Outcome.FITTED if bool(w.isfinite().all()) else Outcome.DIVERGED],
            measures={"train_error": (given @ w - examples.y).square().mean()},
            predict=lambda x: phi(x) @ w,
        )

    def work(self, point: Point) -> float:
        """Cholesky of the smaller Gram matrix, the product that makes it, and the features."""
        n, size = float(point.n), float(self.size)
        small = min(n, size)
        return small**3 / 3.0 + 2.0 * n * size * small + 2.0 * (n + 1000.0) * size * point.d

    def memory_bytes(self, point: Point) -> float:
        """Examples, features of training and test, and two Gram matrices, in float64."""
        n, size = float(point.n), float(self.size)
        return 8.0 * (2.0 * (n + 1000.0) * (point.d + size) + 2.0 * min(n, size) ** 2)
