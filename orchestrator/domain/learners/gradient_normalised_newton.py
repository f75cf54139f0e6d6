"""Logistic regression by Newton steps that are damped in proportion to the gradient."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels


class GradientNormalisedNewton(LoopedLearner):
    """w after steps w <- w - (H + damping R |g| I)^-1 g on the logistic loss; predicts <w, x>.

    The loss is f(w) = mean_i log(1 + exp(-y_i <w, x_i>)) + ridge |w|^2 / 2 with gradient g and
    Hessian H, and R = max_i |x_i| bounds its third derivative by R times the second (it is
    quasi-self-concordant). With damping 1 the steps go down from anywhere, without a line search:
    linearly at first, quadratically in the end, when the damping fades with the gradient. Damping 0
    is Newton's method, which may not converge.

    A trial ends at w with |g| <= tolerance; `iterations` counts its steps. One that is not there
    after `steps` steps is out of budget, and `iterations` is `steps`. With ridge 0 examples that
    can be separated have no minimum; |g| then falls by a factor for every step out.

    x is (n, d) real, y (n,) of ±1. `train_error` is the share of y_i <w, x_i> <= 0. Defaults are by
    hand but damping, which is that of the sources' theory.

    Source: Semenov, Jaggi & Doikov (2025), "Gradient-normalized smoothness for optimization with
    approximate Hessians", arXiv:2506.13710, here with the exact Hessian; Doikov (2023), "Minimizing
    quasi-self-concordant functions by gradient regularization of Newton method", arXiv:2308.14444,
    for damping by R |g|.
    """

    kind: Literal["gradient_normalised_newton"] = "gradient_normalised_newton"
    ridge: float = Field(1e-3, ge=0.0, description="of |w|^2 / 2, beside the mean loss")
    damping: float = Field(1.0, ge=0.0, description="in units of the largest |x| times |gradient|")
    tolerance: float = Field(1e-8, gt=0.0, description="length of the gradient that ends a trial")
    steps: int = Field(200, ge=1, description="Newton steps before a trial is out of budget")

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    reports: ClassVar[tuple[str, ...]] = ("iterations", "train_error")
    linear: ClassVar[bool] = True

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d,), `iterations` and `train_error`.

        A trial whose data or gradient are not finite diverges.
        """
        signed = examples.x * examples.y[:, None]
        w, taken, length = self._descended(signed)
        missed = ~((signed * w).sum(1) > 0)
        return Fit(
            outcomes=[self._outcome(length)],
            measures={
                "iterations": torch.tensor(float(taken), device=w.device),
                "train_error": missed.to(w.dtype).mean(),
            },
            predict=lambda x: (x * w).sum(1),
            coefficients=w,
        )

    def _descended(self, signed: torch.Tensor) -> tuple[torch.Tensor, int, float]:
        """Where the steps end on y_i x_i (n, d), how many they were, and |g| there."""
        w, largest = torch.zeros_like(signed[0]), float(signed.square().sum(1).max().sqrt())
        for taken in range(self.steps + 1):
            gradient, hessian = self._derivatives(signed, w)
            length = float(gradient.square().sum().sqrt())
            # Written so that nan ends the loop.
            if taken == self.steps or not length > self.tolerance or length == float("inf"):
                break
            hessian.diagonal().add_(self.damping * largest * length)
            factor, broken = torch.linalg.cholesky_ex(hessian)
            if int(broken):
                return w, taken, float("nan")
            w = w - torch.cholesky_solve(gradient[:, None], factor)[:, 0]
        return w, taken, length

    def _derivatives(
        self, signed: torch.Tensor, w: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient (d,) and Hessian (d, d) of the loss at w."""
        chance = torch.sigmoid(-(signed @ w))  # of the other label
        gradient = -(chance @ signed) / len(signed) + self.ridge * w
        weights = chance * (1.0 - chance) / len(signed)
        hessian = signed.T @ (signed * weights[:, None])
        hessian.diagonal().add_(self.ridge)
        return gradient, hessian

    def _outcome(self, length: float) -> Outcome:
        if length <= self.tolerance:
            return Outcome.FITTED
        return Outcome.OUT_OF_BUDGET if length < float("inf") else Outcome.DIVERGED

    def work(self, point: Point) -> float:
        """About twenty steps, each a Hessian of n examples and its Cholesky factor."""
        return 20.0 * (2.0 * point.n * point.d**2 + point.d**3 / 3.0)
