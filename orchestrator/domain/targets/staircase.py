"""Staircases: sums of products of hidden signs, each a factor of the next."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import membership
from orchestrator.domain.target import Estimand, Examples, Target


class Staircase(Target):
    """y = (sum of m nested products of the hidden coordinates) / sqrt(m) + noise, x fair signs.

    k counts the hidden coordinates z_1 … z_k, distinct and in random order. The products are those
    of the first `leap`, the first 2 `leap`, … and last of all k: with leap 1
    z_1 + z_1 z_2 + … + z_1 … z_k, with leap 2 and k = 5 z_1 z_2 + z_1 … z_4 + z_1 … z_5, and with
    leap k the parity. Each step adds `leap` coordinates to those that are known, the last one
    perhaps fewer, so that min(leap, k) is the leap complexity. y has variance 1 before noise
    N(0, noise^2).

    Gradient descent on networks is thought to need d^max(leap, 2) steps up to logarithms, whatever
    k; kernels need as many examples as for the highest product, of degree k. Leap 1, the default,
    is a merged staircase.

    Source: Abbe, Boix-Adsera & Misiakiewicz (2022), "The merged-staircase property",
    arXiv:2202.08658; (2023), "SGD learning on neural networks: leap complexity and saddle-to-saddle
    dynamics", arXiv:2302.11055, for the leap; noise and scale are ours.
    """

    kind: Literal["staircase"] = "staircase"
    leap: int = Field(1, ge=1, description="coordinates that each product adds to the one before")
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    estimand: ClassVar[Estimand | None] = "set"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """The hidden coordinates in order, z_1 first: int64 (B, k), distinct, in [0, d)."""
        return streams.permutations(point.d)[:, : point.k]

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """Signs x (B, count, d) and y (B, count)."""
        x = streams.signs(count, point.d)
        products = x.gather(2, concept[:, None].expand(-1, count, -1)).cumprod(2)
        steps = self.degrees(point.k)
        y = sum(products[:, :, degree - 1] for degree in steps) / math.sqrt(len(steps))
        return Examples(x=x, y=y + self.noise * streams.normals(count))

    def truth(self, concept: torch.Tensor, point: Point) -> torch.Tensor:
        """The hidden coordinates as a set: (B, d)."""
        return membership(concept, point.d)

    def degrees(self, k: int) -> list[int]:
        """How many coordinates each product has, ascending."""
        return [*range(self.leap, k, self.leap), k]
