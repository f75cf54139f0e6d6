"""Kernel ridge regression with a kernel that does not see cyclic shifts of the coordinates."""

from typing import Literal

import torch

from orchestrator.domain.kernel_learner import KernelLearner
from orchestrator.domain.point import Point


class InvariantKernelRidge(KernelLearner):
    """Kernel ridge regression with mean_s K(x, T^s z), T^s shifting the d coordinates by s.

    The mean is over the cyclic group, of order d, on one side: every kernel here is unchanged when
    both of its inputs are shifted alike, so the mean over both sides is the same. Hypotheses are
    invariant, f(T x) = f(x). The eigenvalues are those of K, restricted to invariant functions, of
    which there are about one in d: a target that is invariant is learned from about n / d examples.
    Averaging a plain kernel's answers over the group would not do that, the Gram matrix has to be
    averaged.

    Kernels and their settings, defaults too, are those of kernel_ridge. It costs d Gram matrices.

    Source: Mei, Misiakiewicz & Montanari (2021), "Learning with invariances in random features and
    kernel models", COLT, arXiv:2102.13219; Haasdonk & Burkhardt (2007), "Invariant kernel functions
    for pattern analysis and machine learning", Machine Learning 68.
    """

    kind: Literal["invariant_kernel_ridge"] = "invariant_kernel_ridge"

    def gram(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The mean over all shifts of z: (m, n) for x (m, d) and z (n, d)."""
        total = super().gram(x, z)
        for shift in range(1, z.shape[1]):
            total += super().gram(x, z.roll(shift, 1))
        return total.div_(z.shape[1])

    def work(self, point: Point) -> float:
        """n^3 / 3 for Cholesky, d times 2 (n + 1000) n d for Gram matrices."""
        n = float(point.n)
        return n**3 / 3.0 + 2.0 * (n + 1000.0) * n * point.d**2
