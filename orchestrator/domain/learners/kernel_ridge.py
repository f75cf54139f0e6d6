"""Kernel ridge regression: the squared loss in a space of fixed features."""

from typing import Literal

from orchestrator.domain.kernel_learner import KernelLearner


class KernelRidge(KernelLearner):
    """f(x) = sum_i alpha_i K(x, x_i) with (K + ridge I) alpha = y; n counts training examples.

    Kernels are those of `orchestrator.domain.kernels`; `bandwidth` is read by rbf and laplace,
    `degree` and `offset` by polynomial, `depth` by ntk and nngp. The ridge is added to the Gram
    matrix as it is (not times n). With ridge 0 alpha is the solution of least norm, by
    eigendecomposition, and so it is where Cholesky breaks because the ridge is lost in rounding.

    Defaults: exp_dot with ridge 1e-6 is the setting of which the threshold on parities is known
    from the eigenvalues alone (Simon et al. 2023, arXiv:2110.03922); depth 1 is the two-layer
    network's kernel; bandwidth 1, degree 3 and offset 1 were chosen by hand.

    Source: Saunders, Gammerman & Vovk (1998), "Ridge regression learning algorithm in dual
    variables".
    """

    kind: Literal["kernel_ridge"] = "kernel_ridge"
