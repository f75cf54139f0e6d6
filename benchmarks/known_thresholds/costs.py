"""What one system costs by search, by grid and by oracle, and whether that is good enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from benchmarks.known_thresholds.bound import (
    Bound,
    Price,
    bound,
    price_of,
    variance_wanted,
)
from benchmarks.known_thresholds.runs import Grid, Place, Runs
from benchmarks.known_thresholds.systems import Array, System
from benchmarks.known_thresholds.training import Found, Tried
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.psychometric import fit
from orchestrator.inference.threshold import Tally
from orchestrator.inference.verdict import in_one_step
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.spec.theory import TheoryValue

CHEAPER = 20
"""How many times cheaper than the grid a search has to be, where an oracle is."""

DEARER = 2
"""How many times the oracle a search may cost, where an oracle is not so cheap."""


@dataclass(frozen=True)
class Cost:
    """Trials with their CPU seconds, and their wall seconds where they were measured."""

    trials: float
    cpu_s: float
    wall_s: float = 0.0

    @classmethod
    def of(cls, tried: Sequence[Tried]) -> "Cost":
        """What was tried."""
        return cls(
            sum(one.trials + one.gaps for one in tried),
            sum(one.cpu_s for one in tried),
            sum(one.wall_s for one in tried),
        )

    def times(self, factor: float) -> "Cost":
        """So many times that."""
        return Cost(factor * self.trials, factor * self.cpu_s, factor * self.wall_s)


def total(costs: Sequence[Cost]) -> Cost:
    """All of them together."""
    return Cost(
        sum(cost.trials for cost in costs),
        sum(cost.cpu_s for cost in costs),
        sum(cost.wall_s for cost in costs),
    )


@dataclass(frozen=True)
class Costs:
    """Search (mean over seeds), grid and oracle side by side; ratios are of CPU seconds.

    `as_packed` are the seconds that the search's trials would take in the grid's packs, which
    hold more trials of one shape.
    """

    search: Cost
    grid: Cost
    oracle: Cost
    as_packed: float

    @classmethod
    def of(cls, rows: Sequence["Row"]) -> "Costs":
        """Those of all these thresholds together."""
        each = [row.costs for row in rows]
        return cls(
            search=total([costs.search for costs in each]),
            grid=total([costs.grid for costs in each]),
            oracle=total([costs.oracle for costs in each]),
            as_packed=sum(costs.as_packed for costs in each),
        )

    @property
    def cheaper(self) -> float:
        """How many times cheaper than the grid the search is."""
        return self.grid.cpu_s / self.search.cpu_s

    @property
    def allowed(self) -> float:
        """How many times cheaper than the grid the oracle is."""
        return self.grid.cpu_s / self.oracle.cpu_s

    @property
    def dearer(self) -> float:
        """How many times dearer than the oracle the search is."""
        return self.search.cpu_s / self.oracle.cpu_s

    @property
    def alike(self) -> "Costs":
        """The same if the search's trials were packed as the grid's."""
        return replace(self, search=replace(self.search, cpu_s=self.as_packed))

    @property
    def verdict(self) -> str:
        """Which half of the goal is met, or missed."""
        if self.cheaper >= CHEAPER:
            return f"{CHEAPER}x reached"
        if self.allowed >= CHEAPER:
            return f"SHORT of {CHEAPER}x, which the bound allows"
        return "within twice the bound" if self.dearer <= DEARER else "SHORT of twice the bound"

    @property
    def is_good(self) -> bool:
        """Whether the goal is met."""
        return not self.verdict.startswith("SHORT")


@dataclass(frozen=True)
class Row:
    """One threshold: as each search found it, what theory and all trials say, what it cost."""

    system: System
    spec: ExperimentSpec
    place: Place
    found: tuple[Found, ...]
    theory: TheoryValue
    pooled: float
    costs: Costs
    repeats: int

    def is_known(self, found: Found) -> bool:
        """Whether the interval is as narrow as asked, or within one integer step."""
        if found.status != "found":
            return False
        assert found.n_star is not None
        assert found.low is not None
        assert found.high is not None
        wide = found.high - found.low > 2 * self.spec.search.tolerance * found.n_star
        return not wide or in_one_step(found.low, found.high)

    def off(self, found: Found) -> float:
        """How far from theory, in the system's unit; infinite where nothing was found."""
        if found.n_star is None:
            return math.inf
        return self.system.off(found.n_star, self.theory.n_star)

    @property
    def good(self) -> int:
        """In how many searches it was known as asked and close to theory."""
        return sum(self.is_known(f) and abs(self.off(f)) <= self.system.within for f in self.found)


