"""Ordered dropout: a factored layer whose first columns must do without the later ones."""

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

Factors = tuple[torch.Tensor, torch.Tensor]


class OrderedDropout(LoopedLearner):
    """W = U V^T from descent on the squared loss of its first b columns, b uniform on 1 to d.

    The loss of (1 / d) sum_b |y - U_b V_b^T x|^2 / 2, U_b the first b columns of U, has its least
    value where U_b V_b^T is the best map of rank b for every b at once. So the columns come out in
    the order of what they add, and a rank is chosen after training by leaving some out: those that
    are weaker, |u_j| |v_j|, than `cutoff` times the strongest column, and all that come after the
    first such. On inputs of covariance I that is the singular value decomposition of the least
    squares solution; a map that is the identity gives the principal components of the inputs.

    Steps of fixed length go down the average over b, exactly, instead of one b drawn per step.
    Column j is in a share (d - j + 1) / d of all widths; its gradient is divided by that share, so
    that late columns learn as fast as early ones. Neither moves the minimum. There is no
    penalty on the columns. U and V, d x d, begin with entries N(0, initial_scale^2 / d).

    A trial ends when the gradient's length is `tolerance` times its length at W = 0; one that is
    not there after `steps` steps is out of budget, and judged where it stands: columns in the noise
    settle late. Measures: `rank`; `rank_error`, |rank - k|, for which alone k is read;
    `train_error` of the columns that are kept. x is (n, d), y (n, d). Defaults are by hand.

    Source: Horváth, Laskaridis, Rajput & Wang (2024), "Maestro: uncovering low-rank structures via
    trainable decomposition", ICML, arXiv:2308.14929; Horváth et al. (2021), "FjORD", NeurIPS,
    arXiv:2102.13451, for ordered dropout.
    """

    kind: Literal["ordered_dropout"] = "ordered_dropout"
    cutoff: float = Field(
        0.2, gt=0.0, lt=1.0, description="of the strongest column; drops a column"
    )
    learning_rate: float = Field(0.3, gt=0.0, description="where variances are about 1")
    initial_scale: float = Field(0.1, gt=0.0, description="about the length of a column")
    steps: int = Field(1000, ge=1, description="steps before a trial is out of budget")
    tolerance: float = Field(1e-6, ge=0.0, lt=1.0, description="of the gradient's length; ends")

    reads: ClassVar[frozenset[Labels]] = frozenset({"vector"})
    reports: ClassVar[tuple[str, ...]] = RANK_MEASURES
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d * d,), W row by row, and the measures.

        A trial whose data or factors are not finite diverges.
        """
        (U, V), outcome = self._descended(Moments.of(examples), self.initial(point, streams))
        rank = self._rank(U, V)
        return layer_fit(U[:, :rank] @ V[:, :rank].T, rank, point.k, outcome, examples)

    def initial(self, point: Point, streams: Streams) -> Factors:
        """U and V before the first step: (d, d) each."""
        scale = self.initial_scale / math.sqrt(point.d)
        U, V = (scale * streams.normals(point.d, point.d)[0] for _ in range(2))
        return U, V

    def _descended(self, moments: Moments, factors: Factors) -> tuple[Factors, Outcome]:
        shares = widths(len(moments.S)).to(moments.S)
        enough = self.tolerance * float(moments.C.square().sum().sqrt())
        for _ in range(self.steps):
            down = gradient(moments, factors, shares)
            length = float(sum(one.square().sum() for one in down)) ** 0.5
            # Written so that nan ends the loop.
            if not enough < length < math.inf:
                return factors, Outcome.FITTED if length <= enough else Outcome.DIVERGED
            U, V = (
                one - self.learning_rate * (along / shares.diagonal())
                for one, along in zip(factors, down, strict=True)
            )
            factors = U, V
        return factors, Outcome.OUT_OF_BUDGET

    def _rank(self, U: torch.Tensor, V: torch.Tensor) -> int:
        """Columns before the first that is weaker than `cutoff` times the strongest."""
        if not is_finite(U, V):
            return 0
        strength = (U.square().sum(0) * V.square().sum(0)).sqrt()
        is_kept = strength >= self.cutoff * strength.max()
        return int(is_kept.to(torch.int64).cumprod(0).sum())

    def work(self, point: Point) -> float:
        """The moments, and six products of d x d matrices a step; all steps are counted."""
        return 4.0 * point.n * point.d**2 + self.steps * 12.0 * point.d**3

    def memory_bytes(self, point: Point) -> float:
        """Six copies of the examples, inputs and labels, and the factors."""
        return 8.0 * (12.0 * (point.n + 16.0) * point.d + 12.0 * point.d**2)


def widths(d: int) -> torch.Tensor:
    """In which share of the widths 1 to d columns i and j are both in: float64 (d, d)."""
    order = torch.arange(d, dtype=torch.float64)
    return (d - torch.maximum(order[:, None], order[None, :])) / d


def gradient(moments: Moments, factors: Factors, shares: torch.Tensor) -> Factors:
    """Of the loss averaged over all widths, with respect to U and V; `shares` are `widths`."""
    U, V = factors
    SV = moments.S @ V
    alone = shares.diagonal()
    return (
        U @ ((V.T @ SV) * shares) - (moments.C @ V) * alone,
        SV @ ((U.T @ U) * shares) - (moments.C.T @ U) * alone,
    )
