"""Weights of a kernel's functions: the linear system behind kernel ridge regression."""

import torch


def gram_solution(gram: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
    """The solution of (gram + ridge I) alpha = y of least norm; nan where gram is not finite.

    `gram` is (n, n), y and alpha are (n,), or (n, C) for several functions at once. By Cholesky; by
    eigendecomposition with ridge 0 and where Cholesky breaks because the ridge is lost in rounding.
    """
    if not bool(gram.isfinite().all()):
        return torch.full_like(y, torch.nan)
    columns = y[:, None] if y.ndim == 1 else y
    if ridge > 0.0:
        regular = gram.clone()
        regular.diagonal().add_(ridge)
        factor, broken = torch.linalg.cholesky_ex(regular)
        if int(broken) == 0:
            return torch.cholesky_solve(columns, factor).view_as(y)
    values, vectors = torch.linalg.eigh(gram)
    values = values + ridge
    cutoff = values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    inverse = torch.where(values > cutoff, 1.0 / values, 0.0)
    alpha: torch.Tensor = vectors @ (inverse[:, None] * (vectors.T @ columns))
    return alpha.view_as(y)
