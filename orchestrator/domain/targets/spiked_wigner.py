"""Spiked Wigner: noisy copies of a rank-one matrix."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels, Target


class SpikedWigner(Target):
    """Y = lambda v v^T + W / sqrt(d) with v uniform on the unit sphere; v is to be estimated.

    W is symmetric with independent entries, N(0, 1) off the diagonal and N(0, 2) on it. n counts
    matrices with the same v and independent W. Their mean is as informative as all of them, and is
    one such matrix of strength lambda sqrt(n); so for d large the squared overlap of v and its
    leading eigenvector is

        1 - 1 / (n lambda^2)

    above n = 1 / lambda^2 and 0 below. It is 1/2 at n = 2 / lambda^2, whatever d is:
    with d the noise of W / sqrt(d) spreads over more directions, but is no larger in any. k is not
    used.

    An example is the upper triangle of a matrix, diagonal included, row by row: d (d + 1) / 2
    numbers. There are no labels and nothing to predict: y is 0, and there are no test examples.

    Source: Benaych-Georges & Nadakuditi (2011), "The eigenvalues and eigenvectors of finite, low
    rank perturbations of large random matrices", Advances in Mathematics 227(1), section 3.1; their
    theta is our lambda sqrt(n). The default lambda, chosen by hand, puts one half at n = 32.
    """

    kind: Literal["spiked_wigner"] = "spiked_wigner"
    strength: float = Field(0.25, ge=0.0, description="lambda of a single matrix")

    labels: ClassVar[Labels] = "no"
    estimand: ClassVar[Estimand | None] = "direction"
    test_count: ClassVar[int] = 0

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """V of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d (d + 1) / 2), upper triangles, and y (B, count) of zeros."""
        rows, columns = torch.triu_indices(point.d, point.d, device=streams.device)
        spike = self.strength * concept[:, rows] * concept[:, columns]
        scale = torch.where(rows == columns, 2.0, 1.0).to(streams.dtype).div(point.d).sqrt()
        x = streams.normals(count, len(rows)).mul_(scale).add_(spike[:, None, :])
        return Examples(x=x, y=x.new_zeros(len(streams), count))