def judged(system: System, runs: Sequence[Runs]) -> list[Row]:
    """Every threshold of a system."""
    return [row for one in runs for row in _rows(system, one)]


def _rows(system: System, runs: Runs) -> list[Row]:
    posteriors = {arm.index: _fitted(runs, arm) for arm in runs.spec.arms}
    return [
        _row(system, runs, place, grid, posteriors[place.arm.index])
        for place, grid in zip(runs.places, runs.grids, strict=True)
    ]


def _row(system: System, runs: Runs, place: Place, grid: Grid, posterior: Posterior) -> Row:
    theory = runs.spec.theory_at(place.arm, place.asked.d, place.asked.k)
    assert theory is not None
    searched = [place.own(search.tried) for search in runs.searches]
    in_grid, in_search = _price(grid.tried), _price([one for own in searched for one in own])
    least = _oracle(system, runs.spec, place, lambda n: min(in_grid(n), in_search(n)), posterior)
    return Row(
        system=system,
        spec=runs.spec,
        place=place,
        found=tuple(one for search in runs.searches for one in place.own(search.found)),
        theory=theory,
        pooled=_n_star(posterior, place),
        costs=Costs(
            search=total([Cost.of(tried) for tried in searched]).times(1 / len(searched)),
            grid=Cost.of(grid.tried).times(grid.scale),
            oracle=Cost(least.trials, least.seconds),
            as_packed=fmean(sum(in_grid(t.n) * t.trials for t in tried) for tried in searched),
        ),
        repeats=grid.repeats,
    )


def _oracle(
    system: System, spec: ExperimentSpec, place: Place, price: Price, posterior: Posterior
) -> Bound:
    """The bound, with the closed form of the curve where there is one, else the fitted one."""
    i, d, exact = posterior.asked.index(place.asked), place.asked.d, system.exact
    fitted, (n10, n90) = posterior.curve(i), posterior.spread(i)
    n_star = _n_star(posterior, place)

    def curve(n: Array) -> Array:
        return exact(d, n) if exact else np.asarray(fitted(n.tolist())[0])

    return bound(
        curve,
        width=math.log(n90 / n10),
        n_star=n_star,
        wanted=variance_wanted(n_star, spec.search.tolerance, spec.search.confidence),
        price=price,
    )


def _n_star(posterior: Posterior, place: Place) -> float:
    return math.exp(posterior.quantile(posterior.asked.index(place.asked), 0.5))


def _price(tried: Sequence[Tried]) -> Price:
    """What a trial cost in the packs of these."""
    return price_of(
        [one.n for one in tried],
        [one.cpu_s for one in tried],
        [one.trials + one.gaps for one in tried],
    )


def _fitted(runs: Runs, arm: Arm) -> Posterior:
    """The curves of an arm from all trials at hand, those of every search and of the grids."""
    asked, search = runs.spec.asked(arm), runs.spec.search
    tried = [one for trained in runs.searches for one in trained.tried if one.arm == arm.index]
    tried += [
        one
        for place, grid in zip(runs.places, runs.grids, strict=True)
        if place.arm is arm
        for one in grid.tried
    ]
    tallies = [Tally(one.d, one.k, one.n, one.successes, one.trials, one.gaps) for one in tried]
    return fit(
        asked,
        tallies,
        level=search.level,
        confidence=search.confidence,
        tolerance=search.tolerance,
    )
