"""A linear layer y = W x seen through the second moments of its examples."""

from dataclasses import dataclass

import torch

from orchestrator.domain.learner import Fit, Outcome
from orchestrator.domain.low_rank import is_finite
from orchestrator.domain.target import Examples

RANK_MEASURES = ("rank", "rank_error", "train_error")
"""What `layer_fit` reports."""


@dataclass(frozen=True)
class Moments:
    """S = X^T X / n, (d, d), and C = Y^T X / n, (c, d): all that squared loss knows of examples.

    The loss |y - W x|^2 / 2, averaged, has gradient W S - C.
    """

    S: torch.Tensor
    C: torch.Tensor

    @classmethod
    def of(cls, examples: Examples) -> "Moments":
        """Of x (n, d) and y (n, c)."""
        x, y = examples.x, examples.y
        return cls(x.T @ x / len(x), y.T @ x / len(x))


def least_squares_layer(examples: Examples) -> torch.Tensor:
    """The least squares W (c, d) of x (n, d) and y (n, c), shortest where n < d; nan if not finite.

    By singular values (gelsd), as in `least_squares`: gelsy is not repeatable.
    """
    x, y = examples.x, examples.y
    if not is_finite(x, y):
        return torch.full((y.shape[1], x.shape[1]), torch.nan, dtype=x.dtype, device=x.device)
    found: torch.Tensor = torch.linalg.lstsq(x.cpu(), y.cpu(), driver="gelsd").solution.T
    return found.to(x.device)


def layer_fit(W: torch.Tensor, rank: int, k: int, outcome: Outcome, examples: Examples) -> Fit:
    """The fit of a weight W (c, d) whose rank was found to be `rank`; diverged if not finite.

    Measures: `rank`; `rank_error`, |rank - k|; and `train_error`, the mean of |y - W x|^2.
    """
    misses = (examples.y - examples.x @ W.T).square().sum(1).mean()
    return Fit(
        outcomes=[outcome if is_finite(W, misses) else Outcome.DIVERGED],
        measures={
            "rank": torch.tensor(float(rank)),
            "rank_error": torch.tensor(float(abs(rank - k))),
            "train_error": misses,
        },
        predict=lambda x: x @ W.T,
        coefficients=W.flatten(),
    )
