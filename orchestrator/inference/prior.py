"""What is believed before the first trial: thresholds follow a smooth law, nearly.

For cells x = (log d, log k), standardised to z:

    m = log n_star ~ centre + beta . z + bend(z) + own,  bend ~ GP(0, bend^2 RBF), own ~ N(0, own^2)
    l = log s      ~ a + b (log d - mean) + own,         own ~ N(0, own_slope^2), or far off

Given `bend` and `own` the m of all cells are jointly Gaussian; given a and b the l of different
cells have nothing to do with each other. The four are averaged over (`settings`). The ranges that
were asked are a hint, not a wall: they place the mean, with a wide spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.threshold import Asked

Array = NDArray[np.float64]
Cell = tuple[int, int]

SCALES = ((0.0, 0.02), (0.2, 0.03), (1.2, 0.04), (0.15, 0.15), (0.5, 0.8))
"""(bend, own) in nats, averaged over: a power law, smooth laws that bend more and more, and laws
that hold less and less. Chosen by hand."""

SCALE_WEIGHTS = (0.50, 0.22, 0.15, 0.10, 0.03)
"""Prior weights of the scales. Chosen by hand."""

EXPONENT = 1.0
"""Exponent of d and of k in n_star where all ranges are the same and say nothing of it: harder
problems take more data. Chosen by hand."""

EXPONENT_SD = np.array([1.2, 2.0])
"""Spread of the exponents of d and k in n_star. Chosen by hand; C(d, k) at small k has a large one
in k."""

SLOPE_MEAN, SLOPE_SD = np.log(6.0), 1.5
"""log s of a typical cell: 2.5 to 97.5% is 0.3 to 110. Chosen by hand, to hold Cover (10), GF(2)
rank (19 to 70), nets (3 to 10); integer steps pull it up without bound."""

SLOPE_EXPONENT, SLOPE_EXPONENT_SD = 0.4, 0.4
"""Exponent of d in s: transitions sharpen like sqrt(d) (Cover) to d (GF(2) rank). By hand."""

OWN_SLOPE_SD, OWN_SLOPE_K = 0.25, 0.3
"""Each cell's own deviation of log s from the trend, and what a standard deviation of log k adds to
it in squares. Chosen by hand."""


STRAY_SLOPE, STRAY_SLOPE_SD = 0.06, 2.0
"""Chance that a cell's slope has nothing to do with the others', and its spread about them then:
one threshold may be no threshold at all. Chosen by hand."""

STRAIGHT = 1e-8
"""Directions in which laws bend by a variance below this share of the largest are left out: they
are far below any cell's own deviation."""


@dataclass(frozen=True)
class Prior:
    """Beliefs over C cells.

    `mean`: (C,) of m. For each of `SCALES`, m differs from it by `loads` (scales, C, R) times R
    standard normals, which is the law, plus each cell's own deviation, of spread `own` (scales,).
    `log_d`: (C,), centred; `own_slope`: spread of a cell's own log s. `reach`: (C, 2), log n
    between which a cell's threshold is sought at all, pads included.
    """

    cells: tuple[Cell, ...]
    mean: Array
    loads: Array
    own: Array
    log_d: Array
    own_slope: float
    reach: Array

    @property
    def covariance(self) -> Array:
        """Covariance of m for each scale: (scales, C, C)."""
        own = self.own[:, None, None] ** 2 * np.eye(len(self.mean))
        return np.asarray(self.loads @ self.loads.transpose(0, 2, 1) + own)


def prior(cells: Sequence[Cell], asked: Sequence[Asked]) -> Prior:
    """The prior over `cells`, sorted and distinct, from the ranges that were asked."""
    z, spread = _standardised(cells)
    middle, half = _ranges(cells, asked)
    level = np.full(len(cells), 0.6 * half.max() + 0.7)
    power, bent = np.column_stack([level, z * (EXPONENT_SD * spread)]), _bends(z)
    return Prior(
        cells=tuple(cells),
        mean=np.column_stack([np.ones(len(cells)), z]) @ _law_of_middles(z, middle, spread),
        loads=np.stack([np.column_stack([power, bend * bent]) for bend, _ in SCALES]),
        own=np.array([own for _, own in SCALES]),
        log_d=spread[0] * z[:, 0],
        own_slope=float(np.hypot(OWN_SLOPE_SD, OWN_SLOPE_K * spread[1])),
        reach=np.column_stack([middle - half - PAD, middle + half + PAD]),
    )


SAME = 1e-9
"""Nats by which the middles of equal ranges may differ in rounding."""

PAD = 3.0
"""Nats beyond an asked range in which a threshold is still told apart from the range's end."""


def _standardised(cells: Sequence[Cell]) -> tuple[Array, Array]:
    """z: (C, 2) and the spreads of log d and log k that were divided out: (2,), 0 if constant."""
    logs = np.log(np.asarray(cells, dtype=np.float64))
    centred = logs - logs.mean(0)
    spread = np.sqrt((centred**2).mean(0))
    return centred / np.where(spread > 1e-9, spread, 1.0), np.where(spread > 1e-9, spread, 0.0)


def _bends(z: Array) -> Array:
    """A root (C, R) of the covariance exp(-|z - z'|^2 / 2), by its eigenvectors."""
    apart = ((z[:, None, :] - z[None, :, :]) ** 2).sum(2)
    values, vectors = np.linalg.eigh(np.exp(-0.5 * apart))
    kept = values > STRAIGHT * values[-1]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _ranges(cells: Sequence[Cell], asked: Sequence[Asked]) -> tuple[Array, Array]:
    """Middle and half width of each cell's range in log n; cells not asked span all ranges."""
    low: dict[Cell, float] = {}
    high: dict[Cell, float] = {}
    for ask in asked:
        cell = (ask.d, ask.k)
        low[cell] = min(low.get(cell, np.inf), np.log(ask.low))
        high[cell] = max(high.get(cell, -np.inf), np.log(ask.high))
    lowest, highest = min(low.values()), max(high.values())
    ends = np.array([(low.get(c, lowest), high.get(c, highest)) for c in cells])
    return ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2


def _law_of_middles(z: Array, middle: Array, spread: Array) -> Array:
    """Coefficients (1 + 2,) of (1, z): least squares on the ranges' middles, of least norm; where
    those are all the same, the middle and `EXPONENT`.
    """
    if np.ptp(middle) < SAME:
        return np.array([middle[0], *(EXPONENT * spread)])
    design = np.column_stack([np.ones(len(z)), z])
    return np.asarray(np.linalg.lstsq(design, middle, rcond=1e-9)[0])
