"""The values that go into inference and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Status = Literal["found", "below_range", "above_range", "not_sharp", "not_monotone", "undecided"]

Aim = Literal["thresholds", "exponents"]
"""What a search pins: every n_star, or how n_star grows with d and k."""


@dataclass(frozen=True)
class Asked:
    """One asked threshold: n_star at (d, k), sought between `low` and `high`, both included."""

    d: int
    k: int
    low: int
    high: int


@dataclass(frozen=True)
class Tally:
    """What is known at one point: `successes` among `trials` answered, and `gaps` unanswered."""

    d: int
    k: int
    n: int
    successes: int
    trials: int
    gaps: int = 0


@dataclass(frozen=True)
class Choice:
    """A point to try, `repeats` times."""

    d: int
    k: int
    n: int
    repeats: int


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Threshold:
    """n_star(d, k): the smallest n with success probability `level`, with its interval.

    All in the units of n. `n_star`, `low`, `high` are None where they are not known:
    `above_range` has its lower bound in `low` only, `below_range` its upper bound in `high` only.
    `n10_n90` are the n at 10% and at 90% success. `widened` says that the interval was widened
    because gaps, had they been successes or failures, would have put n_star outside it.
    """

    d: int
    k: int
    status: Status
    n_star: float | None
    low: float | None
    high: float | None
    confidence: float
    trials: int
    gaps: int = 0
    n10_n90: tuple[float, float] | None = None
    widened: bool = False

    @property
    def half_width(self) -> float | None:
        """(high - low) / (2 n_star), which is what a search brings below its tolerance."""
        if self.n_star is None or self.low is None or self.high is None:
            return None
        return (self.high - self.low) / (2 * self.n_star)


class Forecast(Protocol):
    """What laws say of thresholds that were not sought."""

    def __call__(self, d: int, k: int) -> Interval:
        """n_star at (d, k), with its interval."""


@dataclass(frozen=True)
class Law:
    """How n_star grows with d and k: the family the data prefer, and its exponents.

    `weights` is the evidence of each family, summing to 1; `decisive` says whether one family
    stands out. `residuals` are log n_star minus the fit, one per threshold used, by (d, k).
    """

    family: str
    exponents: Mapping[str, Interval]
    weights: Mapping[str, float]
    decisive: bool
    prefactor: Interval | None = None
    residuals: Mapping[tuple[int, int], float] = field(default_factory=dict)
    forecast: Forecast | None = field(default=None, repr=False, compare=False)

    def predict(self, d: int, k: int) -> Interval:
        """n_star at a (d, k) that need not have been run, in the units of n, with its interval.

        Families are averaged by weight, and what thresholds stray from a law is in the interval; it
        knows nothing of a law that changes beyond the thresholds found. Raises `ValueError` for a k
        (or d) that no threshold speaks of, and for a law that was not fitted.
        """
        if self.forecast is None:
            raise ValueError("this law was not fitted to thresholds, so it predicts none")
        return self.forecast(d, k)
