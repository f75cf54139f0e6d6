"""Linear functions: what is said of one however it was fitted, and the one that ridge gives."""

import torch

from orchestrator.domain.learner import Fit, Outcome
from orchestrator.domain.target import Examples


def linear_fit(w: torch.Tensor, examples: Examples) -> Fit:
    """The fit of coefficients w (d,) to x (n, d) and y (n,); diverged where w is not finite.

    Its measure `train_error` is the mean squared error on the n examples.
    """
    missing = (examples.x * w).sum(1) - examples.y
    return Fit(
        outcomes=[Outcome.FITTED if bool(w.isfinite().all()) else Outcome.DIVERGED],
        measures={"train_error": missing.square().mean()},
        predict=lambda x: (x * w).sum(1),
        coefficients=w,
    )


def ridge_solution(x: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
    """The w (d,) of least |x w - y|^2 + ridge |w|^2 for x (n, d) and y (n,), ridge above 0.

    By Cholesky of the smaller Gram matrix, that of examples or of coordinates; nan where it cannot
    be solved.
    """
    n, d = x.shape
    gram = x @ x.T if n < d else x.T @ x
    gram.diagonal().add_(ridge)
    factor, broken = torch.linalg.cholesky_ex(gram)
    if int(broken) or not bool(factor.isfinite().all()):
        return torch.full_like(x[0], torch.nan)
    right = y if n < d else x.T @ y
    found = torch.cholesky_solve(right[:, None], factor)[:, 0]
    return x.T @ found if n < d else found
