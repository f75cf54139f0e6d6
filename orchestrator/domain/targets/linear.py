"""Linear functions: a dense signal of unit norm seen through Gaussian measurements."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class Linear(Target):
    """y = <w, x> + noise with x ~ N(0, I_d) and w uniform on the unit sphere of R^d.

    The noise is N(0, noise^2), so noise^2 is its variance in units of the signal's. k is not used;
    `sparse_linear` is the same with a signal of k coordinates.

    Without noise n Gaussian measurements leave a d - n dimensional set of solutions, so whoever
    assumes nothing about w fails below n = d, and least squares is exact from n = d on.

    Source: Advani, Saxe & Sompolinsky (2020), "High-dimensional dynamics of generalization error in
    neural networks", Neural Networks 132, section 2, for the teacher; our n / d is their alpha.
    """

    kind: Literal["linear"] = "linear"
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    linear: ClassVar[bool] = True

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d) of unit norm."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = (x * concept[:, None, :]).sum(2)
        return Examples(x=x, y=y + self.noise * streams.normals(count))
