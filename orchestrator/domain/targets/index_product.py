"""Products of k hidden coordinates of Gaussian inputs."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import membership
from orchestrator.domain.target import Estimand, Examples, Target


class IndexProduct(Target):
    """y = product of x_i over i in S, plus noise, with |S| = k and x ~ N(0, I_d).

    **k counts the factors.** A multi-index polynomial of degree k whose mean given any k - 1
    coordinates is 0, though its size depends on each (E[y^2 x_i^2] = 3 for i in S, without noise);
    without noise y has variance 1. It is the Gaussian sibling of sparse parity, and for k = 2 the
    function of which mean-field networks are asked in the source.

    `noise` is the standard deviation of what is added to y, `normal` or `uniform`: uniform on
    [-sigma, sigma] is noise: sigma / sqrt(3). Learners of a set of coordinates are judged by
    `exact_recovery`, learners that predict on fresh examples, noise included.

    Source: Takakura & Suzuki (2024), "Mean-field analysis on two-layer neural networks from a
    kernel perspective", arXiv:2403.14917, whose f is x_1 x_2 at d = 15.
    """

    kind: Literal["index_product"] = "index_product"
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")
    noise_law: Literal["normal", "uniform"] = "normal"

    estimand: ClassVar[Estimand | None] = "set"
    default_k: ClassVar[int] = 2

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """S of each trial: int64 (B, k), distinct coordinates in [0, d)."""
        return streams.subsets(point.d, point.k)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = x.gather(2, concept[:, None].expand(-1, count, -1)).prod(2)
        if self.noise > 0.0:
            y = y + self.noise * self._unit_noise(count, streams)
        return Examples(x=x, y=y)

    def truth(self, concept: torch.Tensor, point: Point) -> torch.Tensor:
        """S as a set: (B, d)."""
        return membership(concept, point.d)

    def _unit_noise(self, count: int, streams: Streams) -> torch.Tensor:
        """Noise of variance 1: (B, count)."""
        if self.noise_law == "normal":
            return streams.normals(count)
        return (streams.uniforms(count) * 2.0 - 1.0) * math.sqrt(3.0)
