"""Spherical harmonics: a polynomial of degree k, without lower ones, of a hidden direction."""

import math
from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.harmonics import legendre, multiplicity
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class SphericalHarmonic(Target):
    """y = sqrt(N) P_k(<x, w> / sqrt(d)) + noise, x uniform on the sphere of radius sqrt(d).

    w is uniform on the unit sphere, P_k the Legendre polynomial of dimension d (Gegenbauer, of
    index (d - 2) / 2, with value 1 at 1) and N, about d^k / k!, the number of harmonics of degree
    k, so that y has variance 1 before noise N(0, noise^2). k counts the degree, from 1; d from 2.

    All harmonics of one degree are alike to a kernel of the angle between inputs, so this zonal one
    stands for any of them: about N examples are needed once lower degrees are learned. To a network
    it is a single-index function of information exponent k.

    The default, no noise, leaves the degree alone to be asked about.

    Source: Ghorbani, Mei, Misiakiewicz & Montanari (2021), "Linearized two-layers neural networks
    in high dimension", Annals of Statistics 49(2), arXiv:1904.12191, for the staircase of degrees.
    """

    kind: Literal["spherical_harmonic"] = "spherical_harmonic"
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    def faults(self, d: int, k: int) -> list[str]:
        """As usual, and a sphere in one dimension has no harmonics but two."""
        if d < 2:
            return [f"d = {d} leaves no sphere to be uniform on; raise d to 2 at least"]
        return super().faults(d, k)

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) of length sqrt(d) each, and y (B, count)."""
        x = streams.normals(count, point.d)
        x = x * (math.sqrt(point.d) / x.square().sum(2, keepdim=True).sqrt())
        cosine = (x * concept[:, None, :]).sum(2) / math.sqrt(point.d)
        y = math.sqrt(multiplicity(point.d, point.k)) * legendre(point.d, point.k, cosine)
        return Examples(x=x, y=y + self.noise * streams.normals(count))
