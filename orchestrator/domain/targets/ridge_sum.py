"""Sums of ridge functions along k directions."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.hermite import hermite
from orchestrator.domain.point import Point
from orchestrator.domain.spherical import on_sphere
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Target


class RidgeSum(Target):
    """y = k^(-1/2) sum_{m <= k} h_p(<v_m, x>) + noise with x ~ N(0, I_d).

    **k counts the directions**, M in the source. h_p = He_p / sqrt(p!) with p = `degree`, the
    information exponent of every term, so that without noise y has variance 1 (for orthonormal
    directions; in general (1/k) sum_{m,l} <v_m, v_l>^p). The v_m are orthonormal and
    uniform (`orthonormal`, by Gram-Schmidt on normals) or independent and uniform on the unit
    sphere (`uniform`), whose overlaps are of order d^(-1/2). The noise is N(0, noise^2).

    For p = 2 orthonormal directions are not identified, only their span is; from p = 3 on they are.
    One term costs online gradient descent d^(p-1) examples, all of them k times that.

    Source: Oko, Song, Suzuki & Wu (2024), "Learning sum of diverse features: computational hardness
    and efficient gradient-based training for ridge combinations", arXiv:2406.11828.
    """

    kind: Literal["ridge_sum"] = "ridge_sum"
    degree: int = Field(3, ge=1, le=10, description="p")
    directions: Literal["orthonormal", "uniform"] = "orthonormal"
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    estimand: ClassVar[Estimand | None] = "directions"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """V of each trial: (B, k, d), rows of length 1."""
        v = on_sphere(streams.normals(point.k, point.d))
        return _orthonormal(v) if self.directions == "orthonormal" else v

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = torch.zeros_like(x[:, :, 0])
        for v in concept.unbind(1):
            y = y + hermite(self.degree, (x * v[:, None, :]).sum(2))
        y = y / math.sqrt(point.k)
        if self.noise > 0.0:
            y = y + self.noise * streams.normals(count)
        return Examples(x=x, y=y)


def _orthonormal(v: torch.Tensor) -> torch.Tensor:
    """Rows (B, k, d) after Gram-Schmidt, each against those before it, twice for rounding."""
    rows: list[torch.Tensor] = []
    for row in v.unbind(1):
        for earlier in rows * 2:
            row = row - earlier * (row * earlier).sum(1, keepdim=True)
        rows.append(on_sphere(row))
    return torch.stack(rows, 1)
