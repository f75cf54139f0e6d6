"""Kernels between inputs of dimension d, scaled so that typical inputs have squared norm d.

Each maps x (m, d) and z (n, d) to its Gram matrix (m, n) in their dtype. On sign vectors and on the
sphere of radius sqrt(d) all are functions of x.z/d alone.
"""

import math
from collections.abc import Callable

import torch

Kernel = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def exp_dot(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """exp(x.z / d)."""
    return _dot(x, z).exp_()


def rbf(x: torch.Tensor, z: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """exp(-|x - z|^2 / (2 d bandwidth^2)); at bandwidth 1 and |x|^2 = d it is exp_dot / e."""
    return _squared_distance(x, z).mul_(-0.5 / bandwidth**2).exp_()


def laplace(x: torch.Tensor, z: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """exp(-|x - z| / (sqrt(d) bandwidth))."""
    return _squared_distance(x, z).sqrt_().mul_(-1.0 / bandwidth).exp_()


def polynomial(x: torch.Tensor, z: torch.Tensor, degree: int, offset: float) -> torch.Tensor:
    """(x.z / d + offset)^degree."""
    return _dot(x, z).add_(offset).pow_(degree)


def ntk(x: torch.Tensor, z: torch.Tensor, depth: int) -> torch.Tensor:
    """Neural tangent kernel of a ReLU network of `depth` infinitely wide hidden layers, no biases.

    With u = cosine of the angle between x and z after a layer, and weights of variance 2 / fan-in,
    so that norms are kept:
        next u   = (sqrt(1 - u^2) + u (pi - arccos u)) / pi           (arc-cosine kernel of order 1)
        next ntk = ntk (pi - arccos u) / pi + |x| |z| / d * next u     (order 0 in the first factor)
    starting from ntk = x.z / d. At depth 0 it is the linear kernel.

    Source: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572, Theorem 1; Cho & Saul (2009),
    "Kernel methods for deep learning", for the two expectations.
    """
    size, tangent, cosine = _angles(x, z)
    for _ in range(depth):
        opening = torch.arccos(cosine).neg_().add_(math.pi)
        cosine = _next_cosine(cosine, opening)
        tangent = tangent.mul_(opening).div_(math.pi).addcmul_(size, cosine)
    return tangent


def nngp(x: torch.Tensor, z: torch.Tensor, depth: int) -> torch.Tensor:
    """Covariance of the outputs of that network at its random start: |x| |z| / d times u after
    `depth` layers, u as in `ntk`.

    Weights of variance 2 / fan-in, 1 / fan-in in the last layer, keep it |x|^2 / d on the diagonal.
    Training the last layer alone is kernel regression with it. At depth 0 it is the linear kernel.

    Source: Cho & Saul (2009), "Kernel methods for deep learning", section 2; Lee, Bahri, Novak,
    Schoenholz, Pennington & Sohl-Dickstein (2018), "Deep neural networks as Gaussian processes",
    arXiv:1711.00165.
    """
    size, _, cosine = _angles(x, z)
    for _ in range(depth):
        cosine = _next_cosine(cosine, torch.arccos(cosine).neg_().add_(math.pi))
    return cosine.mul_(size)


def _angles(x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """|x| |z| / d, x.z / d, and the cosine of the angle between them: (m, n) each."""
    size = (x.square().sum(1)[:, None] * z.square().sum(1)).sqrt_().div_(x.shape[1])
    dot = _dot(x, z)
    # An input of norm 0 has no angle; every term that uses it is multiplied by its norm.
    return size, dot, (dot / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp_(-1.0, 1.0)


def _next_cosine(cosine: torch.Tensor, opening: torch.Tensor) -> torch.Tensor:
    """The arc-cosine kernel of order 1 between unit vectors; `opening` is pi - arccos(cosine)."""
    bend = (1.0 - cosine.square()).sqrt_()
    return bend.add_(cosine * opening).div_(math.pi).clamp_(-1.0, 1.0)


def _dot(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return (x @ z.T).div_(x.shape[1])


def _squared_distance(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """|x - z|^2 / d, never negative."""
    squares = (x.square().sum(1)[:, None] + z.square().sum(1)).div_(x.shape[1])
    return squares.sub_(_dot(x, z), alpha=2.0).clamp_min_(0.0)
