"""Targets whose training inputs are distributed unlike those they are judged on."""

import math
from typing import Protocol, runtime_checkable

import torch

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Target


@runtime_checkable
class Shifted(Protocol):
    """A target that knows how much likelier an input is where hypotheses are judged."""

    def log_ratio(self, x: torch.Tensor, point: Point) -> torch.Tensor:
        """Logarithm of the density of test inputs over that of training inputs: (…, d) -> (…)."""
        ...


def importance_weights(
    target: Target, x: torch.Tensor, point: Point, exponent: float
) -> torch.Tensor:
    """(q / p)(x_i)^exponent over its mean, (n,) for x (n, d); all 1 where nothing is shifted."""
    if exponent == 0.0 or not isinstance(target, Shifted):
        return torch.ones_like(x[:, 0])
    logs = exponent * target.log_ratio(x, point)
    raised = (logs - logs.max()).exp()  # the largest is 1: no overflow, and no mean of 0
    return raised / raised.mean()


def spread_inputs(count: int, point: Point, spread: float, streams: Streams) -> torch.Tensor:
    """N(0, I_d) in the draw named `test`; elsewhere with `spread` times the first k coordinates.

    (B, count, d).
    """
    x = streams.normals(count, point.d)
    if streams.scope.rpartition("/")[2] != "test":
        x[:, :, : point.k] *= spread
    return x


def spread_log_ratio(x: torch.Tensor, point: Point, spread: float) -> torch.Tensor:
    """`log_ratio` of those: k log(spread) - (1 - 1 / spread^2) sum_{j <= k} x_j^2 / 2."""
    narrowing = 0.5 * (1.0 - spread**-2)
    return point.k * math.log(spread) - narrowing * x[..., : point.k].square().sum(-1)
