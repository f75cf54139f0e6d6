"""Importance-weighted kernel ridge regression: examples count as they would where one is judged."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.covariate_shift import importance_weights
from orchestrator.domain.gram_solve import Solver, ridge_solver
from orchestrator.domain.kernel_learner import KernelLearner
from orchestrator.domain.learner import Fit, Problem
from orchestrator.domain.streams import Streams


class WeightedKernelRidge(KernelLearner):
    """The f that minimises sum_i g_i (f(x_i) - y_i)^2 + ridge |f|^2 in the space of the kernel.

    g_i = (q / p)(x_i)^exponent, divided by their mean over the n examples, with p the density of
    training inputs and q that of test inputs, which the target tells exactly. f(x) =
    sum_i alpha_i K(x, x_i) with (K + ridge diag(1 / g)) alpha = y: the weights are a ridge of its
    own for each example, large where test inputs are rare. On targets without a shift all g_i are
    1, and so they are with exponent 0; it is kernel ridge regression then.

    Solved as (g^1/2 K g^1/2 + ridge I) beta = g^1/2 y with alpha = g^1/2 beta, which weights of 0
    do not break. It is linear in y, so that on targets that know their noise it reports
    `squared_bias` and `variance`. Kernels and their settings are those of kernel_ridge; the
    default exponent, 1, is importance weighting proper; ridge 1 was chosen by hand, large enough
    that the weights matter.

    Source: Chen, Liu, Suzuki & Cevher (2024), "High-dimensional kernel methods under covariate
    shift: data-dependent implicit regularization", ICML, arXiv:2406.03171; the exponent as in
    Shimodaira (2000), Journal of Statistical Planning and Inference 90.
    """

    kind: Literal["weighted_kernel_ridge"] = "weighted_kernel_ridge"
    exponent: float = Field(1.0, ge=0.0, description="power of the ratio of densities; 0: none")
    ridge: float = Field(1.0, ge=0.0, description="beside the weighted sum of squared errors")

    smooths: ClassVar[bool] = True

    def fit_trial(self, problem: Problem, trial: int, streams: Streams) -> Fit:
        """Solve one trial. `train_error` is the unweighted mean squared error."""
        own = problem.own(trial)
        weights = importance_weights(problem.target, own.x, problem.point, self.exponent)
        return self.fitted(own, lambda gram: weighted_solver(gram, weights, self.ridge))


def weighted_solver(gram: torch.Tensor, weights: torch.Tensor, ridge: float) -> Solver:
    """From y, (n,) or (n, p), to alpha of those weights (n,); nan where something is not finite.

    The map is symmetric, so that applied to K(x_i, x) (n, m) it gives the transposed smoother.
    """
    roots = weights.sqrt()
    solve = ridge_solver(roots[:, None] * gram * roots, ridge)

    def solved(y: torch.Tensor) -> torch.Tensor:
        aligned = roots.reshape(-1, *[1] * (y.dim() - 1))
        return aligned * solve(aligned * y)

    return solved
