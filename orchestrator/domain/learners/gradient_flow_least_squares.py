"""Least squares by gradient flow, stopped at a given time."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner
from orchestrator.domain.linear_fit import linear_fit
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class GradientFlowLeastSquares(LoopedLearner):
    """w(t) of dw/dt = X'(y - X w) / d from w(0) ~ N(0, initial_scale^2 / d); predicts <w, x>.

    With X = U diag(s) V' and l_i = s_i^2 / d, in closed form and without a step size,

        w(t) = w(0) + sum_i (1 - exp(-l_i t)) (<u_i, y> / s_i - <v_i, w(0)>) v_i.

    `time: null` goes on for ever: from w(0) = 0 that is least squares of minimum norm. Time has the
    unit of the source, in which eigenvalues of random inputs lie around 1 + n / d; a descent of
    step h on |X w - y|^2 / 2 is at time h d after one step. Singular values below
    max(n, d) * 2.2e-16 of the largest count as 0, and what lies along them stays as it began.

    x is (n, d) real, y (n,) real or ±1; one LAPACK call per trial. Without a time limit and from 0,
    the test error of noisy labels has its peak at n = d; a time of about 1 to 10 removes it.
    `marchenko_pastur` has the curve. Defaults are minimum norm, which needs no choice.

    Source: Advani, Saxe & Sompolinsky (2020), "High-dimensional dynamics of generalization error in
    neural networks", Neural Networks 132, section 2; its inputs have variance 1 / d, ours 1, whence
    the d above.
    """

    kind: Literal["gradient_flow_least_squares"] = "gradient_flow_least_squares"
    time: float | None = Field(None, gt=0.0, description="when to stop; null: never")
    initial_scale: float = Field(0.0, ge=0.0, description="root mean square length of w(0)")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d,), and `train_error`, the mean squared error on the n examples.

        A trial with data or a solution that are not finite diverges.
        """
        d = examples.x.shape[1]
        start = self.initial_scale / math.sqrt(d) * streams.normals(d)[0]
        w = flowed(examples.x, examples.y, start, self.time)
        return linear_fit(w, examples)

    def work(self, point: Point) -> float:
        """Operations of a thin singular value decomposition of n x d."""
        return 14.0 * point.n * point.d * min(point.n, point.d)


def flowed(
    x: torch.Tensor, y: torch.Tensor, start: torch.Tensor, time: float | None
) -> torch.Tensor:
    """Weights (d,) at `time` of the flow on x (n, d), y (n,) from `start`; nan for bad data."""
    if not (bool(x.isfinite().all()) and bool(y.isfinite().all())):
        return torch.full_like(start, torch.nan)
    U, s, Vt = (part.to(x.device) for part in torch.linalg.svd(x.cpu(), full_matrices=False))
    seen = s > s.max() * max(x.shape) * torch.finfo(s.dtype).eps
    goal = torch.where(seen, (U.T @ y) / s, 0.0)
    gone = torch.ones_like(s) if time is None else -torch.expm1(-(s.square() / x.shape[1]) * time)
    way: torch.Tensor = Vt.T @ torch.where(seen, gone * (goal - Vt @ start), 0.0)
    return start + way
