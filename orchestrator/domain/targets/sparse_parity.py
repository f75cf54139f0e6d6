"""Sparse parity: the label multiplies k hidden coordinates of a sign vector."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import membership
from orchestrator.domain.target import Estimand, Examples, Labels, Target


class SparseParity(Target):
    """y = product of x_i over i in S, with |S| = k and x uniform on {-1, +1}^d.

    k counts the hidden coordinates. About log2 C(d, k) clean examples pin S down; about d let
    Gaussian elimination find it fast. Learners that need many more than d are the interesting ones.

    `flip_rate` negates labels independently, those of the test examples too, so test_accuracy
    cannot exceed 1 - flip_rate by more than chance and a criterion must lie below it. Streams of
    fresh examples are the same distribution, without end.

    Source: Barak et al. (2022), arXiv:2207.08799; their n is our d.
    """

    kind: Literal["sparse_parity"] = "sparse_parity"
    flip_rate: float = Field(0.0, ge=0.0, lt=0.5, description="chance a label is negated")

    labels: ClassVar[Labels] = "sign"
    estimand: ClassVar[Estimand | None] = "set"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """Choose S for each trial: int64 (B, k), distinct coordinates in [0, d)."""
        return streams.subsets(point.d, point.k)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """Signs x (B, count, d) and y (B, count), the product over S, some negated."""
        x = streams.signs(count, point.d)
        y = x.gather(2, concept[:, None].expand(-1, count, -1)).prod(2)
        if self.flip_rate > 0.0:
            y *= streams.flips(self.flip_rate, count)
        return Examples(x=x, y=y)

    def truth(self, concept: torch.Tensor, point: Point) -> torch.Tensor:
        """S as a set: (B, d)."""
        return membership(concept, point.d)
