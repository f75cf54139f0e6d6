"""What is known of every asked threshold: intervals, curves, joint draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from orchestrator.inference.link import Form, chances, offset
from orchestrator.inference.nodes import Nodes, distribution
from orchestrator.inference.prior import Cell
from orchestrator.inference.threshold import Asked, Tally, Threshold
from orchestrator.inference.verdict import is_settled, judged

Array = NDArray[np.float64]
Bands = tuple[Sequence[float], Sequence[float], Sequence[float]]

ATOMS = 1_000
"""Draws that stand for one cell's posterior in bands of curves."""


class Curve(Protocol):
    """A fitted success curve with its band."""

    def __call__(self, n: Sequence[float]) -> Bands:
        """Posterior median, lower and upper end of the success chance at each n."""


@dataclass(frozen=True)
class Draws:
    """Joint draws: m = log n_star and l = log s, (count, cells); `form`: (count,), by number."""

    m: Array
    l: Array
    form: NDArray[np.int64]


@dataclass(frozen=True)
class Posterior:
    """The posterior of the asked thresholds; made by `psychometric.fit`.

    H settings with `weights` (H,) and `forms` (H); for each a Gaussian over (m, l) of the C cells
    that carries how cells depend on each other (`mean`, `covariance`), and each cell's own
    distribution `masses` (C, H, G, S) on the nodes `m` (C, G) and `l` (C, S).
    """

    asked: tuple[Asked, ...]
    tallies: tuple[Tally, ...]
    level: float
    confidence: float
    tolerance: float
    cells: tuple[Cell, ...]
    forms: tuple[Form, ...]
    weights: Array
    mean: Array
    covariance: Array
    masses: Array
    m: Nodes
    l: Nodes
    with_gaps_filled: Array | None = None
    """Medians of log n_star with all gaps as successes and as failures: (2, asked)."""
    _verdicts: dict[int, Threshold] = field(default_factory=dict, repr=False, compare=False)

    def threshold(self, i: int) -> Threshold:
        """The answer for the i-th asked threshold as it stands."""
        if i not in self._verdicts:
            self._verdicts[i] = judged(self, i)
        return self._verdicts[i]

    def settled(self, i: int) -> bool:
        """Whether the i-th threshold needs no more trials."""
        return is_settled(self, i)

    def log_n_star(self, i: int) -> tuple[float, float]:
        """Posterior mean and standard deviation of log n_star."""
        masses = self._m_masses[self.cell(i)]
        x = self.m.x[self.cell(i)]
        mean = float(masses @ x)
        return mean, float(np.sqrt(masses @ (x - mean) ** 2))

    def quantile(self, i: int, probability: float) -> float:
        """Quantile of log n_star of the i-th asked threshold."""
        cell = self.cell(i)
        return float(np.interp(probability, self._m_cumulative[cell], self.m.x[cell]))

    def below(self, i: int, log_n: float) -> float:
        """Probability that log n_star < log_n."""
        cell = self.cell(i)
        return float(np.interp(log_n, self.m.x[cell], self._m_cumulative[cell]))

    def gentler(self, i: int, log_slope: float) -> float:
        """Probability that log s < log_slope."""
        cell = self.cell(i)
        return float(np.interp(log_slope, self.l.x[cell], self._l_cumulative[cell]))

    def log_slope(self, i: int, probability: float = 0.5) -> float:
        """Quantile of log s of the i-th asked threshold."""
        cell = self.cell(i)
        return float(np.interp(probability, self._l_cumulative[cell], self.l.x[cell]))

    def spread(self, i: int) -> tuple[float, float]:
        """Posterior medians of the n at which success is 10% and 90%."""
        m, l, form = self._atoms(self.cell(i))
        ends = []
        for success in (0.1, 0.9):
            offsets = np.array([offset(f, self.level, success) for f in self.forms])
            ends.append(float(np.exp(np.clip(np.median(m + offsets[form] * np.exp(-l)), -50, 50))))
        return ends[0], ends[1]

    def curve(self, i: int) -> Curve:
        """The success curve with its band: at given n, posterior median, low and high."""
        cell = self.cell(i)

        def at(n: Sequence[float]) -> Bands:
            m, l, form = self._atoms(cell)
            log_n = np.log(np.asarray(n, dtype=np.float64))
            success = self.success(log_n, m, l, form)
            tail = (1 - self.confidence) / 2
            bands = np.quantile(success, [0.5, tail, 1 - tail], axis=0)
            return bands[0].tolist(), bands[1].tolist(), bands[2].tolist()

        return at

    def success(self, log_n: Array, m: Array, l: Array, form: NDArray[np.int64]) -> Array:
        """Success chance of each draw (m, l, form: (draws,)) at each log n: (draws, points)."""
        u = np.exp(l)[:, None] * (log_n[None, :] - m[:, None])
        result = np.empty_like(u)
        for number in np.unique(form):
            rows = form == number
            result[rows] = chances(self.forms[number], self.level, u[rows])[0]
        return result

    def samples(self, count: int, rng: np.random.Generator) -> Array:
        """Joint draws of log n_star: (count, asked)."""
        order = [self.cell(i) for i in range(len(self.asked))]
        return self.draws(count, rng).m[:, order]

    def draws(self, count: int, rng: np.random.Generator) -> Draws:
        """Joint draws over all cells.

        Dependence between cells comes from the Gaussian, each cell's own distribution from its
        masses (a Gaussian copula): quantiles of m, then of l given the nearest node of m.
        """
        cells = len(self.cells)
        shares = (np.arange(count) + 0.5) / count
        form = np.searchsorted(np.cumsum(self.weights), shares).clip(0, len(self.weights) - 1)
        normal = rng.standard_normal((count, 2 * cells))
        m, l = np.empty((count, cells)), np.empty((count, cells))
        for h in np.unique(form):
            rows = form == h
            m[rows], l[rows] = self._draw_setting(int(h), normal[rows])
        return Draws(m, l, form)

    def _draw_setting(self, h: int, normal: Array) -> tuple[Array, Array]:
        count = len(self.cells)
        spread = self.covariance[h]
        scale = np.sqrt(np.diag(spread))
        correlation = spread / np.outer(scale, scale) + 1e-10 * np.eye(2 * count)
        standard = normal @ np.linalg.cholesky(correlation).T
        own = np.arange(count)
        slant = np.clip(correlation[own, own + count], -0.9999, 0.9999)
        residual = (standard[:, count:] - slant * standard[:, :count]) / np.sqrt(1 - slant**2)
        at_m, at_l = ndtr(standard[:, :count]), ndtr(residual)
        cumulative = distribution(self.m, self.masses[:, h].sum(2))
        m, l = np.empty_like(at_m), np.empty_like(at_l)
        for cell in range(count):
            x = self.m.x[cell]
            m[:, cell] = np.interp(at_m[:, cell], cumulative[cell], x)
            node = np.searchsorted((x[1:] + x[:-1]) / 2, m[:, cell])
            l[:, cell] = self._conditional(h, cell, node, at_l[:, cell])
        return m, l

    def _conditional(self, h: int, cell: int, node: NDArray[np.int64], share: Array) -> Array:
        """Quantiles of l given the node of m, one per draw."""
        rows = self.masses[cell, h] + 1e-300
        cumulative = np.cumsum(rows, axis=1)
        cumulative = (cumulative - rows / 2) / cumulative[:, -1:]
        table = cumulative[node]
        place = (table < share[:, None]).sum(1).clip(1, table.shape[1] - 1)
        own = np.arange(len(node))
        left, right = table[own, place - 1], table[own, place]
        part = np.clip((share - left) / np.maximum(right - left, 1e-12), 0.0, 1.0)
        x = self.l.x[cell]
        return np.asarray(x[place - 1] + part * (x[place] - x[place - 1]))

    def cell(self, i: int) -> int:
        """Place of the i-th asked threshold among the cells."""
        return self._places[i]

    @cached_property
    def _places(self) -> tuple[int, ...]:
        place = {cell: number for number, cell in enumerate(self.cells)}
        return tuple(place[(ask.d, ask.k)] for ask in self.asked)

    @cached_property
    def _m_masses(self) -> Array:
        masses = np.einsum("h,chgs->cg", self.weights, self.masses)
        return np.asarray(masses / masses.sum(1, keepdims=True))

    @cached_property
    def _m_cumulative(self) -> Array:
        return distribution(self.m, self._m_masses)

    @cached_property
    def _l_cumulative(self) -> Array:
        return distribution(self.l, np.einsum("h,chgs->cs", self.weights, self.masses))

    def _atoms(self, cell: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """Nodes (m, l, form) of one cell, as often as their mass deserves: (ATOMS,) each."""
        masses = (self.weights[:, None, None] * self.masses[cell]).ravel()
        shares = (np.arange(ATOMS) + 0.5) / ATOMS * masses.sum()
        chosen = np.searchsorted(np.cumsum(masses), shares).clip(0, len(masses) - 1)
        h, g, s = np.unravel_index(chosen, self.masses[cell].shape)
        return self.m.x[cell][g], self.l.x[cell][s], h
