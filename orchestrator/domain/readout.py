"""A second layer on fixed features: ridge or LASSO from moments that are summed piece by piece."""

from typing import Literal

import torch

from orchestrator.domain.coordinate_descent import Quadratic, descended

Penalty = Literal["ridge", "lasso"]

GAP = 1e-8
"""Duality gap of the LASSO, in units of the objective at 0. Chosen by hand."""

UPDATES = 20_000
"""Updates of the LASSO at most. Chosen by hand, some hundred times what 64 features take."""


class Moments:
    """Sums over examples of the features z (…, J) and the labels y, from which both are centred."""

    def __init__(self, like: torch.Tensor) -> None:
        """Zero for every trial of like (B, J)."""
        trials, width = like.shape
        self._sums = like.new_zeros(trials, width + 2, width + 2)

    def add(self, trials: list[int], z: torch.Tensor, y: torch.Tensor, own: torch.Tensor) -> None:
        """Count the rows of z (T, rows, J) and y (T, rows) whose `own` (T, rows) is 1, not 0."""
        table = torch.cat([z, y[:, :, None], torch.ones_like(y)[:, :, None]], 2) * own[:, :, None]
        self._sums[trials] = self._sums[trials] + torch.bmm(table.mT, table)

    def solved(self, penalty: Penalty, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Outer weights a (B, J) and offset c (B,) that minimise

        sum_i (y_i - <a, z_i> - c)^2 / (2 n) + strength |a|^2 / 2, or + strength |a|_1.

        0 where there were no examples, nan where a system is not finite.
        """
        n = self._sums[:, -1, -1].clamp(min=1.0)[:, None, None]
        mean = self._sums[:, :-1, -1:] / n
        second = self._sums[:, :-1, :-1] / n - torch.bmm(mean, mean.mT)
        gram, slope, size = second[:, :-1, :-1], second[:, :-1, -1], second[:, -1, -1]
        solve = _ridge if penalty == "ridge" else _lasso
        outer = solve(gram.contiguous(), slope.contiguous(), size, strength)
        return outer, mean[:, -1, 0] - (outer * mean[:, :-1, 0]).sum(1)


def _ridge(
    gram: torch.Tensor, slope: torch.Tensor, size: torch.Tensor, strength: float
) -> torch.Tensor:
    """(gram + strength I)^-1 slope, one trial at a time: (B, J)."""
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    solutions = []
    for one, right in zip(gram, slope, strict=True):
        factor, broken = torch.linalg.cholesky_ex(one + identity * strength)
        is_sound = not int(broken) and bool(factor.isfinite().all())
        solutions.append(
            torch.cholesky_solve(right[:, None], factor)[:, 0]
            if is_sound
            else torch.full_like(right, torch.nan)
        )
    return torch.stack(solutions)


def _lasso(
    gram: torch.Tensor, slope: torch.Tensor, size: torch.Tensor, strength: float
) -> torch.Tensor:
    penalty = torch.full_like(size, strength)
    outer = descended(Quadratic(gram, slope, size, penalty), GAP, UPDATES)
    sound = gram.flatten(1).isfinite().all(1) & slope.isfinite().all(1)
    return torch.where(sound[:, None], outer, torch.nan)
