"""Block sums: k equations in d unknowns, one for the sum of each block."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class BlockSums(Target):
    """The sum of block i of theta in R^d is to be i, for i = 1 … k; k counts the equations.

    Blocks are k runs of d / k neighbours, or of one more or less. As examples: x is the 0/1
    indicator of block i and y = i, for i = 1 … k again and again, so that any k in a row are all
    there is. A linear function solves the task where it fits them. Its solutions form a plane of
    dimension d - k, so that a random affine subspace meets it, almost surely, from dimension k on:
    the intrinsic dimension of the task is k, whatever d is. Nothing is random and nothing
    generalises: there are no test examples.

    Source: Li, Farkhoor, Liu & Yosinski (2018), "Measuring the intrinsic dimension of objective
    landscapes", arXiv:1804.08838, section 2, for d = 1000 and ten blocks with sums 1 … 10.
    """

    kind: Literal["block_sums"] = "block_sums"

    test_count: ClassVar[int] = 0
    default_k: ClassVar[int] = 10

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """The sums 1 … k of each trial: (B, k)."""
        sums = torch.arange(1, point.k + 1, device=streams.device)
        return sums.to(streams.dtype).expand(len(streams), -1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        device = concept.device
        block = torch.arange(point.d, device=device) * point.k // point.d
        asked = torch.arange(count, device=device) % point.k
        x = (block == asked[:, None]).to(concept.dtype)
        return Examples(x=x.repeat(len(concept), 1, 1), y=concept[:, asked])
