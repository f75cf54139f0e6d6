"""Targets whose training inputs are distributed unlike those they are judged on."""

from typing import Protocol, runtime_checkable

import torch

from orchestrator.domain.point import Point


@runtime_checkable
class Shifted(Protocol):
    """A target that knows how much likelier an input is where hypotheses are judged."""

    def log_ratio(self, x: torch.Tensor, point: Point) -> torch.Tensor:
        """Logarithm of the density of test inputs over that of training inputs: (…, d) -> (…)."""
        ...
