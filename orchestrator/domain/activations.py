"""Activations of hidden layers, also those that normalise or have a shape of their own to learn.

Each maps preactivations z (B, rows, width) to hidden values of that shape. A shape is a few numbers
per trial that are trained with the weights: v of every unit, or the coefficients of a polynomial.
Gradients are autograd's, unlike those of `orchestrator.domain.batched_net`, which is faster and
knows fewer.

| name | formula |
| --- | --- |
| relu, tanh, gelu, silu | as usual; gelu is z Phi(z), silu z sigmoid(z) |
| quadratic | z^2 |
| poly_relu | sum over i = 0 … order of a_i relu(z)^i |
| poly_norm | the same with z^i / its root mean square over the units, for relu(z)^i |
| evonorm_s0 | z sigmoid(v z) / standard deviation of z over 16 units |
| evonorm_b0 | z / max(standard deviation of z over the batch, v z + that within an example) |

What EvoNorm scales and shifts afterwards, gamma and beta, is left to the next layer's weights and
bias. A vector has no positions within an example, so that the last of those deviations is
sqrt(EPS).

Source: Zhuo, Wang, Zeng, Li, Zhou & Ma (2024), "Polynomial composition activations",
arXiv:2411.03884; Liu, Brock, Simonyan & Le (2020), "Evolving normalization-activation layers",
arXiv:2004.02967.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch

ActivationName = Literal[
    "relu", "tanh", "gelu", "silu", "quadratic",
    "poly_relu", "poly_norm", "evonorm_s0", "evonorm_b0",
]  # fmt: skip

EPS = 1e-5
"""Added to every mean square before its root: Liu et al. (2020)."""
GROUP = 16
"""Units that share a deviation in EvoNorm-S0; by hand. The paper has 32 groups of channels."""
COEFFICIENTS = 16
"""Places for the coefficients of a polynomial, so that its order is 15 at most."""


class HiddenMap(NamedTuple):
    """`apply(z, shape, variance)`: shape is (B, s), variance (B, width) that of z over the batch.

    `start` is the shape before training, (s,) with s a multiple of 16, or None. `per_unit` says
    that it is one number for every unit, `of_batch` that `apply` reads the variance.
    """

    apply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    start: torch.Tensor | None = None
    per_unit: bool = False
    of_batch: bool = False


POINTWISE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "quadratic": torch.square,
}


def activation(name: str, width: int, order: int) -> HiddenMap:
    """The activation of that name for layers of `width` units; `order` is the polynomials'."""
    if name in POINTWISE:
        return HiddenMap(lambda z, shape, variance: POINTWISE[name](z))
    if name in ("poly_relu", "poly_norm"):
        start = torch.zeros(COEFFICIENTS, dtype=torch.float64)
        start[1 : order + 1] = 1.0 / order  # 1/3 at the paper's order of 3
        terms = _relu_powers if name == "poly_relu" else _normed_powers
        return HiddenMap(lambda z, a, variance: _composed(terms(z, order), a), start)
    ones = torch.ones(width, dtype=torch.float64)
    if name == "evonorm_s0":
        return HiddenMap(_evonorm_s0, ones, per_unit=True)
    return HiddenMap(_evonorm_b0, ones, per_unit=True, of_batch=True)


def _composed(terms: list[torch.Tensor], a: torch.Tensor) -> torch.Tensor:
    """a_0 + sum_i a_i terms_i of each trial."""
    total = a[:, 0, None, None].expand_as(terms[0])
    for place, term in enumerate(terms, start=1):
        total = total + a[:, place, None, None] * term
    return total


def _relu_powers(z: torch.Tensor, order: int) -> list[torch.Tensor]:
    return _powers(torch.relu(z), order)


def _normed_powers(z: torch.Tensor, order: int) -> list[torch.Tensor]:
    return [u * (u.square().mean(2, keepdim=True) + EPS).rsqrt() for u in _powers(z, order)]


def _powers(u: torch.Tensor, order: int) -> list[torch.Tensor]:
    powers = [u]
    while len(powers) < order:
        powers.append(powers[-1] * u)
    return powers


def _evonorm_s0(z: torch.Tensor, v: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    grouped = (*z.shape[:2], -1, GROUP)
    variances = z.reshape(grouped).var(3, correction=0, keepdim=True)
    gated = z * torch.sigmoid(v[:, None] * z)
    return (gated.reshape(grouped) / (variances + EPS).sqrt()).reshape(z.shape)


def _evonorm_b0(z: torch.Tensor, v: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    return z / torch.maximum((variance + EPS).sqrt()[:, None], v[:, None] * z + EPS**0.5)
