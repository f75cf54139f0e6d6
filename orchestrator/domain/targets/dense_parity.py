"""Dense parity: a hidden linear function over the field of two elements."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class DenseParity(Target):
    """y = <w, x> mod 2 with w and x uniform on {0, 1}^d.

    n examples pin w down exactly when the n x d matrix of inputs has rank d over GF(2), which has
    probability prod_{i<d} (1 - 2^(i-n)): for d >= 16 that is 0.289 at n = d, 0.578 at d + 1, 0.770
    at d + 2. So half is crossed between d and d + 1, at about d + 0.73.

    k is not used: the secret has about d / 2 ones whatever k is.

    A wrong w disagrees with the right one on half of all inputs, so 128 test examples mistake one
    for the other with chance 2^-128; more would only cost time.

    Source: Fulman & Goldstein (2015), "Stein's method and the rank distribution of random matrices
    over finite fields", Annals of Probability 43(3), for the law of the rank.
    """

    kind: Literal["dense_parity"] = "dense_parity"

    labels: ClassVar[Labels] = "bit"
    test_count: ClassVar[int] = 128

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: uint8 (B, d) of 0 and 1."""
        return streams.bits(1, point.d)[:, 0]

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X uint8 (B, count, d) and y uint8 (B, count), both of 0 and 1."""
        x = streams.bits(count, point.d)
        agreeing = (x & concept[:, None, :]).sum(2)
        return Examples(x=x, y=(agreeing & 1).to(torch.uint8))
