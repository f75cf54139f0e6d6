"""A plug-in file: a target without examples and a learner that does nothing with them."""

from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Target


class Nowhere(Target):
    """There is nothing to learn."""

    kind: Literal["nowhere"] = "nowhere"
    test_count: ClassVar[int] = 0

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """An empty concept: (B, 0)."""
        return torch.empty(len(streams), 0)


class Nothing(Learner):
    """Reports 0 for every trial, at once."""

    kind: Literal["nothing"] = "nothing"
    reports: ClassVar[tuple[str, ...]] = ("nothing",)
    predicts: ClassVar[bool] = False

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Done."""
        return Fit([Outcome.FITTED] * len(problem), {"nothing": torch.zeros(len(problem))})

    def work(self, point: Point) -> float:
        """One operation."""
        return 1.0

    def memory_bytes(self, point: Point) -> float:
        """None to speak of."""
        return 1.0
