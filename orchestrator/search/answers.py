"""What `ThresholdSampler` answers with."""

from dataclasses import dataclass
from typing import Any

from orchestrator.inference.threshold import Status, Threshold


@dataclass(frozen=True)
class ContextThreshold:
    """n_star at one context: the smallest n with success probability `level`, and its interval.

    Fields as in `inference.threshold.Threshold`, in the units of n; `context` maps names to values.
    """

    context: dict[str, Any]
    status: Status
    n_star: float | None
    low: float | None
    high: float | None
    confidence: float
    trials: int
    gaps: int
    n10_n90: tuple[float, float] | None
    widened: bool = False

    @classmethod
    def at(cls, context: dict[str, Any], found: Threshold) -> "ContextThreshold":
        """What was found, said of a context."""
        return cls(
            context=context,
            status=found.status,
            n_star=found.n_star,
            low=found.low,
            high=found.high,
            confidence=found.confidence,
            trials=found.trials,
            gaps=found.gaps,
            n10_n90=found.n10_n90,
            widened=found.widened,
        )


@dataclass(frozen=True)
class Plan:
    """A point to try, `repeats` times."""

    context: dict[str, Any]
    n: int
    repeats: int
