"""Principal component: the leading eigenvector of what the examples average to."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels


class PrincipalComponent(LoopedLearner):
    """The unit eigenvector of the largest eigenvalue of a symmetric d x d matrix.

    For examples that are vectors, (n, d), the matrix is X^T X / n: their mean is known to be 0. For
    examples that are upper triangles of symmetric matrices, (n, d (d + 1) / 2), row by row, it is
    the mean of those matrices. (At d = 1 the two look alike, and the only direction is right.)

    `leading_eigenvalue` is that of the matrix. One LAPACK call (syevd) per trial. A trial with data
    that are not finite diverges. Nothing is predicted. No hyper-parameters. The nominal memory is
    that of vectors; matrices take (d + 1) / 2 times as much.

    Source: Hotelling (1933), "Analysis of a complex of statistical variables into principal
    components", Journal of Educational Psychology 24.
    """

    kind: Literal["principal_component"] = "principal_component"

    reads: ClassVar[frozenset[Labels]] = frozenset({"no"})
    reports: ClassVar[tuple[str, ...]] = ("leading_eigenvalue",)
    predicts: ClassVar[bool] = False
    estimates: ClassVar[Estimand | None] = "direction"
    n_counts: ClassVar[str] = "examples, vectors or matrices"

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """The eigenvector (d,) as coefficients, and `leading_eigenvalue`."""
        if examples.x.shape[1] == point.d:
            matrix = examples.x.T @ examples.x / point.n
        else:
            matrix = _symmetric(examples.x.mean(0), point.d)
        value, vector = leading_eigenvector(matrix)
        return Fit(
            outcomes=[Outcome.FITTED if bool(value.isfinite()) else Outcome.DIVERGED],
            measures={"leading_eigenvalue": value},
            coefficients=vector,
        )

    def work(self, point: Point) -> float:
        """2 n d^2 for the matrix, 9 d^3 for its eigenvectors."""
        return point.d**2 * (2.0 * point.n + 9.0 * point.d)


def leading_eigenvector(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest eigenvalue () of a symmetric (d, d) and its unit eigenvector (d,).

    Both are nan where the matrix is not finite: LAPACK would raise, and take the rest of the pack
    with it.
    """
    if not bool(matrix.isfinite().all()):
        return matrix.new_tensor(torch.nan), torch.full_like(matrix[0], torch.nan)
    values, vectors = torch.linalg.eigh(matrix)
    return values[-1], vectors[:, -1]


def _symmetric(triangle: torch.Tensor, d: int) -> torch.Tensor:
    """The symmetric (d, d) whose upper triangle, row by row, is (d (d + 1) / 2,)."""
    rows, columns = torch.triu_indices(d, d, device=triangle.device)
    matrix = triangle.new_zeros(d, d)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix
