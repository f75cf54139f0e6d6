"""Cyclic polynomials: a product of k signs, summed over all cyclic shifts of the coordinates."""

from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class CyclicPolynomial(Target):
    """y = sum over shifts s in 0 … d-1 of prod_{i in S} x_{i+s mod d}, scaled, plus noise.

    x is uniform on {-1, +1}^d and S, the concept, a uniform subset of k coordinates, which k
    counts. The value does not change when the coordinates of x are shifted cyclically. The scale is
    1 / sqrt(d r), with r the number of shifts that map S onto itself, 1 unless S is periodic: with
    it y has variance 1 before noise N(0, noise^2).

    About C(d, k) / d functions of degree k are invariant, in place of C(d, k) in all: a learner
    that knows the group needs fewer examples by nearly its order, d.

    The default, no noise, leaves the group alone to be asked about.

    Source: Mei, Misiakiewicz & Montanari (2021), "Learning with invariances in random features and
    kernel models", COLT, arXiv:2102.13219.
    """

    kind: Literal["cyclic_polynomial"] = "cyclic_polynomial"
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """Choose S for each trial: int64 (B, k), distinct coordinates in [0, d)."""
        return streams.subsets(point.d, point.k)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """Signs x (B, count, d) and y (B, count)."""
        x = streams.signs(count, point.d)
        total = torch.zeros_like(x[:, :, 0])
        for shift in range(point.d):
            shifted = (concept + shift) % point.d
            total += x.gather(2, shifted[:, None].expand(-1, count, -1)).prod(2)
        scale = (point.d * fixing_shifts(concept, point.d)).to(total.dtype).rsqrt()
        return Examples(x=x, y=total * scale[:, None] + self.noise * streams.normals(count))


def fixing_shifts(subsets: torch.Tensor, d: int) -> torch.Tensor:
    """How many of the d cyclic shifts map each subset (B, k) onto itself: int64 (B,)."""
    held = torch.zeros(len(subsets), d, dtype=torch.bool, device=subsets.device)
    held.scatter_(1, subsets, value=True)
    return torch.stack([(held.roll(shift, 1) == held).all(1) for shift in range(d)]).sum(0)
