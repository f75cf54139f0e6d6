"""Least squares: the shortest of the linear functions that fit best."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, LoopedLearner
from orchestrator.domain.linear_fit import linear_fit
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class LeastSquares(LoopedLearner):
    """The w of least Euclidean norm among those that minimise |X w - y|; predicts <w, x>.

    x is (n, d) real, y (n,) real or ±1. One LAPACK call (gelsd, by singular values) per
    trial; singular values below max(n, d) * 2.2e-16 of the largest count as 0.
    Without noise it is exact once the inputs have rank d. No hyper-parameters.

    Source: Golub & Van Loan (2013), "Matrix Computations", 4th edition, section 5.5.
    """

    kind: Literal["least_squares"] = "least_squares"

    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d,), and `train_error`, the mean squared error on the n examples.

        A trial with data that are not finite diverges.
        """
        w, _ = minimum_norm(examples.x, examples.y)
        return linear_fit(w, examples)

    def work(self, point: Point) -> float:
        """Operations of a bidiagonalisation of n x d."""
        return 4.0 * point.n * point.d * min(point.n, point.d)


def minimum_norm(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, int | None]:
    """The least squares w of least norm (d,), and the rank of x (n, d).

    Where x, y or the solution is not finite, w is nan and the rank is None: LAPACK would raise, and
    take the rest of the pack with it.
    """
    if bool(x.isfinite().all()) and bool(y.isfinite().all()):
        # Not gelsy: torch 2.13 gave other last bits at every call (it seems to pass LAPACK column
        # pivots that were never set). Neither has a CUDA form; one small solve would not gain.
        solved = torch.linalg.lstsq(x.cpu(), y.cpu()[:, None], driver="gelsd")
        if bool(solved.solution.isfinite().all()):
            return solved.solution[:, 0].to(x.device), int(solved.rank)
    return torch.full_like(x[0], torch.nan), None
