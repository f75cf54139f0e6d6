"""Group testing: pooled tests that are positive when they hold a defective item."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels, Target


class GroupTesting(Target):
    """y = OR of x_i over the k defective items i, of d; every item is in a test with chance p.

    d counts items, n tests, k defectives, which are a uniform k-subset. Items join tests
    independently with p = density / k, so `density` is how many defectives a test holds on average;
    at ln 2, the default, about half of the tests are positive, at 1 the decoders COMP and DD need
    fewest. For k = d^theta, theta < 1, and nu the density, they need

        COMP: k ln d e^nu / nu,        DD: k max(ln(d / k), ln k) e^nu / nu,

    tests as d grows, e k ln d and e k max(ln(d / k), ln k) at nu = 1; no decoder does with fewer
    than log2 C(d, k).

    Source: Aldridge, Johnson & Scarlett (2019), "Group testing: an information theory
    perspective", Foundations and Trends in Communications and Information Theory 15, sections 2.3
    and 2.4. Their n items and T tests are our d and n.
    """

    kind: Literal["group_testing"] = "group_testing"
    density: float = Field(
        math.log(2.0), gt=0.0, le=1.0, description="defectives in a test on average; p = density/k"
    )

    labels: ClassVar[Labels] = "bit"
    estimand: ClassVar[Estimand | None] = "set"
    test_count: ClassVar[int] = 128

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """Which items are defective: uint8 (B, d) with k ones."""
        defective = streams.subsets(point.d, point.k)
        items = torch.zeros(len(streams), point.d, dtype=torch.uint8, device=streams.device)
        return items.scatter_(1, defective, 1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X uint8 (B, count, d), who is in which test, and y uint8 (B, count), 1 for positive."""
        x = (streams.uniforms(count, point.d) < self.density / point.k).to(torch.uint8)
        return Examples(x=x, y=(x & concept[:, None, :]).amax(2))
