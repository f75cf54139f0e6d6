"""Kernel ridge regression: the squared loss in a space of fixed features."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain import kernels
from orchestrator.domain.gram_solve import gram_solution
from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples


class KernelRidge(LoopedLearner):
    """f(x) = sum_i alpha_i K(x, x_i) with (K + ridge I) alpha = y; n counts training examples.

    Kernels are those of `orchestrator.domain.kernels`; `bandwidth` is read by rbf and laplace,
    `degree` and `offset` by polynomial, `depth` by ntk. The ridge is added to the Gram matrix as it
    is (not times n). With ridge 0 alpha is the solution of least norm, by eigendecomposition, and
    so it is where Cholesky breaks because the ridge is lost in rounding.

    Trials are solved one by one by LAPACK on unpadded tensors and not as one batched Cholesky:
    measured at n in the hundreds it is as fast, needs no padding of n to a pack-mate's, and keeps
    every trial's bits the same in any company, which padding does not.

    Defaults: exp_dot with ridge 1e-6 is the setting of which the threshold on parities is known
    from the eigenvalues alone (Simon et al. 2023, arXiv:2110.03922); depth 1 is the two-layer
    network's kernel; bandwidth 1, degree 3 and offset 1 were chosen by hand.

    Source: Saunders, Gammerman & Vovk (1998), "Ridge regression learning algorithm in dual
    variables".
    """

    kind: Literal["kernel_ridge"] = "kernel_ridge"
    kernel: Literal["exp_dot", "rbf", "laplace", "polynomial", "ntk"] = "exp_dot"
    ridge: float = Field(1e-6, ge=0.0, description="added to the diagonal of the Gram matrix")
    bandwidth: float = Field(1.0, gt=0.0, description="in units of sqrt(d)")
    degree: int = Field(3, ge=1, le=64, description="of the polynomial kernel")
    offset: float = Field(1.0, ge=0.0, description="of the polynomial kernel")
    depth: int = Field(1, ge=1, le=64, description="hidden layers of the ntk kernel")

    reports: ClassVar[tuple[str, ...]] = ("train_error",)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Solve one trial. `train_error` is the mean squared error on its n examples."""
        gram = self.gram(examples.x, examples.x)
        alpha = gram_solution(gram, examples.y, self.ridge)
        finite = bool(alpha.isfinite().all())
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={"train_error": (gram @ alpha - examples.y).square().mean()},
            predict=lambda x: self.gram(x, examples.x) @ alpha,
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
