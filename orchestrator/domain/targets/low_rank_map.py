"""Low-rank linear maps: every label is a vector, the image of the input under a hidden matrix."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.low_rank import with_spectrum
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class LowRankMap(Target):
    """y = M x + noise with M a d x d matrix of rank k: a linear layer whose weight is M.

    M = U S V^T with U and V orthonormal, d x k, uniform and independent; singular value i is
    i^-decay, i = 1 to k. The input is x = D z with z of covariance I: normal, or uniform on the
    sphere of radius sqrt(d). D is diagonal, from 1 down to 1 / `spread` in equal factors: some
    inputs matter less than others. The noise in each coordinate of y is N(0, noise^2).

    Labels are vectors, y (B, count, d); M is given row by row, (B, d * d).

    With D = I the map that is best among those of rank r is the truncated singular value
    decomposition of M; otherwise that of M D, times D^-1. Least squares sees M plus noise whose
    largest singular value is about 2 noise sqrt(d / n).

    Source: Horváth, Laskaridis, Rajput & Wang (2024), "Maestro: uncovering low-rank structures via
    trainable decomposition", ICML, arXiv:2308.14929, for uniform data and a linear map. Noise,
    decay and spread are ours.
    """

    kind: Literal["low_rank_map"] = "low_rank_map"
    inputs: Literal["gaussian", "sphere"] = "gaussian"
    decay: float = Field(0.0, ge=0.0, description="singular value i is i^-decay")
    spread: float = Field(1.0, ge=1.0, description="largest deviation of an input over the least")
    noise: float = Field(0.1, ge=0.0, description="standard deviation in each coordinate of y")

    labels: ClassVar[Labels] = "vector"
    linear: ClassVar[bool] = True

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """M of each trial, row by row: (B, d * d)."""
        order = torch.arange(1, point.k + 1, dtype=streams.dtype, device=streams.device)
        left = orthonormal_columns(point.d, point.k, streams, "column")
        right = orthonormal_columns(point.d, point.k, streams, "column")
        return with_spectrum(left, order.pow(-self.decay), right).flatten(1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count, d)."""
        x = streams.normals(count, point.d)
        if self.inputs == "sphere":
            x = x * (point.d / x.square().sum(2, keepdim=True)).sqrt()
        x = x * self.deviations(point.d).to(x)
        # Sums, not a product: the first rows must not depend on how many there are.
        rows = concept.view(-1, point.d, point.d)
        y = torch.stack([(x * row[:, None, :]).sum(2) for row in rows.unbind(1)], dim=2)
        return Examples(x=x, y=y + self.noise * streams.normals(count, point.d))

    def deviations(self, d: int) -> torch.Tensor:
        """D's diagonal: float64 (d,)."""
        return self.spread ** -torch.linspace(0.0, 1.0, d, dtype=torch.float64)
