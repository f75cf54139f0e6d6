"""Target classes: a distribution over concepts, and how examples of a concept are drawn."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from orchestrator.domain.plugin import Plugin
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams

Labels = Literal["real", "sign", "bit", "class", "vector", "measurement", "no"]
Estimand = Literal["direction", "directions", "set"]


@dataclass(frozen=True)
class Examples:
    """Labelled examples of a pack: x (B, count, …) and y (B, count) or (B, count, …).

    Of classes y is (B, count, C), 1 at the class of an example and 0 elsewhere.
    """

    x: torch.Tensor
    y: torch.Tensor


class Target(Plugin):
    """Base of all target classes. One call serves trials of equal d and k.

    A subclass gives `draw` and `examples`. `examples` must be prefix-stable: with the same streams,
    the first rows do not depend on `count`; `Streams` makes that the natural thing. Targets from
    which fresh examples can be drawn for ever need nothing more: a stream is `examples` at a fresh
    scope.
    """

    kinds: ClassVar[dict[str, type[Plugin]]] = {}
    family: ClassVar[str] = "target"

    labels: ClassVar[Labels] = "real"
    """What y holds: real numbers, signs ±1, bits 0/1 (uint8), one of several classes as a row of
    zeros with a 1 (real, one axis more), real vectors (B, count, p), measurements (real numbers
    <x, M> of a d x d matrix M, x being d * d numbers), or zeros for no labels."""
    linear: ClassVar[bool] = False
    """Whether `draw` returns the coefficients (B, d) of a linear function of x, up to noise."""
    estimand: ClassVar[Estimand | None] = None
    """What `truth` returns for learners to estimate: as (B, d) a direction, known up to sign and
    length, or a set of coordinates, 1 in it and 0 elsewhere; as (B, M, d) M directions."""
    test_count: ClassVar[int] = 1000
    """Fresh examples on which a hypothesis is judged; 0 where nothing generalises."""
    default_k: ClassVar[int] = 1
    """The k of a file without a k axis."""

    def faults(self, d: int, k: int) -> list[str]:
        """What is wrong with (d, k) for this target, in words; empty when nothing is."""
        return [] if k <= d else [f"k = {k} exceeds d = {d}; lower k or raise d"]

    def most_n(self, d: int, k: int) -> int | None:
        """How many examples there are to learn from at (d, k); None where they never end."""
        return None

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """One concept per trial: a tensor with leading axis B. `point.n` must not matter."""
        raise NotImplementedError

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """`count` labelled examples per trial. `point.n` must not matter."""
        raise NotImplementedError

    def held_out(self, concept: torch.Tensor, point: Point, streams: Streams) -> Examples:
        """The `test_count` examples per trial that judge a hypothesis: by default fresh ones.

        A target with finitely many examples keeps some of them back for this.
        """
        return self.examples(concept, point, self.test_count, streams)

    def truth(self, concept: torch.Tensor, point: Point) -> torch.Tensor:
        """What of a concept its `estimand` is, (B, d): by default the concept as it was drawn."""
        return concept
