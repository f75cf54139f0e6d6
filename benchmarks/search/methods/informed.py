"""An informed reader: it knows every success curve, and of the law what our search believes.

Shown the same outcomes as our search, it need not find out link, slopes and lapses, which the
`Curve` of each threshold gives away; where thresholds lie it knows from `orchestrator.inference`'s
own prior and from the outcomes only. So its intervals are as narrow as ours could be made by
knowing the curves, while the oracle's also profit from the family's own law.

Given how far the law bends and cells stray from it (a scale), the posterior is a Gaussian over all
log n_star times one likelihood per threshold in its own log n_star: expectation propagation on
nodes, averaged over the scales by evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from benchmarks.search.problems import Trials
from orchestrator.inference.coupling import Coupled, Grids, Normals, couple, normalised, tilt
from orchestrator.inference.likelihood import Table, likely_gaps
from orchestrator.inference.nodes import Nodes, coarseness, refined, seeded
from orchestrator.inference.prior import SCALE_WEIGHTS, prior
from orchestrator.inference.settings import Settings

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

NODES = 128
"""Nodes of each log n_star. Half as many widen intervals of 16 thresholds by 2%."""

SCOUT, SCOUTINGS = len(SCALE_WEIGHTS) - 1, 3
"""The loosest scale lays the nodes at first, so many times: a tight law on coarse nodes finds
masses where there are none."""

LAYINGS = 4
"""Most times that the nodes are laid again by all scales."""

FINE_ENOUGH = 0.12
"""Node spacing, in posterior standard deviations, at which the nodes rest. Chosen by hand."""

GAPS = 4
"""Gaps between tested n that get nodes of their own at first."""

EVEN = 0.3
"""Share of the nodes that follows all scales alike; the rest goes by evidence. Chosen by hand."""

FINER = 10
"""Points for each node, between which the cumulative distribution is taken for straight."""


def informed_interval(trials: Trials) -> Array | None:
    """Ends (2, C) of its 95% intervals, for the problems that the oracle has intervals of.

    A jump between integers is left out: any value between them is right, so who knows that it is
    one needs no interval.
    """
    return None if trials.problem.law is None else quantiles(trials, (0.025, 0.975))


def quantiles(trials: Trials, shares: tuple[float, ...]) -> Array:
    """Quantiles of every log n_star given the outcomes of `trials`: (shares, C)."""
    reading = _Reader(trials).read()
    densities = reading.mixed(reading.weights) / reading.nodes.weights
    rows = zip(reading.nodes.x, densities, strict=True)
    return np.column_stack([_quantiles(x, density, shares) for x, density in rows])


def _quantiles(x: Array, density: Array, shares: tuple[float, ...]) -> Array:
    """Quantiles of a density that is a smooth curve through its values at the nodes."""
    places = np.arange(len(x))
    fine = np.interp(np.linspace(0, places[-1], FINER * len(x)), places, x)
    below = PchipInterpolator(x, density).antiderivative()(fine)
    return np.asarray(np.interp(shares, below / below[-1], fine))


@dataclass(frozen=True)
class _Reading:
    """What is known on `nodes` (C, G): `masses` (C, H, G) under each scale, and their `weights`."""

    nodes: Nodes
    coupled: Coupled
    masses: Array
    weights: Array

    def mixed(self, weights: Array) -> Array:
        """Masses averaged over the scales: (C, G)."""
        return np.asarray(np.einsum("h,chg->cg", weights, self.masses))

    def finer(self) -> Nodes:
        """Nodes that follow the masses found."""
        likely = (self.weights > 0) / (self.weights > 0).sum()
        return refined(self.nodes, self.mixed(EVEN * likely + (1 - EVEN) * self.weights))

    @property
    def is_fine(self) -> bool:
        """Whether the nodes resolve every threshold."""
        return bool(coarseness(self.nodes, self.mixed(self.weights)).max() < FINE_ENOUGH)


class _Reader:
    """The posterior over the C thresholds of one problem."""

    def __init__(self, trials: Trials) -> None:
        asked = trials.problem.asked
        self._believed = prior([(ask.d, ask.k) for ask in asked], asked)
        self._curves = trials.problem.curves
        self._data = [trials.of(i) for i in range(len(asked))]
        self._observed = np.array([i for i, own in enumerate(self._data) if len(own[0])], np.int64)

    def read(self) -> _Reading:
        """Everything, on nodes that are fine where the masses are."""
        nodes, start = self._first_nodes(), None
        for _ in range(SCOUTINGS):
            scouted = self._on(nodes, np.array([SCOUT]), start)
            nodes, start = scouted.finer(), scouted.coupled.sites
        scales = np.arange(len(SCALE_WEIGHTS))
        start = scouted.coupled.sites.rows(np.zeros(len(scales), np.int64))
        reading = self._on(nodes, scales, start)
        for _ in range(LAYINGS):
            if reading.is_fine:
                break
            reading = self._on(reading.finer(), scales, reading.coupled.sites)
        return reading

    def _first_nodes(self) -> Nodes:
        """Evenly over the reach of each cell, and where a jump would hide."""
        counts = [
            tuple(
                (round(n), round(s), round(t - s))
                for n, s, t in zip(np.exp(log_n), won, tried, strict=True)
            )
            for log_n, won, tried in self._data
        ]
        low, high = self._believed.reach.T
        return seeded(low, high, NODES, [likely_gaps(own, GAPS) for own in counts])

    def _on(self, nodes: Nodes, scales: Rows, start: Normals | None) -> _Reading:
        """Everything on these nodes, at these scales; sites to begin with, if there are any."""
        tables = [self._table(i, nodes) for i in range(len(self._curves))]
        seen = [tables[i] for i in self._observed]
        same = np.zeros(len(scales))
        settings = Settings(scales, same, same, same, np.log(SCALE_WEIGHTS)[scales])
        coupled = couple(self._believed, seen, self._observed, np.ones(1), settings, start=start)
        grids = Grids.of(self._believed, np.arange(len(tables)), tables, settings)
        masses = tilt(coupled.cavity, coupled.forms, grids).masses
        weights = normalised(coupled.log_evidence + settings.log_weight)
        return _Reading(nodes, coupled, masses, weights)

    def _table(self, i: int, nodes: Nodes) -> Table:
        """The likelihood of one threshold: of one form, at one slope."""
        m = Nodes(nodes.x[i : i + 1], nodes.weights[i : i + 1])
        log_n, won, tried = self._data[i]
        chance = self._curves[i].if_crossing_at(m.x[0], log_n)
        logs = np.log(chance) @ won + np.log(1 - chance) @ (tried - won)
        return Table(m, np.zeros(1), logs, np.ones((1, len(logs), 1)))
