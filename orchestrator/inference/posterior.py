"""What is known of every asked threshold: intervals, curves, joint draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from orchestrator.inference.marginals import ATOMS, Marginals
from orchestrator.inference.prior import Cell
from orchestrator.inference.threshold import Asked, Tally, Threshold
from orchestrator.inference.verdict import is_settled, judged

Array = NDArray[np.float64]
Bands = tuple[Sequence[float], Sequence[float], Sequence[float]]


class Curve(Protocol):
    """A fitted success curve with its band."""

    def __call__(self, n: Sequence[float]) -> Bands:
        """Posterior median, lower and upper end of the success chance at each n."""


@dataclass(frozen=True)
class Posterior:
    """The posterior of the asked thresholds; made by `psychometric.fit`.

    `marginals` are those of the C cells; `covariance` (H, C, C) says for each of their settings how
    log n_star of different cells depend on each other.
    """

    asked: tuple[Asked, ...]
    tallies: tuple[Tally, ...]
    confidence: float
    tolerance: float
    marginals: Marginals
    covariance: Array
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
        return self.marginals.moments(self.cell(i))

    def quantile(self, i: int, probability: float) -> float:
        """Quantile of log n_star of the i-th asked threshold."""
        return self.marginals.quantile(self.cell(i), probability)

    def below(self, i: int, log_n: float) -> float:
        """Probability that log n_star < log_n."""
        return self.marginals.below(self.cell(i), log_n)

    def gentler(self, i: int, log_slope: float) -> float:
        """Probability that log s < log_slope."""
        return self.marginals.gentler(self.cell(i), log_slope)

    def log_slope(self, i: int, probability: float = 0.5) -> float:
        """Quantile of log s of the i-th asked threshold."""
        return self.marginals.log_slope(self.cell(i), probability)

    def spread(self, i: int) -> tuple[float, float]:
        """Posterior medians of the n at which success is 10% and 90%."""
        return self.marginals.spread(self.cell(i))

    def curve(self, i: int) -> Curve:
        """The success curve with its band: at given n, posterior median, low and high."""
        atoms = self.marginals.atoms(self.cell(i), ATOMS)

        def at(n: Sequence[float]) -> Bands:
            success = self.marginals.success(np.log(np.asarray(n, dtype=np.float64)), atoms)
            tail = (1 - self.confidence) / 2
            bands = np.quantile(success, [0.5, tail, 1 - tail], axis=0)
            return bands[0].tolist(), bands[1].tolist(), bands[2].tolist()

        return at

    def samples(self, count: int, rng: np.random.Generator) -> Array:
        """Joint draws of log n_star: (count, asked).

        Dependence between cells comes from the Gaussians, each cell's own distribution from its
        masses (a Gaussian copula).
        """
        weights, nodes = self.marginals.weights, self.marginals.m
        cells, shares = len(self.cells), (np.arange(count) + 0.5) / count
        setting = np.searchsorted(np.cumsum(weights), shares).clip(0, len(weights) - 1)
        normal = rng.standard_normal((count, cells))
        m = np.empty((count, cells))
        for h in np.unique(setting):
            rows = setting == h
            spread = self.covariance[h]
            scale = np.sqrt(np.diag(spread))
            correlation = spread / np.outer(scale, scale) + 1e-10 * np.eye(cells)
            at = ndtr(normal[rows] @ np.linalg.cholesky(correlation).T)
            cumulative = self.marginals.cumulative(h)
            for cell in range(cells):
                m[rows, cell] = np.interp(at[:, cell], cumulative[cell], nodes.x[cell])
        return m[:, [self.cell(i) for i in range(len(self.asked))]]

    def correlation(self) -> Array:
        """Correlations of log n_star between cells: (C, C), those of the settings, averaged.

        Not those of the average covariance, in which a doubtful law that holds loosely would speak
        louder than a likely one that holds.
        """
        scale = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        each = self.covariance / (scale[:, :, None] * scale[:, None, :])
        return np.asarray(np.einsum("h,hij->ij", self.marginals.weights, each))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All (d, k) that have trials or are asked, sorted."""
        return self.marginals.believed.cells

    def own(self, i: int) -> tuple[Tally, ...]:
        """The tallies of the i-th asked threshold's own cell, ascending in n."""
        return self._by_cell.get((self.asked[i].d, self.asked[i].k), ())

    def cell(self, i: int) -> int:
        """Place of the i-th asked threshold among the cells."""
        return self._places[i]

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
