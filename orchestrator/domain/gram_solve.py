"""Weights of a kernel's functions: the linear system behind kernel ridge regression."""

from collections.abc import Callable

import torch

Solver = Callable[[torch.Tensor], torch.Tensor]


def ridge_solver(gram: torch.Tensor, ridge: float) -> Solver:
    """From y, (n,) or (n, p), to the solution of (gram + ridge I) alpha = y of least norm.

    By Cholesky, or by eigendecomposition where the ridge is 0 or lost in rounding. Answers are nan
    where gram is not finite.
    """
    if not bool(gram.isfinite().all()):
        return lambda y: torch.full_like(y, torch.nan)
    if ridge > 0.0:
        regular = gram.clone()
        regular.diagonal().add_(ridge)
        factor, broken = torch.linalg.cholesky_ex(regular)
        if int(broken) == 0:
            return lambda y: torch.cholesky_solve(y.reshape(len(y), -1), factor).reshape(y.shape)
    values, vectors = torch.linalg.eigh(gram)
    values = values + ridge
    cutoff = values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    inverse = torch.where(values > cutoff, 1.0 / values, 0.0)
    return lambda y: vectors @ (inverse.reshape(-1, *[1] * (y.dim() - 1)) * (vectors.T @ y))
