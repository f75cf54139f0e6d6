"""Spiked linear functions: noisy linear labels on inputs with one direction of large variance."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class SpikedLinear(Target):
    """y = <w, x> + noise with |w| = 1 and x ~ N(0, I_d + spike v v'), v = (1, …, 1) / sqrt(d).

    The squared loss of a linear function has Hessian I + spike v v': a bulk at 1 and one outlier at
    1 + spike, spread over all coordinates, so that scaling coordinates cannot remove it. A batch of
    B examples has the sample covariance for its Hessian, the same plus noise of relative size
    d / B. w is uniform on the unit sphere and the noise is N(0, noise^2); without a spike
    this is the target `linear`.

    k is not used here; a learner may take it for a setting of its own.

    Defaults, an outlier at 5 and noise as large as the signal, were chosen by hand.

    Source: Granziol, Zohren & Roberts (2022), "Learning rates as a function of batch size: a random
    matrix theory approach to neural network training", JMLR 23, section 3 for the Hessian.
    """

    kind: Literal["spiked_linear"] = "spiked_linear"
    spike: float = Field(4.0, ge=0.0, description="variance along v above that of the bulk, 1")
    noise: float = Field(1.0, ge=0.0, description="standard deviation of the noise in y")

    linear: ClassVar[bool] = True

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        if self.spike > 0.0:
            # sqrt(1 + spike) - 1 along v; the mean of a row is <v, x> / sqrt(d).
            x += (math.sqrt(1.0 + self.spike) - 1.0) * x.mean(2, keepdim=True)
        y = (x * concept[:, None, :]).sum(2)
        return Examples(x=x, y=y + self.noise * streams.normals(count))
