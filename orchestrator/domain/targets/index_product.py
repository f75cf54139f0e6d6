"""Product of hidden Gaussian coordinates: the simplest target that no single index explains."""

from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class IndexProduct(Target):
    """y = product of x_i over i in S plus noise, with |S| = k and x ~ N(0, I_d).

    k counts the factors. The product is He_1 in each of them, so that it has variance 1 and no
    part of lower degree: a fixed kernel of x.z spreads its examples over all C(d, k) such products,
    a network may find the k coordinates. With `noise` sigma the noise is uniform on [-sigma, sigma]
    or N(0, sigma^2); test examples have it too.

    Source: Takakura & Suzuki (2024), "Mean-field analysis on two-layer neural networks from a
    kernel perspective", arXiv:2403.14917: k = 2, d = 15 and uniform noise; there S is {1, 2}, which
    is the same to every learner that treats coordinates alike.
    """

    kind: Literal["index_product"] = "index_product"
    noise: float = Field(0.0, ge=0.0, description="sigma")
    noise_law: Literal["uniform", "gaussian"] = "uniform"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """Choose S for each trial: int64 (B, k), distinct coordinates in [0, d)."""
        return streams.subsets(point.d, point.k)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """Normals x (B, count, d) and y (B, count), the product over S and noise."""
        x = streams.normals(count, point.d)
        y = x.gather(2, concept[:, None].expand(-1, count, -1)).prod(2)
        if self.noise == 0.0:
            return Examples(x=x, y=y)
        if self.noise_law == "gaussian":
            return Examples(x=x, y=y + self.noise * streams.normals(count))
        return Examples(x=x, y=y + self.noise * (2.0 * streams.uniforms(count) - 1.0))
