"""What learners share whose neurons walk on the sphere: the settings of their steps."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from orchestrator.domain.learner import Learner
from orchestrator.domain.point import Point
from orchestrator.domain.spherical import (
    LinkName,
    Method,
    SphericalStep,
    slope_of,
    step_scale,
)

PIECE = 256
"""Examples drawn at once, or the next multiple of the batch size; by hand."""


class SphericalLearner(Learner):
    """A learner whose neurons take the steps of `SphericalStep` in one pass over fresh examples."""

    method: Method = "plain"
    activation: LinkName = "hermite"
    degree: int = Field(3, ge=1, le=10, description="p, the information exponent")
    learning_rate: float = Field(0.3, gt=0.0, description="c, the step in units that follow d")
    reach: float = Field(-2.0, description="step ahead of the first use, over d; for reuse")
    batch_size: int = Field(1, ge=1, description="examples of a step")

    n_counts: ClassVar[str] = "fresh examples streamed"

    @model_validator(mode="after")
    def _only_polynomials_are_smoothed(self) -> Self:
        if self.method == "smooth" and self.activation != "hermite":
            raise ValueError("method: smooth needs activation: hermite, which has a closed form")
        return self

    def step(self, d: int) -> SphericalStep:
        """What a batch does to a neuron."""
        return SphericalStep(
            slope=slope_of(self.activation, self.method, self.degree, d),
            rate=self.learning_rate * step_scale(self.method, self.degree, d),
            reach=self.reach / d if self.method == "reuse" else 0.0,
        )

    @property
    def rows(self) -> int:
        """Examples drawn at once: whole batches."""
        return self.batch_size * -(-PIECE // self.batch_size)

    def shape(self, point: Point) -> Hashable:
        """Trials of any n walk together; nothing is padded to n."""
        return 0

    def padded_n(self, points: Sequence[Point]) -> int:
        """One: examples are streamed."""
        return 1
