"""Self-distilled kernel ridge regression: fitted again and again, to labels and its own answers."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from orchestrator.domain.gram_solve import Solver, ridge_solver
from orchestrator.domain.kernel_learner import KernelLearner
from orchestrator.domain.point import Point


class SelfDistilledKernelRidge(KernelLearner):
    """Step t + 1 of kernel ridge regression is fitted to mixing y + (1 - mixing) f_t(x_i).

    Step 1 is fitted to the labels y themselves, so that `steps` 1 is kernel ridge regression. With
    a the mixing and h = mu / (mu + ridge), mu an eigenvalue of the Gram matrix, the answers of step
    t along its eigenvector are those labels times
        h (a (1 + c + … + c^(t-2)) + c^(t-1)), c = (1 - a) h,
    which tends to a h / (1 - c) = mu / (mu + ridge / a): infinitely many steps are kernel ridge
    regression with the ridge amplified to ridge / a, exactly. `steps: infinite` is that limit.
    Without labels, at mixing 0, answers shrink by h with every step, those along small eigenvalues
    first, and the limit is 0.

    Kernels and their settings are those of kernel_ridge. Defaults, by hand: three steps, half of
    each label true, ridge 0.1.

    Source: Borup & Andersen (2021), "Even your teacher needs guidance: ground-truth targets dampen
    regularization imposed by self-distillation", NeurIPS, arXiv:2102.13088; Mobahi, Farajtabar &
    Bartlett (2020), "Self-distillation amplifies regularization in Hilbert space", NeurIPS,
    arXiv:2002.05715, for mixing 0.
    """

    kind: Literal["self_distilled_kernel_ridge"] = "self_distilled_kernel_ridge"
    steps: Annotated[int, Field(ge=1, le=100_000)] | Literal["infinite"] = Field(
        3, description="fits, the first to the labels alone"
    )
    mixing: float = Field(0.5, ge=0.0, le=1.0, description="share of the true labels")
    ridge: float = Field(0.1, ge=0.0, description="of every fit, added to the Gram matrix")

    def solver(self, gram: torch.Tensor) -> Solver:
        """To the coefficients of the last step; one factorisation serves all."""
        if self.steps == "infinite":
            return self._limit(gram)
        solve, further = ridge_solver(gram, self.ridge), self.steps - 1

        def distilled(y: torch.Tensor) -> torch.Tensor:
            alpha = solve(y)
            for _ in range(further):
                alpha = solve(self.mixing * y + (1.0 - self.mixing) * (gram @ alpha))
            return alpha

        return distilled

    def _limit(self, gram: torch.Tensor) -> Solver:
        if self.mixing > 0.0:
            return ridge_solver(gram, self.ridge / self.mixing)
        kept = ridge_solver(gram, 0.0)  # without a ridge nothing shrinks
        return kept if self.ridge == 0.0 else lambda y: kept(y) * 0.0

    def work(self, point: Point) -> float:
        """That of kernel ridge regression, and 4 n^2 for each further step."""
        further = 0 if self.steps == "infinite" else self.steps - 1
        return super().work(point) + 4.0 * further * float(point.n) ** 2
