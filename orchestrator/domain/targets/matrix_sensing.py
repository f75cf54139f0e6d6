"""Matrix sensing: a matrix of low rank seen through Gaussian measurements."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.low_rank import with_spectrum
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class MatrixSensing(Target):
    """y = <A, M> + noise with A a d x d matrix of independent N(0, 1) and M of rank k.

    n counts measurements. M = U S V^T with U and V orthonormal, d x k and uniform; V = U, and M is
    positive semidefinite, where `form` is symmetric. The k singular values in S are spread evenly
    from 1 down to 1 / `condition`; all are 1 by default. The noise is N(0, noise^2).

    A and M are given as rows of d * d numbers, row by row: x is (B, count, d * d).

    Without noise, n = d^2 measurements leave one matrix, d (d + 1) / 2 one that is symmetric.
    M has k (2 d - k) degrees of freedom, symmetric k d - k (k - 1) / 2. In between, nuclear norm
    minimisation needs what `statistical_dimension` says.

    Source: Xiong, Ding & Du (2024), "How over-parameterization slows down gradient descent in
    matrix sensing: the curses of symmetry and initialization", ICLR, arXiv:2310.01769; their n, m
    and r are our d, n and k, and their measurements are divided by sqrt(m), for which learners
    here divide losses by n.
    """

    kind: Literal["matrix_sensing"] = "matrix_sensing"
    form: Literal["symmetric", "asymmetric"] = Field(
        "asymmetric", description="whether M is symmetric, and positive semidefinite"
    )
    condition: float = Field(1.0, ge=1.0, description="largest singular value over the smallest")
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    labels: ClassVar[Labels] = "measurement"
    linear: ClassVar[bool] = True

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """M of each trial, row by row: (B, d * d)."""
        values = torch.linspace(1.0, 1.0 / self.condition, point.k, dtype=streams.dtype)
        left = orthonormal_columns(point.d, point.k, streams, "column")
        right = (
            left
            if self.form == "symmetric"
            else orthonormal_columns(point.d, point.k, streams, "column")
        )
        return with_spectrum(left, values.to(streams.device), right).flatten(1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d * d) and y (B, count)."""
        x = streams.normals(count, point.d**2)
        y = (x * concept[:, None, :]).sum(2)
        return Examples(x=x, y=y + self.noise * streams.normals(count))
