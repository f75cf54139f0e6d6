"""Trained rank pruning: descent on a layer's weight, cut to low rank every so many steps."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.layer_moments import RANK_MEASURES, Moments, layer_fit
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.low_rank import is_finite
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels


class RankPruning(LoopedLearner):
    """W from gradient descent on |y - W x|^2 / 2 + nuclear |W|_*, pruned every `every` steps.

    To prune is to take the singular value decomposition of W and to keep the fewest leading
    singular values whose squares leave out at most the share `energy` of all. Descent then goes on
    with all entries of W, so that what was cut may grow back. The last of `steps` steps is followed
    by a pruning, after which the number of singular values is `rank`. W begins at 0.

    The gradient of the nuclear norm is U V^T over the singular values of the last pruning, and
    zero before the first: one decomposition serves both, as in the source. With m = every and
    h = learning_rate, what was cut grows back to a share f = 1 - (1 - h)^m of its size on inputs of
    covariance I. Without the penalty the true rank k, singular values 1, is reached once

        (s + f^2 ((d - k)^2 - s)) noise^2 / n <= energy k,    s = 4 (d - k),

    about: n grows as d^2 where f^2 d is large. s noise^2 / n is the largest singular value of the
    noise, squared; it has to be cut while it is whole.

    `rank_error` is |rank - k|, for which alone k is read; `train_error` is that of the pruned W.
    x is (n, d), y (n, d). Every trial takes `steps` steps. Defaults are by hand.

    Source: Xu, Li, Zhang, Wen, Wang, Qi, Chen, Lin & Xiong (2020), "TRP: trained rank pruning for
    efficient deep neural networks", IJCAI, arXiv:2004.14566.
    """

    kind: Literal["rank_pruning"] = "rank_pruning"
    energy: float = Field(0.05, ge=0.0, lt=1.0, description="share of squares that may be cut")
    every: int = Field(5, ge=1, description="steps between prunings")
    nuclear: float = Field(0.0, ge=0.0, description="of the sum of singular values")
    learning_rate: float = Field(0.1, gt=0.0, description="where variances are about 1")
    steps: int = Field(200, ge=1, description="steps of descent")

    reads: ClassVar[frozenset[Labels]] = frozenset({"vector"})
    reports: ClassVar[tuple[str, ...]] = RANK_MEASURES
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d * d,), W row by row, and the measures; diverged where not finite."""
        moments = Moments.of(examples)
        W = torch.zeros_like(moments.C)
        rank, subgradient = 0, torch.zeros_like(W)
        for step in range(1, self.steps + 1):
            downhill = W @ moments.S - moments.C + self.nuclear * subgradient
            W = W - self.learning_rate * downhill
            if step % self.every == 0 or step == self.steps:
                if not is_finite(W):
                    break
                W, subgradient, rank = self.pruned(W)
        return layer_fit(W, rank, point.k, Outcome.FITTED, examples)

    def pruned(self, W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
        """W cut to the fewest singular values that will do, U V^T over those, and their number."""
        U, s, Vt = torch.linalg.svd(W)
        left_out = s.square().flip(0).cumsum(0).flip(0)  # by the values from each one on
        rank = int((left_out > self.energy * left_out[0]).sum())
        U, s, Vt = U[:, :rank], s[:rank], Vt[:rank]
        return (U * s) @ Vt, U @ Vt, rank

    def work(self, point: Point) -> float:
        """The moments, a product of d x d matrices a step, and the decompositions."""
        cuts = math.ceil(self.steps / self.every)
        return point.d**2 * (4.0 * point.n + self.steps * 2.0 * point.d + cuts * 25.0 * point.d)

    def memory_bytes(self, point: Point) -> float:
        """Six copies of the examples, inputs and labels, and the weights."""
        return 8.0 * (12.0 * (point.n + 16.0) * point.d + 12.0 * point.d**2)
