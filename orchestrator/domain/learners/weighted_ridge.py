"""Importance-weighted ridge regression: examples count as they would where one is judged."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.covariate_shift import importance_weights
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class WeightedRidge(Learner):
    """The w that minimises mean_i g_i (<w, x_i> - y_i)^2 + ridge |w|^2; predicts <w, x>.

    g_i = (q / p)(x_i)^exponent, divided by their mean over the n examples, with p the density of
    training inputs and q that of test inputs, which the target tells exactly. Exponent 1 removes
    the bias that a shift gives to a misfit model, and pays for it in variance; exponent 0 is plain
    ridge regression, and values between are Shimodaira's compromise. On targets without a shift all
    g_i are 1.

    x is (n, d) real, y (n,) real or ±1. In closed form trial by trial: least squares of minimum
    norm (LAPACK gelsd) on the weighted examples below which sqrt(n ridge) I is written, so ridge 0
    is allowed. The default ridge, 1e-6, only settles n < d; chosen by hand.

    Source: Shimodaira (2000), "Improving predictive inference under covariate shift by weighting
    the log-likelihood function", Journal of Statistical Planning and Inference 90, section 5.
    """

    kind: Literal["weighted_ridge"] = "weighted_ridge"
    exponent: float = Field(1.0, ge=0.0, description="power of the ratio of densities; 0: none")
    ridge: float = Field(1e-6, ge=0.0, description="beside the mean weighted squared error")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d), and `train_error`, the unweighted mean squared error.

        A trial with data or weights that are not finite diverges.
        """
        found = [self._solved(problem, trial) for trial in range(len(problem))]
        w = torch.stack([one for one, _ in found])
        return Fit(
            outcomes=[
                Outcome.FITTED if bool(one.isfinite().all()) else Outcome.DIVERGED
                for one, _ in found
            ],
            measures={"train_error": torch.stack([error for _, error in found])},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def _solved(self, problem: Problem, trial: int) -> tuple[torch.Tensor, torch.Tensor]:
        own = problem.own(trial)
        weights = importance_weights(problem.target, own.x, problem.point, self.exponent)
        w = weighted_solution(own, weights, self.ridge)
        return w, ((own.x * w).sum(1) - own.y).square().mean()

    def work(self, point: Point) -> float:
        """Operations of a bidiagonalisation of (n + d) x d."""
        return 4.0 * (point.n + point.d) * point.d**2


def weighted_solution(examples: Examples, weights: torch.Tensor, ridge: float) -> torch.Tensor:
    """The w (d,) for x (n, d), y (n,) and weights (n,); nan where something is not finite."""
    n, d = examples.x.shape
    roots = weights.sqrt()
    eye = torch.eye(d, dtype=roots.dtype, device=roots.device)
    below = math.sqrt(n * ridge) * eye if ridge > 0.0 else eye[:0]
    x = torch.cat([examples.x * roots[:, None], below])
    y = torch.cat([examples.y * roots, torch.zeros_like(below[:, 0])])
    return minimum_norm(x, y)[0]
