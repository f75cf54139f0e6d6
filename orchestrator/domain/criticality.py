"""Variances of weights and biases at which signals neither grow nor die through many layers.

A wide layer with weights N(0, C_W / fan-in) and biases N(0, C_b) maps the variance K of its
preactivations to C_b + C_W <phi(z)^2>, z ~ N(0, K). It is critical where that map has a fixed point
K* at which both susceptibilities are 1:

    parallel        C_W <z phi(z) phi'(z)> / K*
    perpendicular   C_W <phi'(z)^2>

Source: Roberts, Yaida & Hanin (2022), "The principles of deep learning theory", arXiv:2106.10165,
the chapter on criticality.
"""

from typing import NamedTuple


class Critical(NamedTuple):
    """C_W and C_b, and the fixed point K*; None where every K is one."""

    weight: float
    bias: float
    fixed_point: float | None


UNIT = Critical(1.0, 0.0, None)
"""Weights N(0, 1 / fan-in) and no biases, whatever the activation."""

CRITICAL: dict[str, Critical] = {
    "relu": Critical(2.0, 0.0, None),
    "tanh": Critical(1.0, 0.0, 0.0),
    "silu": Critical(1.98800468, 0.55514317, 14.32017362),
    "gelu": Critical(1.98305826, 0.17292239, 3.56155281),
}
"""By activation, solved numerically for gelu and silu to the digits given. Others have no critical
point, or one that depends on the batch."""
