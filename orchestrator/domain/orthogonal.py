"""Random orthonormal columns, one matrix per trial."""

from typing import Literal

import torch

from orchestrator.domain.streams import Streams


def orthonormal_columns(
    rows: int, columns: int, streams: Streams, drawn_by: Literal["row", "column"] = "row"
) -> torch.Tensor:
    """A uniform (Haar) choice of `columns` orthonormal vectors in R^rows: (B, rows, columns).

    Needs columns <= rows. The Q of Gaussian matrices, with the diagonal of R made positive: without
    that LAPACK's signs would be part of the law. One LAPACK call per trial, on tensors of its own.
    Drawn by column, the first columns do not depend on how many there are.

    Source: Mezzadri (2007), "How to generate random matrices from the classical compact groups",
    arXiv:math-ph/0609050.
    """
    if drawn_by == "row":
        drawn = [one.clone() for one in streams.normals(rows, columns)]
    else:
        drawn = [one.T.contiguous() for one in streams.normals(columns, rows)]
    return torch.stack([_positive_q(one) for one in drawn])


def _positive_q(matrix: torch.Tensor) -> torch.Tensor:
    Q, R = torch.linalg.qr(matrix)
    found: torch.Tensor = Q * torch.where(R.diagonal() < 0, -1.0, 1.0).to(Q.dtype)
    return found
