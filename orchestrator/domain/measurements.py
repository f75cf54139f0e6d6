"""A d x d matrix seen through n linear measurements, in as few numbers as they need."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from orchestrator.domain.target import Examples


@dataclass(frozen=True)
class Coordinates:
    """A d x d matrix as a vector, with the Euclidean length of a vector its Frobenius norm.

    d * d numbers row by row; or, of symmetric matrices, the d (d + 1) / 2 of the upper triangle,
    those off the diagonal times sqrt(2).
    """

    d: int
    is_symmetric: bool = False
    device: torch.device | str = "cpu"

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self.d * (self.d + 1) // 2 if self.is_symmetric else self.d**2

    def vectors(self, matrices: torch.Tensor) -> torch.Tensor:
        """(…, d, d) -> (…, count), of the symmetric part where only that counts."""
        if not self.is_symmetric:
            return matrices.flatten(-2)
        rows, columns, weight = self._triangle
        return (matrices[..., rows, columns] + matrices[..., columns, rows]) * (weight / 2.0)

    def matrix(self, vector: torch.Tensor) -> torch.Tensor:
        """(count,) -> (d, d)."""
        if not self.is_symmetric:
            return vector.view(self.d, self.d)
        return (vector / self._triangle[2])[self._places]

    @cached_property
    def _triangle(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows, columns = torch.triu_indices(self.d, self.d, device=self.device)
        weight = torch.full_like(rows, math.sqrt(2.0), dtype=torch.float64)
        return rows, columns, weight.masked_fill(rows == columns, 1.0)

    @cached_property
    def _places(self) -> torch.Tensor:
        """Where in a vector each entry of the matrix is: int64 (d, d)."""
        rows, columns, _ = self._triangle
        places = rows.new_zeros(self.d, self.d)
        places[rows, columns] = places[columns, rows] = torch.arange(len(rows), device=rows.device)
        return places


@dataclass(frozen=True)
class Measurements:
    """|A v - y|^2 + rest is the mean squared misfit of the matrix with coordinates v.

    A is (rows, count) and y (rows,), the examples over sqrt(n); of more than `count` examples the
    triangular factor of A is kept, which has `count` rows and the same misfit but for `rest`, which
    no matrix can change: |y - Q Q^T y|^2 / n, Q its orthonormal columns.
    """

    A: torch.Tensor
    y: torch.Tensor
    coordinates: Coordinates
    rest: float = 0.0

    @classmethod
    def of(cls, examples: Examples, coordinates: Coordinates) -> "Measurements":
        """Of x (n, d * d) and y (n,)."""
        d, n = coordinates.d, len(examples.y)
        A, y, rest = coordinates.vectors(examples.x.view(n, d, d)), examples.y, 0.0
        if n > coordinates.count:
            Q, A = torch.linalg.qr(A)
            y = Q.T @ y
            beyond = examples.y - Q @ y  # not |y|^2 - |Q^T y|^2, which would be rounding at noise 0
            rest = float(torch.dot(beyond, beyond)) / n
        return cls(A / math.sqrt(n), y / math.sqrt(n), coordinates, rest)

    @cached_property
    def _transposed(self) -> torch.Tensor:
        return self.A.T.contiguous()

    def misfit(self, matrix: torch.Tensor) -> torch.Tensor:
        """A v - y for a matrix (d, d): (rows,)."""
        return torch.mv(self.A, self.coordinates.vectors(matrix)).sub_(self.y)

    def gradient(self, misfit: torch.Tensor) -> torch.Tensor:
        """Of half the squared length of a misfit, with respect to the matrix: (d, d)."""
        return self.coordinates.matrix(torch.mv(self._transposed, misfit))
