"""What is said of one linear function that was fitted to examples by whatever means."""

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
