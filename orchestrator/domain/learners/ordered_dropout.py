"""Ordered dropout: a factored layer whose first columns must do without the later ones."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.layer_moments import (
    RANK_MEASURES,
    Moments,
    layer_fit,
    least_squares_layer,
)
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.low_rank import is_finite
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

JITTER = 1e-13
"""Added to the diagonal of what is solved, in units of its largest entry: columns that have nothing
to learn are 0, and leave nothing to divide by. By hand."""

Factors = tuple[torch.Tensor, torch.Tensor]


class OrderedDropout(LoopedLearner):
    """W = U V^T that is least in the squared loss of its first b columns, b uniform on 1 to d.

    The loss of (1 / d) sum_b |y - U_b V_b^T x|^2 / 2, U_b the first b columns of U, has its least
    value where U_b V_b^T is the best map of rank b for every b at once. So the columns come out in
    the order of what they add, and a rank is chosen after training by leaving some out: those that
    are weaker, |u_j| |v_j|, than `cutoff` times the strongest, and all that come after the first
    such. On inputs of covariance I that is the singular value decomposition of the least
    squares solution; a map that is the identity gives the principal components of the inputs.

    The source draws one b per step of stochastic gradient descent and penalises columns. Here the
    loss is the average over all b, without a penalty, and each sweep minimises it exactly over
    U and then over V: gradient descent would go to the same minimum, but needs thousands of steps,
    more as d grows, to move what all columns learn at once into the first. V, d x d, begins
    with entries N(0, 1 / d).

    A trial ends when the gradient's length is `tolerance` times |E y x^T|; one that is not there
    after `sweeps` is out of budget, and judged where it stands: columns in the noise that are
    almost equally strong settle late. Measures: `rank`; `rank_error`, |rank - k|, for which alone
    k is read; `train_error` of the columns that are kept. x is (n, d), y (n, d). Defaults are by
    hand.

    Source: Horváth, Laskaridis, Rajput & Wang (2024), "Maestro: uncovering low-rank structures via
    trainable decomposition", ICML, arXiv:2308.14929; Horváth et al. (2021), "FjORD", NeurIPS,
    arXiv:2102.13451, for ordered dropout.
    """

    kind: Literal["ordered_dropout"] = "ordered_dropout"
    cutoff: float = Field(
        0.1, gt=0.0, lt=1.0, description="of the strongest column; drops a column"
    )
    sweeps: int = Field(200, ge=1, description="over U and V, before a trial is out of budget")
    tolerance: float = Field(1e-6, ge=0.0, lt=1.0, description="of the gradient; ends a trial")

    reads: ClassVar[frozenset[Labels]] = frozenset({"vector"})
    reports: ClassVar[tuple[str, ...]] = RANK_MEASURES
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d * d,), W row by row, and the measures.

        A trial whose data or factors are not finite diverges.
        """
        d = examples.x.shape[1]
        V = streams.normals(d, d)[0] / math.sqrt(d)
        (U, V), outcome = self._swept(examples, V)
        rank = self._rank(U, V)
        return layer_fit(U[:, :rank] @ V[:, :rank].T, rank, point.k, outcome, examples)

    def _swept(self, examples: Examples, V: torch.Tensor) -> tuple[Factors, Outcome]:
        moments, W = Moments.of(examples), least_squares_layer(examples)
        shares = widths(len(V)).to(V)
        enough = self.tolerance * float(moments.C.square().sum().sqrt())
        for _ in range(self.sweeps):
            U = _best(moments.C @ V, V.T @ moments.S @ V, shares)
            V = _best(W.T @ U, U.T @ U, shares)
            along, _ = gradient(moments, (U, V), shares)
            length = float(along.square().sum().sqrt())
            # Written so that nan ends the loop.
            if not enough < length < math.inf:
                return (U, V), Outcome.FITTED if length <= enough else Outcome.DIVERGED
        return (U, V), Outcome.OUT_OF_BUDGET

    def _rank(self, U: torch.Tensor, V: torch.Tensor) -> int:
        """Columns before the first that is weaker than `cutoff` times the strongest."""
        if not is_finite(U, V):
            return 0
        strength = (U.square().sum(0) * V.square().sum(0)).sqrt()
        is_kept = strength >= self.cutoff * strength.max()
        return int(is_kept.to(torch.int64).cumprod(0).sum())

    def work(self, point: Point) -> float:
        """Least squares, and eight products and two solutions of size d a sweep; all count."""
        return 6.0 * point.n * point.d**2 + self.sweeps * 20.0 * point.d**3

    def memory_bytes(self, point: Point) -> float:
        """Six copies of the examples, inputs and labels, and the factors."""
        return 8.0 * (12.0 * (point.n + 16.0) * point.d + 12.0 * point.d**2)


def _best(given: torch.Tensor, gram: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The factor F (d, d) with F (gram o shares) = given diag(shares): nan where it has none.

    gram o shares, entry by entry, is positive definite where gram is not zero on its diagonal.
    """
    matrix = gram * shares
    matrix.diagonal().add_(JITTER * matrix.diagonal().max())
    factor, broken = torch.linalg.cholesky_ex(matrix)
    if int(broken):
        return torch.full_like(given, torch.nan)
    return torch.cholesky_solve((given * shares.diagonal()).T, factor).T


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
