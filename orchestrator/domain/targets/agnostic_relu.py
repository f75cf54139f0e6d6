"""A rectified linear unit of which some labels are replaced by a sparse parity of signs."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class AgnosticRelu(Target):
    """y = max(0, <w, x>) with |w| = 1 and x ~ N(0, I_d); a share of labels is a parity instead.

    A replaced label is 1 where the product of the signs of k hidden coordinates is positive, else
    0; k counts them. At `fraction` 0 some unit fits exactly (the realisable case). Above it the
    best unit is no longer exact, and to come arbitrarily close to it is as hard as learning
    k-sparse parities with noise. For k >= 2 the parity has no correlation with any coordinate, so
    that E[y x] = (1 - fraction) w / 2 and, at every fraction, E[y^2] = 1 / 2.

    Hypotheses are judged on test labels that are replaced as often.

    Source: Goel, Karmalkar & Klivans (2019), "Time/accuracy tradeoffs for learning a ReLU with
    respect to Gaussian marginals", arXiv:1911.01462, for the question and the embedded parity; its
    share among the labels is our own choice of instance.
    """

    kind: Literal["agnostic_relu"] = "agnostic_relu"
    fraction: float = Field(0.0, ge=0.0, lt=1.0, description="share of labels that are parities")

    default_k: ClassVar[int] = 2

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial, of length 1, above the 0/1 mask of the hidden coordinates: (B, 2, d)."""
        w = uniform_direction(point.d, streams)
        support = streams.subsets(point.d, point.k)
        mask = torch.zeros_like(w).scatter(1, support, 1.0)
        return torch.stack([w, mask], 1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        w, mask = concept[:, 0], concept[:, 1]
        x = streams.normals(count, point.d)
        y = (x * w[:, None, :]).sum(2).clamp(min=0.0)
        if self.fraction > 0.0:
            negative = ((x < 0) & (mask[:, None, :] > 0)).sum(2)
            parity = (1 - negative % 2).to(y.dtype)
            y = torch.where(streams.flips(self.fraction, count) < 0, parity, y)
        return Examples(x=x, y=y)
