"""Success curves whose crossing is known exactly."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

Array = NDArray[np.float64]
Link = Literal["probit", "logistic", "early", "late", "jump"]

LEVEL = 0.5
"""The level at which every threshold of the suite is asked."""

NEVER = 1e-12
"""Chance of an outcome that a curve rules out, for those who reason from curves. By hand."""

AS_LOGISTIC = 4 / math.sqrt(2 * math.pi)
"""Slope of the logistic curve that rises as fast at its middle as a probit of slope 1."""


@dataclass(frozen=True)
class Dip:
    """Success falls back to the low lapse between two log n, as double descent makes it.

    `end` is infinite where it never rises again; `slope` is that of both flanks, logistic.
    """

    start: float
    end: float
    slope: float

    def keeps(self, log_n: Array) -> Array:
        """The share of success that the dip leaves."""
        return np.asarray(
            expit(self.slope * (self.start - log_n)) + expit(self.slope * (log_n - self.end))
        )


@dataclass(frozen=True)
class Curve:
    """P(success) = low + (1 - low - high) * link(slope * (log n - centre)) with lapses low, high.

    `early` is the Gumbel link 1 - exp(-e^u), `late` its mirror image, `jump` a step: 0 up to the
    whole number below exp(centre), 1 above it, so any value between the two is its threshold.
    """

    link: Link
    centre: float
    slope: float
    lapse_low: float = 0.0
    lapse_high: float = 0.0
    dip: Dip | None = None

    def __call__(self, log_n: Array) -> Array:
        """P(success) at each log n."""
        log_n = np.asarray(log_n, dtype=np.float64)
        rise = self._link(self.slope * (log_n - self.centre))
        if self.dip is not None:
            rise = rise * np.minimum(self.dip.keeps(log_n), 1.0)
        return self.lapse_low + (1 - self.lapse_low - self.lapse_high) * rise

    def if_crossing_at(self, log_n_star: Array, log_n: Array) -> Array:
        """P(success) at each log n (N,) if the curve were moved to cross at each of (M,): (M, N).

        Kept off 0 and 1, so that a jump rules nothing out for good.
        """
        chance = self(log_n[None, :] - log_n_star[:, None] + self.log_n_star)
        return np.clip(chance, NEVER, 1 - NEVER)

    def _link(self, u: Array) -> Array:
        if self.link == "probit":
            return np.asarray(ndtr(u))
        if self.link == "logistic":
            return np.asarray(expit(u))
        if self.link == "jump":
            return np.asarray(u > 0, dtype=np.float64)
        if self.link == "early":
            return -np.expm1(-np.exp(np.minimum(u, 6.0)))
        return np.asarray(np.exp(-np.exp(np.minimum(-u, 6.0))))

    def _middle(self) -> float:
        """The u at which success is `LEVEL`."""
        anchor = (LEVEL - self.lapse_low) / (1 - self.lapse_low - self.lapse_high)
        if self.link == "early":
            return math.log(-math.log1p(-anchor))
        if self.link == "late":
            return -math.log(-math.log(anchor))
        assert abs(anchor - 0.5) < 1e-12, "symmetric links take symmetric lapses"
        return 0.0

    @property
    def log_n_star(self) -> float:
        """Where success reaches `LEVEL`, in log n, dips apart."""
        return self.centre + self._middle() / self.slope

    @property
    def truth(self) -> tuple[float, float]:
        """Lowest and highest right answer in log n: one value, or the step of a jump."""
        if self.link != "jump":
            return self.log_n_star, self.log_n_star
        below = math.ceil(math.exp(self.centre)) - 1
        return math.log(max(below, 0.5)), math.log(below + 1)

    @property
    def information(self) -> float:
        """Fisher information on log n_star of one outcome at the crossing; infinite in a jump."""
        if self.link == "jump":
            return math.inf
        ends = self(np.array([self.log_n_star - 1e-5, self.log_n_star + 1e-5]))
        return float(((ends[1] - ends[0]) / 2e-5) ** 2 / (LEVEL * (1 - LEVEL)))


def crossing_at(
    link: Link, log_n_star: float, slope: float, lapse_low: float = 0.0, lapse_high: float = 0.0
) -> Curve:
    """The curve that reaches `LEVEL` at `log_n_star`."""
    curve = Curve(link, 0.0, slope, lapse_low, lapse_high)
    return Curve(link, log_n_star - curve.log_n_star, slope, lapse_low, lapse_high)
