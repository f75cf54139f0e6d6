"""Proposals and the counts they are answered with. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.point import Point


@dataclass(frozen=True)
class Ask:
    """One proposal: `repeats` further trials of a point in an arm (the arm's place in the file).

    `tuned` holds learner fields chosen for this proposal, where the file searches over any.
    """

    arm: int
    point: Point
    repeats: int
    tuned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmTally:
    """Counts at one point of one arm: successes among answered trials, and gaps."""

    arm: int
    point: Point
    successes: int
    trials: int
    gaps: int = 0
    tuned: Mapping[str, Any] = field(default_factory=dict)
