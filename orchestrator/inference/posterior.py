"""What is known of every asked threshold: intervals, curves, joint draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from orchestrator.inference.coupling import Grids, Normals, Tilted, tilt
from orchestrator.inference.likelihood import Table
from orchestrator.inference.link import Form, chances, offset
from orchestrator.inference.nodes import Nodes, distribution
from orchestrator.inference.prior import Cell, Prior
from orchestrator.inference.settings import Settings
from orchestrator.inference.threshold import Asked, Tally, Threshold
from orchestrator.inference.verdict import is_settled, judged

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Bands = tuple[Sequence[float], Sequence[float], Sequence[float]]

ATOMS = 1_000
"""Draws that stand for one cell's posterior in bands of curves."""


class Curve(Protocol):
    """A fitted success curve with its band."""

    def __call__(self, n: Sequence[float]) -> Bands:
        """Posterior median, lower and upper end of the success chance at each n."""


@dataclass(frozen=True)
class Atoms:
    """Equally likely values that stand for a cell's posterior: (count,) each; form by number."""

    m: Array
    l: Array
    form: Numbers


@dataclass(frozen=True)
class Posterior:
    """The posterior of the asked thresholds; made by `psychometric.fit`.

    H `settings` with `weights` (H,); for each a Gaussian over log n_star of the C cells, which
    carries how cells depend on each other (`mean` (H, C), `covariance` (H, C, C)), and what the
    other cells say of each: `cavity`, Gaussians (H, C) about the prior mean, and `form_words`,
    chances of the forms (H, C, F). A cell's own distribution is that times its likelihood on the
    nodes of its table.
    """

    asked: tuple[Asked, ...]
    tallies: tuple[Tally, ...]
    level: float
    confidence: float
    tolerance: float
    believed: Prior
    forms: tuple[Form, ...]
    settings: Settings
    weights: Array
    mean: Array
    covariance: Array
    cavity: Normals
    form_words: Array
    tables: tuple[Table, ...]
    with_gaps_filled: Array | None = None
    """Medians of log n_star with all gaps as successes and as failures: (2, asked)."""
    _verdicts: dict[int, Threshold] = field(default_factory=dict, repr=False, compare=False)

    def toward(self, confidence: float, tolerance: float) -> "Posterior":
        """The same knowledge, judged by another standard: nothing is fitted again."""
        return replace(self, confidence=confidence, tolerance=tolerance, _verdicts={})

    def threshold(self, i: int) -> Threshold:
        """The answer for the i-th asked threshold as it stands."""
        if i not in self._verdicts:
            self._verdicts[i] = judged(self, i)
        return self._verdicts[i]

    def settled(self, i: int, *, audited: bool = True) -> bool:
        """Whether the i-th threshold needs no more trials; unless `audited`, looks away from the
        crossing may be owed.
        """
        return is_settled(self, i, audited=audited)

    def log_n_star(self, i: int) -> tuple[float, float]:
        """Posterior mean and standard deviation of log n_star."""
        masses, x = self._m_masses[self.cell(i)], self.m.x[self.cell(i)]
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
        return float(np.interp(log_slope, *self._slopes[cell]))

    def log_slope(self, i: int, probability: float = 0.5) -> float:
        """Quantile of log s of the i-th asked threshold."""
        cell = self.cell(i)
        x, cumulative = self._slopes[cell]
        return float(np.interp(probability, cumulative, x))

    def spread(self, i: int) -> tuple[float, float]:
        """Posterior medians of the n at which success is 10% and 90%."""
        atoms = self.atoms(self.cell(i), ATOMS)
        ends = []
        for success in (0.1, 0.9):
            offsets = np.array([offset(f, self.level, success) for f in self.forms])
            logs = np.median(atoms.m + offsets[atoms.form] * np.exp(-atoms.l))
            ends.append(float(np.exp(np.clip(logs, -50, 50))))
        return ends[0], ends[1]

    def curve(self, i: int) -> Curve:
        """The success curve with its band: at given n, posterior median, low and high."""
        atoms = self.atoms(self.cell(i), ATOMS)

        def at(n: Sequence[float]) -> Bands:
            success = self.success(np.log(np.asarray(n, dtype=np.float64)), atoms)
            tail = (1 - self.confidence) / 2
            bands = np.quantile(success, [0.5, tail, 1 - tail], axis=0)
            return bands[0].tolist(), bands[1].tolist(), bands[2].tolist()

        return at

    def success(self, log_n: Array, atoms: Atoms) -> Array:
        """Success chance of each atom at each log n: (count, points)."""
        u = np.exp(atoms.l)[:, None] * (log_n[None, :] - atoms.m[:, None])
        result = np.empty_like(u)
        for number in np.unique(atoms.form):
            rows = atoms.form == number
            result[rows] = chances(self.forms[number], self.level, u[rows])[0]
        return result

    def samples(self, count: int, rng: np.random.Generator) -> Array:
        """Joint draws of log n_star: (count, asked).

        Dependence between cells comes from the Gaussians, each cell's own distribution from its
        masses (a Gaussian copula).
        """
        cells, shares = len(self.cells), (np.arange(count) + 0.5) / count
        setting = np.searchsorted(np.cumsum(self.weights), shares).clip(0, len(self.weights) - 1)
        normal = rng.standard_normal((count, cells))
        m = np.empty((count, cells))
        for h in np.unique(setting):
            rows = setting == h
            spread = self.covariance[h]
            scale = np.sqrt(np.diag(spread))
            correlation = spread / np.outer(scale, scale) + 1e-10 * np.eye(cells)
            at = ndtr(normal[rows] @ np.linalg.cholesky(correlation).T)
            cumulative = distribution(self.m, self._tilted.masses[:, h])
            for cell in range(cells):
                m[rows, cell] = np.interp(at[:, cell], cumulative[cell], self.m.x[cell])
        return m[:, [self.cell(i) for i in range(len(self.asked))]]

    def correlation(self) -> Array:
        """Correlations of log n_star between cells: (C, C), those of the settings, averaged.

        Not those of the average covariance, in which a doubtful law that holds loosely would speak
        louder than a likely one that holds.
        """
        scale = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        each = self.covariance / (scale[:, :, None] * scale[:, None, :])
        return np.asarray(np.einsum("h,hij->ij", self.weights, each))

    def atoms(self, cell: int, count: int) -> Atoms:
        """Equally likely (m, l, form) of one cell, ascending in m."""
        masses = self.masses(cell).transpose(1, 2, 0)
        cumulative = np.cumsum(masses)
        shares = (np.arange(count) + 0.5) / count * cumulative[-1]
        chosen = np.searchsorted(cumulative, shares).clip(0, masses.size - 1)
        g, s, f = np.unravel_index(chosen, masses.shape)
        return Atoms(self.m.x[cell][g], self.tables[cell].l[s], f)

    def masses(self, cell: int) -> Array:
        """One cell's probabilities at its nodes, for each form: (F, G, S), summing to 1."""
        weights = self.weights[:, None] * self.form_words[:, cell]
        bare, across = self._tilted.bare[cell], self._grids.across[cell]
        pairs = weights[:, :, None] * across[:, None, :]
        forms, slopes = pairs.shape[1:]
        shared = (bare.T @ pairs.reshape(len(bare), -1)).reshape(-1, forms, slopes)
        masses = self.tables[cell].relative * shared.transpose(1, 0, 2)
        return np.asarray(masses / masses.sum())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All (d, k) that have trials or are asked, sorted."""
        return self.believed.cells

    def own(self, i: int) -> tuple[Tally, ...]:
        """The tallies of the i-th asked threshold's own cell, ascending in n."""
        return self._by_cell.get((self.asked[i].d, self.asked[i].k), ())

    def cell(self, i: int) -> int:
        """Place of the i-th asked threshold among the cells."""
        return self._places[i]

    @cached_property
    def m(self) -> Nodes:
        """Nodes of log n_star: (C, G)."""
        rows = [table.m for table in self.tables]
        return Nodes(np.concatenate([r.x for r in rows]), np.concatenate([r.weights for r in rows]))

    @cached_property
    def _places(self) -> tuple[int, ...]:
        place = {cell: number for number, cell in enumerate(self.cells)}
        return tuple(place[(ask.d, ask.k)] for ask in self.asked)

    @cached_property
    def _by_cell(self) -> dict[Cell, tuple[Tally, ...]]:
        found: dict[Cell, list[Tally]] = {}
        for tally in self.tallies:
            found.setdefault((tally.d, tally.k), []).append(tally)
        return {cell: tuple(own) for cell, own in found.items()}

    @cached_property
    def _grids(self) -> Grids:
        every = np.arange(len(self.cells))
        return Grids.of(self.believed, every, self.tables, self.settings)

    @cached_property
    def _tilted(self) -> Tilted:
        return tilt(self.cavity, self.form_words, self._grids)

    @cached_property
    def _m_masses(self) -> Array:
        masses = np.einsum("h,chg->cg", self.weights, self._tilted.masses)
        return np.asarray(masses / masses.sum(1, keepdims=True))

    @cached_property
    def _m_cumulative(self) -> Array:
        return distribution(self.m, self._m_masses)

    @cached_property
    def _slopes(self) -> tuple[tuple[Array, Array], ...]:
        """Nodes of log s and its cumulative distribution at them, for each cell."""
        found = []
        for cell, table in enumerate(self.tables):
            masses = self.masses(cell).sum((0, 1))
            cumulative = np.cumsum(masses) - masses / 2
            found.append((table.l, cumulative))
        return tuple(found)
