"""The settings that are averaged over: scale of the remainder, level a and exponent b of slopes.

Slopes are common knowledge of all cells: how far every threshold may lie from where outcomes turn
depends on them together. A Gaussian over thresholds and slopes at once cannot say that a gentle
slope widens all thresholds (it understated their spread by half), so a is put on a grid, and the
grid follows the evidence. The exponent b matters less: its posterior is found, and its spread is
added to that of each cell's own slope.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.prior import (
    SLOPE_EXPONENT,
    SLOPE_EXPONENT_SD,
    SLOPE_MEAN,
    SLOPE_SD,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

A_OFFSETS: Array = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
"""Grid of a, in standard deviations about the mean."""

B_OFFSETS: Array = np.array([-1.3, 0.0, 1.3])
"""Values of b at which evidence is looked at, likewise."""

COARSE, NARROWEST = 0.8, 0.1
"""Where weights spread less than this share of the grid's own spread, a parabola through the three
logs at the top tells their spread, of which a grid may lose nine tenths at a time."""

NEAR, NARROWER, WIDER = 0.4, 0.6, 1.25
"""A grid may stay with a mean so far away, in its spreads, and with a spread of between so many of
its own: points that lie too densely lose the tails, those too far apart next to nothing."""

NEGLIGIBLE = 2e-3
"""Weight, as a share of the largest, below which a grid point is left out. Chosen by hand."""


@dataclass(frozen=True)
class Grid:
    """Means and spreads of a and b about which the grid is laid; spread 0 leaves one point."""

    a: float
    sd_a: float
    b: float
    sd_b: float

    @staticmethod
    def believed(several_d: bool) -> "Grid":
        """The prior's; without several d there is no exponent."""
        return Grid(
            float(SLOPE_MEAN), SLOPE_SD, SLOPE_EXPONENT, SLOPE_EXPONENT_SD if several_d else 0.0
        )

    def toward(self, a: tuple[Array, Array], b: tuple[Array, Array]) -> "Grid":
        """The grid that values of a and of b, each with their weights, ask for."""
        return Grid(*_moments(*a, self.sd_a), *_moments(*b, self.sd_b))

    def is_near(self, other: "Grid") -> bool:
        """Whether the two would give about the same average."""
        return all(
            abs(mine - theirs) <= NEAR * spread
            and NARROWER * spread <= their_spread <= WIDER * spread
            for mine, theirs, spread, their_spread in (
                (self.a, other.a, self.sd_a, other.sd_a),
                (self.b, other.b, self.sd_b, other.sd_b),
            )
        )


def _moments(values: Array, weights: Array, spread: float) -> tuple[float, float]:
    mean = float(weights @ values)
    found = float(np.sqrt(weights @ (values - mean) ** 2))
    if found < COARSE * spread:
        mean, found = _at_top(values, np.log(np.maximum(weights, 1e-30)), spread)
    return mean, max(found, NARROWEST * spread)


def _at_top(values: Array, logs: Array, spread: float) -> tuple[float, float]:
    """Mean and spread of the Gaussian through the largest of `logs` and its neighbours, even apart;
    at an end of the grid that end itself, and half of the grid's own `spread`.
    """
    top = int(logs.argmax())
    if not 0 < top < len(values) - 1:
        return float(values[top]), spread / 2
    step = float(values[top] - values[top - 1])
    rise, fall = float(logs[top] - logs[top - 1]), float(logs[top] - logs[top + 1])
    return float(values[top]) + step / 2 * (rise - fall) / (rise + fall), step / (
        rise + fall
    ) ** 0.5


@dataclass(frozen=True)
class Settings:
    """H settings: number of the scale, a, b, spread of b, and log prior weight: (H,) each."""

    scale: Rows
    a: Array
    b: Array
    sd_b: Array
    log_weight: Array

    @staticmethod
    def on(grid: Grid) -> "Settings":
        """All a of the grid, at scale 0."""
        a = grid.a + grid.sd_a * A_OFFSETS
        return _settings(a, np.full(len(a), grid.b), np.full(len(a), grid.sd_b), 0)

    @staticmethod
    def about(grid: Grid, scale: int, log_weight: float) -> "Settings":
        """One scale, of that log weight, at several b, to see where b is; one without a spread."""
        b = grid.b + grid.sd_b * (B_OFFSETS if grid.sd_b else np.zeros(1))
        found = _settings(np.full(len(b), grid.a), b, np.zeros(len(b)), scale)
        return replace(found, log_weight=found.log_weight + log_weight)

    def and_also(self, other: "Settings") -> "Settings":
        """These, then the others."""
        return Settings(
            np.concatenate([self.scale, other.scale]),
            np.concatenate([self.a, other.a]),
            np.concatenate([self.b, other.b]),
            np.concatenate([self.sd_b, other.sd_b]),
            np.concatenate([self.log_weight, other.log_weight]),
        )

    def at(self, rows: Rows) -> "Settings":
        """Some of them."""
        return Settings(
            self.scale[rows], self.a[rows], self.b[rows], self.sd_b[rows], self.log_weight[rows]
        )

    def slopes(self) -> "Settings":
        """The distinct slopes among them, of scale 0."""
        _, rows = np.unique(self.a, return_index=True)
        return _settings(self.a[rows], self.b[rows], self.sd_b[rows], 0)

    def with_scales(self, log_weights: Array) -> tuple["Settings", Rows]:
        """Each of them with every scale, whose log weights are given, and the number of the one
        each came from.
        """
        scales, origin = np.meshgrid(
            np.arange(len(log_weights)), np.arange(len(self.a)), indexing="ij"
        )
        scale, rows = scales.ravel(), origin.ravel()
        log_weight = self.log_weight[rows] + log_weights[scale]
        return replace(self.at(rows), scale=scale, log_weight=log_weight), rows


def _settings(a: Array, b: Array, sd_b: Array, scale: int) -> Settings:
    log_weight = -0.5 * ((a - SLOPE_MEAN) / SLOPE_SD) ** 2
    log_weight = log_weight - 0.5 * ((b - SLOPE_EXPONENT) / SLOPE_EXPONENT_SD) ** 2
    return Settings(np.full(len(a), scale), a, b, sd_b, log_weight)
