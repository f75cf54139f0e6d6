"""Spiked covariance: Gaussian vectors whose variance is larger in one hidden direction."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels, Target


class SpikedCovariance(Target):
    """x ~ N(0, I_d + l v v^T) with v uniform on the unit sphere; v is to be estimated.

    `spike` is l, the variance that v has beyond that of any other direction. With gamma = d / n
    fixed and d large, the squared overlap of v and the leading eigenvector of the sample
    covariance is, above l = sqrt(gamma),

        (1 - gamma / l^2) / (1 + gamma / l),

    and 0 below. It is 1/2 at n = d (2 + l) / l^2. k is not used.

    There are no labels and nothing to predict: y is 0, and there are no test examples.

    Source: Baik, Ben Arous & Péché (2005), Annals of Probability 33(5), for the transition; Paul
    (2007), "Asymptotics of sample eigenstructure for a large dimensional spiked covariance model",
    Statistica Sinica 17, theorem 4, for the overlap. Their spiked eigenvalue is our 1 + l.
    """

    kind: Literal["spiked_covariance"] = "spiked_covariance"
    spike: float = Field(1.0, ge=0.0, description="variance along v beyond 1")

    labels: ClassVar[Labels] = "no"
    estimand: ClassVar[Estimand | None] = "direction"
    test_count: ClassVar[int] = 0

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """V of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count) of zeros: standard normals plus sqrt(l) times v each."""
        along = streams.normals(count) * self.spike**0.5
        x = streams.normals(count, point.d) + along[:, :, None] * concept[:, None, :]
        return Examples(x=x, y=torch.zeros_like(along))
