"""Modular addition: a table of sums of which some entries are shown."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class ModularAddition(Target):
    """The class a + b mod p of a pair (a, b) of residues, p = d; both are one-hot, x is (…, 2p).

    n counts distinct entries of the p x p table that are shown, the first n of a random order;
    the last `kept_back` p^2 of that order, rounded up, are never shown and judge the learner.
    So n is at most p^2 less those, and every n is judged by the same entries. A row asked for
    beyond the entries that may be shown repeats them from the first, never one that judges; packs
    are padded so. k is not used, and p need not be prime.

    A kernel that depends on x and z through |x - z| alone knows of two pairs only how many of their
    residues agree, whatever they are called. On a pair that was not shown it therefore adds a score
    of a and class c to one of b and c. But the right class is one that was shown neither with a nor
    with b, where it stands in this very entry alone, so it is named last rather than first: without
    features accuracy is below that of guessing, however large n is. Beyond some share of the table
    learners of features name all sums, long after they fit what they were shown (grokking).

    The share that is held out, 1/5, was chosen by hand.

    Source: Mallinar, Beaglehole, Zhu, Radhakrishnan, Pandit & Belkin (2024), "Emergence in
    non-neural models: grokking modular arithmetic via average gradient outer product",
    arXiv:2407.20199; p = 61 there.
    """

    kind: Literal["modular_addition"] = "modular_addition"
    kept_back: float = Field(0.2, gt=0.0, lt=1.0, description="share of the table for judging")

    labels: ClassVar[Labels] = "class"

    def faults(self, d: int, k: int) -> list[str]:
        """A table of one entry cannot be split."""
        return super().faults(d, k) + ([] if d > 1 else ["d = 1 has a single sum; raise d"])

    def most_n(self, d: int, k: int) -> int:
        """Entries that may be shown."""
        return d * d - self.tested(d)

    def tested(self, d: int) -> int:
        """Entries that judge a learner."""
        return min(math.ceil(self.kept_back * d * d), d * d - 1)

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """The order in which entries are shown: int64 (B, p^2), entry a p + b."""
        return streams.permutations(point.d**2)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, 2p) with two ones a row, y (B, count, p) with one; nothing is drawn."""
        shown = self.most_n(point.d, point.k)
        places = torch.arange(count, device=concept.device) % shown
        return _written(concept[:, places], point.d, streams.dtype)

    def held_out(self, concept: torch.Tensor, point: Point, streams: Streams) -> Examples:
        """The entries that are never shown."""
        return _written(concept[:, -self.tested(point.d) :], point.d, streams.dtype)


def _written(entries: torch.Tensor, p: int, dtype: torch.dtype) -> Examples:
    """Entries (B, count) as inputs and classes."""
    a, b = entries // p, entries % p
    x = torch.cat([torch.nn.functional.one_hot(one, p) for one in (a, b)], 2)
    return Examples(x.to(dtype), torch.nn.functional.one_hot((a + b) % p, p).to(dtype))
