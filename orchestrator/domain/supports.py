"""Supports: sets of coordinates, and whether an estimate has the signs of the coefficients."""

import torch

from orchestrator.domain.learner import Problem


def sign_errors(coefficients: torch.Tensor, problem: Problem) -> torch.Tensor:
    """0 where every coordinate has the sign of the true one (0 for 0), else 1: float64 (B,).

    `coefficients` is (B, d). A target without coefficients has no support to recover: 1.
    """
    if not problem.target.linear:
        return torch.ones(len(problem), dtype=torch.float64, device=coefficients.device)
    differs = (coefficients.sign() != problem.concept.sign()).any(1)
    return differs.to(torch.float64)


def membership(subsets: torch.Tensor, d: int) -> torch.Tensor:
    """1 for the coordinates in each trial's subset, int64 (B, k), and 0 elsewhere: uint8 (B, d)."""
    nothing = torch.zeros(len(subsets), d, dtype=torch.uint8, device=subsets.device)
    return nothing.scatter(1, subsets, 1)
