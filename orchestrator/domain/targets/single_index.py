"""Single-index functions: a link of one hidden linear function of Gaussian inputs."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Target

LINKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda u: u,
    "cubic": lambda u: u**3,
    "exp": torch.exp,
    "square": torch.square,
}
"""The link g by name."""


class SingleIndex(Target):
    """y = g(<w, x>) + noise with x ~ N(0, I_d) and w uniform on the unit sphere.

    g(u) is u (`linear`), u^3 (`cubic`), exp(u) (`exp`) or u^2 (`square`); the noise is
    N(0, noise^2). Learners of a direction are judged by their squared overlap with w, learners that
    predict on fresh examples, noise included. k is not used.

    What separates the links is how y depends on u on average: `square` is even, so that E[u | y] is
    0 and whoever looks for w by that, such as sliced inverse regression, finds nothing.

    Source: Li & Duan (1989), "Regression analysis under link violation", Annals of Statistics
    17(3); Li (1991), "Sliced inverse regression for dimension reduction", JASA 86.
    """

    kind: Literal["single_index"] = "single_index"
    link: Literal["linear", "cubic", "exp", "square"] = Field("linear", description="g")
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    estimand: ClassVar[Estimand | None] = "direction"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = LINKS[self.link]((x * concept[:, None, :]).sum(2))
        return Examples(x=x, y=y + self.noise * streams.normals(count))
