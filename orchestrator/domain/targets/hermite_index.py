"""Single-index functions by what their link is in the Hermite basis."""

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.hermite import hermite, hermite_series
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Target


class HermiteIndex(Target):
    """y = g(<w, x>) + noise with x ~ N(0, I_d) and w uniform on the unit sphere.

    g(u) by `link`, with h_p = He_p / sqrt(p!) the orthonormal Hermite polynomials:

    - `hermite`: h_p(u), p = `degree`;
    - `polynomial`: sum_p coefficients[p] h_p(u);
    - `relu`: max(0, u); `abs`: |u|; `square`: u^2, the last two being phase retrieval.

    The information exponent is the least p >= 1 with E[g(u) h_p(u)] other than 0: p itself for
    `hermite`, 1 for `relu`, 2 for `abs` and `square`. It decides how many fresh examples online
    gradient descent on the correlation needs: d for 1, d ln d for 2, d^(p-1) beyond. The noise is
    N(0, noise^2). Learners of a direction are judged by their squared overlap with w, learners that
    predict on fresh examples, noise included. k is not used.

    Source: Ben Arous, Gheissari & Jagannath (2021), "Online stochastic gradient descent on
    non-convex losses from high-dimensional inference", JMLR 22, for the information exponent; Lee,
    Oko, Suzuki & Wu (2024), "Neural network learns low-dimensional polynomials with SGD near the
    information-theoretic limit", arXiv:2406.01581, for polynomial links.
    """

    kind: Literal["hermite_index"] = "hermite_index"
    link: Literal["hermite", "polynomial", "relu", "abs", "square"] = "hermite"
    degree: int = Field(2, ge=1, le=10, description="p of the link hermite")
    coefficients: tuple[float, ...] = Field(
        (), max_length=11, description="of h_0, h_1, … in the link polynomial"
    )
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    estimand: ClassVar[Estimand | None] = "direction"

    @model_validator(mode="after")
    def _coefficients_belong_to_a_polynomial(self) -> Self:
        if (self.link == "polynomial") != bool(self.coefficients):
            raise ValueError("coefficients go with link: polynomial, and it needs them")
        return self

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = self.linked((x * concept[:, None, :]).sum(2))
        if self.noise > 0.0:
            y = y + self.noise * streams.normals(count)
        return Examples(x=x, y=y)

    def linked(self, u: torch.Tensor) -> torch.Tensor:
        """G of every number."""
        if self.link == "hermite":
            return hermite(self.degree, u)
        if self.link == "polynomial":
            return hermite_series(self.coefficients, u)
        if self.link == "relu":
            return u.clamp(min=0.0)
        return u.abs() if self.link == "abs" else u.square()
