"""LASSO: least squares with an absolute-value penalty, proved by its duality gap."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.coordinate_descent import Quadratic, descended, relative_gap
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import sign_errors
from orchestrator.domain.target import Labels

USUAL_UPDATES = 200
"""Updates of a trial near its threshold, for `work`; measured: at most 97 at (d, n) = (128, 72) and
225 at (512, 424)."""


class Lasso(Learner):
    """The w that minimises |X w - y|^2 / (2 n) + lambda |w|_1; predicts <w, x>.

    lambda is `penalty` where that is given, and else follows from n, d, k and `noise`, sigma:

        lambda = sqrt(2 sigma^2 ln(k) ln(d - k) / n),

    with 2 in place of k or of d - k where they are less, so that lambda is above 0.

    Coordinates are minimised one at a time, always the one whose step lowers the objective most
    when its own curvature is counted (the Gauss-Southwell rule with Lipschitz constants); every 128
    updates the objective is minimised on the face of the coordinates that are not zero, with their
    signs held, as far as those signs stay right (feature-sign search).

    A trial ends when its `duality_gap` is at most `gap`: any residual r scaled until
    |X'r|_inf <= n lambda bounds the minimum from below, and the difference to the objective is
    counted in units of |y|^2 / (2 n), the objective at w = 0. The gap reported is computed from X
    and y at the end. A trial that does not get there in `steps` updates is out of budget and
    reports what it has.

    `sign_error` is 0 where w has the signs of the target's coefficients, zeros included, and 1
    elsewhere; it is 1 on every target that is not linear.

    x is (B, N, d) real, y (B, N) real or ±1. All trials of a pack step together; what is summed is
    summed for each trial alone, on its own n rows.

    Source: Tibshirani (1996), J. R. Stat. Soc. B 58(1), in the scaling of scikit-learn; the rule
    for lambda is that of the simulations of Wainwright (2009), "Sharp thresholds for
    high-dimensional and noisy sparsity recovery using l1-constrained quadratic programming", IEEE
    Trans. Inf. Theory 55(5), section V; Nutini et al. (2015), arXiv:1506.00552, for the order of
    coordinates; Lee, Battle, Raina & Ng (2006), "Efficient sparse coding algorithms", NIPS 19, for
    the solves on a face; Kim et al. (2007), "An interior-point method for large-scale
    l1-regularized least squares", IEEE J. Sel. Top. Signal Process. 1(4), for the gap.
    """

    kind: Literal["lasso"] = "lasso"
    penalty: float | None = Field(
        None, gt=0.0, description="lambda; left out: by Wainwright's rule"
    )
    noise: float = Field(0.1, gt=0.0, description="sigma of that rule")
    gap: float = Field(
        1e-12, gt=0.0, lt=1.0, description="duality gap that ends a trial, over |y|^2 / (2 n)"
    )
    steps: int = Field(50_000, ge=1, description="updates before a trial is out of budget")

    reads: ClassVar[frozenset[Labels]] = frozenset({"real", "sign"})
    reports: ClassVar[tuple[str, ...]] = ("duality_gap", "sign_error")
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d), `duality_gap` (B,) and `sign_error` (B,)."""
        penalty = torch.tensor(
            [self.penalty_at(problem.point, int(n)) for n in problem.n], dtype=torch.float64
        )
        own = [problem.own(trial) for trial in range(len(problem))]
        quadratic = Quadratic(
            curvature=torch.stack([one.x.T @ one.x / len(one.y) for one in own]),
            slope=torch.stack([one.x.T @ one.y / len(one.y) for one in own]),
            size=torch.stack([one.y.square().mean() for one in own]),
            penalty=penalty.to(problem.x),
        )
        w = descended(quadratic, self.gap, self.steps)
        gaps = torch.stack(
            [
                duality_gap(one.x, one.y, w[trial], float(penalty[trial]))
                for trial, one in enumerate(own)
            ]
        )
        return Fit(
            outcomes=[_outcome(float(gap), self.gap) for gap in gaps],
            measures={"duality_gap": gaps, "sign_error": sign_errors(w, problem)},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def penalty_at(self, point: Point, n: int) -> float:
        """Lambda of a trial with n examples."""
        if self.penalty is not None:
            return self.penalty
        logs = math.log(max(point.k, 2)) * math.log(max(point.d - point.k, 2))
        return math.sqrt(2.0 * self.noise**2 * logs / n)

    def work(self, point: Point) -> float:
        """The Gram matrix, and ten operations on d numbers at every update."""
        return 2.0 * point.n * point.d**2 + 10.0 * USUAL_UPDATES * point.d

    def memory_bytes(self, point: Point) -> float:
        """Two copies of the examples, the Gram matrix, and its copy while it is stacked."""
        return 8.0 * (2.0 * point.n * (point.d + 1) + 2.0 * point.d**2)


def _outcome(gap: float, wanted: float) -> Outcome:
    if gap <= wanted:
        return Outcome.FITTED
    return Outcome.OUT_OF_BUDGET if math.isfinite(gap) else Outcome.DIVERGED


def duality_gap(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, penalty: float) -> torch.Tensor:
    """The gap of one trial, from x (n, d) and y (n,): 0-dimensional; nan where it is undefined."""
    fitted = (x * w).sum(1)
    missing = y - fitted
    return relative_gap(
        size=y.square().mean(),
        fitted=(y * fitted).mean(),
        residual=missing.square().mean(),
        steepest=((x * missing[:, None]).sum(0) / len(y)).abs().max(),
        weight=w.abs().sum(),
        penalty=penalty,
    )
