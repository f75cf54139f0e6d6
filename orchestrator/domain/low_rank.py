"""Matrices of low rank: put together, and taken to pieces, one trial at a time."""

import torch


def with_spectrum(left: torch.Tensor, values: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Left diag(values) right^T of each trial: (B, d, k), (k,), (B, d, k) -> (B, d, d)."""
    return torch.stack([(U * values) @ V.T for U, V in zip(left, right, strict=True)])


def is_finite(*tensors: torch.Tensor) -> bool:
    """Whether all numbers are finite, which LAPACK insists on."""
    return all(bool(one.isfinite().all()) for one in tensors)


def singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """Of a (d, d) matrix, descending: (d,); nan where it is not finite, for LAPACK would raise."""
    if not is_finite(matrix):
        return torch.full_like(matrix[0], torch.nan)
    found: torch.Tensor = torch.linalg.svdvals(matrix)
    return found


def truncated(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    """The nearest matrix (d, d) of that rank, by singular value decomposition."""
    U, s, Vt = torch.linalg.svd(matrix)
    nearest: torch.Tensor = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    return nearest
