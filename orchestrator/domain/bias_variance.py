"""What of a test error comes from the noise in the labels, and what would be there without it."""

from typing import Protocol, runtime_checkable

import torch

from orchestrator.domain.learner import Fit, Learner, Problem
from orchestrator.domain.target import Target

DECOMPOSED = ("squared_bias", "variance")
"""Measures of a learner that `smooths`, on a target that knows its noise."""


@runtime_checkable
class Noisy(Protocol):
    """A target that can tell a concept's function from the noise in its labels.

    The noise is independent of x, of mean 0 and standard deviation `noise`.
    """

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in y."""
        ...

    def noiseless(self, concept: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The function of each concept at x (B, m, d): (B, m)."""
        ...


def is_decomposed(target: Target, learner: Learner) -> bool:
    """Whether the pair reports `DECOMPOSED`."""
    return learner.smooths and isinstance(target, Noisy)


def bias_and_variance(problem: Problem, fit: Fit) -> dict[str, torch.Tensor]:
    """`squared_bias` and `variance` of each trial given its inputs and its concept: (B,) each.

    Where predictions are S y with S a function of the inputs, and y = f + noise e with E[e e'] = I,
    the mean over test inputs x_t of E[(S y)_t - f(x_t)]^2, the expectation over e, is
        mean_t ((S f)_t - f(x_t))^2 + noise^2 mean_t sum_i S_ti^2.
    No noise is drawn for it: both are exact but for the choice of test inputs.
    """
    target, inputs = problem.target, problem.test.x
    assert fit.smoother is not None
    assert isinstance(target, Noisy)
    given, wanted = (target.noiseless(problem.concept, x) for x in (problem.x, inputs))
    bias, variance = [], []
    for trial, smoother in enumerate(fit.smoother(inputs)):
        own = given[trial, : int(problem.n[trial])].clone()
        bias.append((smoother @ own - wanted[trial]).square().mean())
        variance.append(target.noise**2 * smoother.square().sum(1).mean())
    return dict(zip(DECOMPOSED, (torch.stack(bias), torch.stack(variance)), strict=True))
