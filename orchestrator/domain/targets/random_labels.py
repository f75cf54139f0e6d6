"""Random labels: Gaussian points with fair coins for labels (Cover's dichotomies)."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class RandomLabels(Target):
    """x ~ N(0, I_d), which is in general position almost surely; y = ±1, a fair coin of its own.

    There is nothing to generalise, so there are no test examples; what is asked is how many labels
    a learner can still fit. Of the 2^n dichotomies of n points in general position in R^d exactly
    C(n, d) = 2 sum_{i<d} binomial(n-1, i) are cut by a hyperplane through the origin, so a linear
    learner fits all of them with probability C(n, d) / 2^n, which is 1/2 at n = 2d.

    k is not used. The concept is empty, (B, 0).

    Source: Cover (1965), "Geometrical and statistical properties of systems of linear
    inequalities", IEEE Trans. Electronic Computers EC-14, theorems 1 and 4.
    """

    kind: Literal["random_labels"] = "random_labels"

    labels: ClassVar[Labels] = "sign"
    test_count: ClassVar[int] = 0

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """No concept: (B, 0)."""
        return torch.zeros(len(streams), 0, dtype=streams.dtype, device=streams.device)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count), independent of each other."""
        x = streams.normals(count, point.d)
        return Examples(x=x, y=streams.signs(count, 1)[:, :, 0])
