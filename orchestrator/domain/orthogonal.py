"""Random orthonormal columns, one matrix per trial."""

import torch

from orchestrator.domain.streams import Streams


def orthonormal_columns(rows: int, columns: int, streams: Streams) -> torch.Tensor:
    """A uniform (Haar) choice of `columns` orthonormal vectors in R^rows: (B, rows, columns).

    Needs columns <= rows. The Q of Gaussian matrices, with the diagonal of R made positive: without
    that LAPACK's signs would be part of the law. One LAPACK call per trial, on tensors of its own.

    Source: Mezzadri (2007), "How to generate random matrices from the classical compact groups",
    arXiv:math-ph/0609050.
    """
    drawn = streams.normals(rows, columns)
    return torch.stack([_positive_q(one.clone()) for one in drawn])


def _positive_q(matrix: torch.Tensor) -> torch.Tensor:
    Q, R = torch.linalg.qr(matrix)
    found: torch.Tensor = Q * torch.where(R.diagonal() < 0, -1.0, 1.0).to(Q.dtype)
    return found
