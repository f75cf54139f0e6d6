"""Learners whose hypothesis is a sum of kernels centred at the examples."""

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain import kernels
from orchestrator.domain.gram_solve import Solver, ridge_solver
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class KernelLearner(LoopedLearner):
    """Base of learners f(x) = sum_i alpha_i K(x, x_i): the choice of K, and its costs.

    A subclass gives `solver`, or another `gram`; with neither it is kernel ridge regression. One
    that `smooths` gives a solver that is a symmetric matrix. Kernels are those of
    `orchestrator.domain.kernels`; `bandwidth` is read by rbf and laplace, `degree` and `offset` by
    polynomial, `depth` by ntk and nngp.

    Trials are solved one by one by LAPACK on unpadded tensors and not as one batched Cholesky:
    measured at n in the hundreds it is as fast, needs no padding of n to a pack-mate's, and keeps
    every trial's bits the same in any company, which padding does not.
    """

    kernel: Literal["exp_dot", "rbf", "laplace", "polynomial", "ntk", "nngp"] = "exp_dot"
    ridge: float = Field(1e-6, ge=0.0, description="added to the diagonal of the Gram matrix")
    bandwidth: float = Field(1.0, gt=0.0, description="in units of sqrt(d)")
    degree: int = Field(3, ge=1, le=64, description="of the polynomial kernel")
    offset: float = Field(1.0, ge=0.0, description="of the polynomial kernel")
    depth: int = Field(1, ge=1, le=64, description="hidden layers of the ntk and nngp kernels")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)

    def solver(self, gram: torch.Tensor) -> Solver:
        """From y (n,) to the coefficients (n,), for K(x_i, x_j) (n, n); nan where there are none.

        By default (K + ridge I) alpha = y, see `ridge_solver`.
        """
        return ridge_solver(gram, self.ridge)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Solve one trial. `train_error` is the mean squared error on its n examples."""
        return self.fitted(examples, self.solver)

    def fitted(self, examples: Examples, solver: Callable[[torch.Tensor], Solver]) -> Fit:
        """One trial, solved by what `solver` makes of its Gram matrix."""
        gram = self.gram(examples.x, examples.x)
        solve = solver(gram)
        alpha = solve(examples.y)

        def smoother(x: torch.Tensor) -> list[torch.Tensor]:
            return [solve(self.gram(x, examples.x).T).T]

        return Fit(
            outcomes=[Outcome.FITTED if bool(alpha.isfinite().all()) else Outcome.DIVERGED],
            measures={"train_error": (gram @ alpha - examples.y).square().mean()},
            predict=lambda x: self.gram(x, examples.x) @ alpha,
            smoother=smoother if self.smooths else None,
        )

    def gram(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """K(x_i, z_j) for x (m, d) and z (n, d): (m, n)."""
        if self.kernel == "exp_dot":
            return kernels.exp_dot(x, z)
        if self.kernel == "rbf":
            return kernels.rbf(x, z, self.bandwidth)
        if self.kernel == "laplace":
            return kernels.laplace(x, z, self.bandwidth)
        if self.kernel == "polynomial":
            return kernels.polynomial(x, z, self.degree, self.offset)
        if self.kernel == "nngp":
            return kernels.nngp(x, z, self.depth)
        return kernels.ntk(x, z, self.depth)

    def work(self, point: Point) -> float:
        """n^3 / 3 for Cholesky, 2 (n + 1000) n d for the Gram matrices of training and of test."""
        n = float(point.n)
        return n**3 / 3.0 + 2.0 * (n + 1000.0) * n * point.d

    def memory_bytes(self, point: Point) -> float:
        """The examples of a trial, and three float64 Gram matrices, of training and of test."""
        n = float(point.n)
        return 8.0 * (2.0 * (n + 1000.0) * point.d + 3.0 * n * (n + 1000.0))

    def shape(self, point: Point) -> Hashable:
        """N to the next power of two: nothing is padded, but rows are drawn for the largest n."""
        return (point.n - 1).bit_length()

    def padded_n(self, points: Sequence[Point]) -> int:
        """The largest n; each trial reads its own rows only."""
        return max(point.n for point in points)
