"""What a sweep found: from an experiment and its trials to thresholds and laws.

`answer` is a pure function, so the table, the report and MLflow all show the same numbers, and a
finished sweep can be judged again at another level without training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Asked, Law, Tally, Threshold


@dataclass(frozen=True)
class TrialRow:
    """One trial of a sweep as a row: where it stands, how it ended, what it measured.

    `outcome` is None for a gap. `success` is None for a gap and derived from the stored measure
    otherwise.
    """

    key: str
    arm: int
    round: int
    point: Point
    repeat: int
    seed: int
    outcome: Outcome | None
    success: bool | None
    measures: Mapping[str, float]
    seconds: float
    attempt: int
    cached: bool
    reasons: tuple[str, ...] = ()
    tuned: Mapping[str, Any] = field(default_factory=dict)


class Curve(Protocol):
    """The fitted success curve of one threshold, with its band, at given n."""

    def __call__(
        self, n: Sequence[float]
    ) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Posterior median, lower and upper end of the success probability at each n."""


@dataclass(frozen=True)
class FoundThreshold:
    """A threshold with what stands beside it in tables and pictures."""

    asked: Asked
    threshold: Threshold
    tallies: tuple[Tally, ...]
    curve: Curve
    theory: float | None = None
    theory_kind: str | None = None
    theory_source: str | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmAnswer:
    """Everything found for one arm. `n_counts` says what n counts."""

    target: Mapping[str, Any]
    learner: Mapping[str, Any]
    label: str
    level: float
    n_counts: str
    thresholds: tuple[FoundThreshold, ...]
    law: Law | None


@dataclass(frozen=True)
class Comparison:
    """Two arms side by side: the ratio of their thresholds at (d, k), and the gap of exponents.

    `ratios` are (d, k, ratio, low, high): first arm's n_star over the second's. `exponent_gaps` are
    (letter, gap, low, high): first arm's exponent minus the second's.
    """

    first: int
    second: int
    ratios: tuple[tuple[int, int, float, float, float], ...]
    exponent_gaps: tuple[tuple[str, float, float, float], ...]


@dataclass(frozen=True)
class Answer:
    """A sweep's whole answer. `started` and `ended` are seconds since the epoch."""

    sweep: str
    name: str
    question: str
    criterion: str
    status: str
    stopped_by: str | None
    finished_trials: int
    gaps: int
    arms: tuple[ArmAnswer, ...]
    comparisons: tuple[Comparison, ...] = ()
    spec_source: str = ""
    started: float | None = None
    ended: float | None = None
    rows: tuple[TrialRow, ...] = ()
