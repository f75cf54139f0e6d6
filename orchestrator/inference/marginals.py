"""What is known of each cell by itself: distributions of log n_star, of the slope, of the curve."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.coupling import Grids, Normals, Tilted, tilt
from orchestrator.inference.likelihood import Table
from orchestrator.inference.link import Form, chances, offset
from orchestrator.inference.nodes import Nodes, distribution
from orchestrator.inference.prior import Prior
from orchestrator.inference.settings import Settings

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

ATOMS = 1_000
"""Draws that stand for one cell's posterior in bands of curves."""


@dataclass(frozen=True)
class Atoms:
    """Equally likely values that stand for a cell's posterior: (count,) each; form by number."""

    m: Array
    l: Array
    form: Numbers


@dataclass(frozen=True)
class Marginals:
    """The distributions of C cells, each by its place, averaged over H `settings`.

    `weights`: (H,). For each setting, what the other cells say of each: `cavity`, Gaussians (H, C)
    about the prior mean, and `form_words`, chances of the forms (H, C, F). A cell's own
    distribution is that times its likelihood on the nodes of its table. What is worked out once is
    kept.
    """

    level: float
    believed: Prior
    forms: tuple[Form, ...]
    settings: Settings
    weights: Array
    cavity: Normals
    form_words: Array
    tables: tuple[Table, ...]
    _spreads: dict[int, tuple[float, float]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def moments(self, cell: int) -> tuple[float, float]:
        """Mean and standard deviation of log n_star."""
        masses, x = self._masses[cell], self.m.x[cell]
        mean = float(masses @ x)
        return mean, float(np.sqrt(masses @ (x - mean) ** 2))

    def quantile(self, cell: int, probability: float) -> float:
        """Quantile of log n_star."""
        return float(np.interp(probability, self._cumulative[cell], self.m.x[cell]))

    def below(self, cell: int, log_n: float) -> float:
        """Probability that log n_star < log_n."""
        return float(np.interp(log_n, self.m.x[cell], self._cumulative[cell]))

    def gentler(self, cell: int, log_slope: float) -> float:
        """Probability that log s < log_slope."""
        return float(np.interp(log_slope, *self._slopes[cell]))

    def log_slope(self, cell: int, probability: float) -> float:
        """Quantile of log s."""
        x, cumulative = self._slopes[cell]
        return float(np.interp(probability, cumulative, x))

    def spread(self, cell: int) -> tuple[float, float]:
        """Medians of the n at which success is 10% and 90%."""
        if cell not in self._spreads:
            atoms = self.atoms(cell, ATOMS)
            width = np.exp(-atoms.l)
            logs = [np.median(atoms.m + ends[atoms.form] * width) for ends in self._ends]
            low, high = np.exp(np.clip(logs, -50, 50)).tolist()
            self._spreads[cell] = low, high
        return self._spreads[cell]

    def success(self, log_n: Array, atoms: Atoms) -> Array:
        """Success chance of each atom at each log n: (count, points)."""
        u = np.exp(atoms.l)[:, None] * (log_n[None, :] - atoms.m[:, None])
        result = np.empty_like(u)
        for number in np.unique(atoms.form):
            rows = atoms.form == number
            result[rows] = chances(self.forms[number], self.level, u[rows])[0]
        return result

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
        tilted, across = self._tilted
        bare = tilted.bare[cell]
        pairs = weights[:, :, None] * across[cell][:, None, :]
        forms, slopes = pairs.shape[1:]
        shared = (bare.T @ pairs.reshape(len(bare), -1)).reshape(-1, forms, slopes)
        masses = self.tables[cell].relative * shared.transpose(1, 0, 2)
        return np.asarray(masses / masses.sum())

    def cumulative(self, setting: int) -> Array:
        """Distributions of log n_star at the nodes of all cells given one setting: (C, G)."""
        return distribution(self.m, self._tilted[0].masses[:, setting])

    @cached_property
    def m(self) -> Nodes:
        """Nodes of log n_star: (C, G)."""
        rows = [table.m for table in self.tables]
        return Nodes(np.concatenate([r.x for r in rows]), np.concatenate([r.weights for r in rows]))

    @cached_property
    def _tilted(self) -> tuple[Tilted, Array]:
        """The cells' distributions for each setting, and the weights of the nodes of l."""
        every = np.arange(len(self.tables))
        grids = Grids.of(self.believed, every, self.tables, self.settings)
        return tilt(self.cavity, self.form_words, grids), grids.across

    @cached_property
    def _masses(self) -> Array:
        masses = np.einsum("h,chg->cg", self.weights, self._tilted[0].masses)
        return np.asarray(masses / masses.sum(1, keepdims=True))

    @cached_property
    def _cumulative(self) -> Array:
        return distribution(self.m, self._masses)

    @cached_property
    def _slopes(self) -> tuple[tuple[Array, Array], ...]:
        """Nodes of log s and its cumulative distribution at them, for each cell."""
        found = []
        for cell, table in enumerate(self.tables):
            masses = self.masses(cell).sum((0, 1))
            found.append((table.l, np.cumsum(masses) - masses / 2))
        return tuple(found)

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        """The u = s (log n - m) at which success is 10% and 90%, for each form."""
        low, high = (
            np.array([offset(form, self.level, success) for form in self.forms])
            for success in (0.1, 0.9)
        )
        return low, high
