"""What has to be trained for one system: searches at several seeds, grids around thresholds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.known_thresholds.records import Records
from benchmarks.known_thresholds.systems import REPEATS, System, grid_at
from benchmarks.known_thresholds.training import Found, Trained, Tried, trained
from orchestrator.inference.threshold import Asked
from orchestrator.spec import Arm, ExperimentSpec

_T = TypeVar("_T", Tried, Found)

MOST_S = 150.0
"""CPU seconds that the grid around one threshold may take before it is measured with `PROBE`
repeats alone. Chosen by hand: all systems are then measured in a quarter of an hour."""

PROBE = 4
"""Repeats at every rung that tell how long the whole grid would take. Packs of so few are dearer by
the trial; chosen by hand."""


@dataclass(frozen=True)
class Place:
    """One threshold of one experiment."""

    arm: Arm
    asked: Asked

    def own(self, ones: Sequence[_T]) -> list[_T]:
        """What a sweep of the whole experiment tried or found here."""
        here = self.arm.index, self.asked.d, self.asked.k
        return [one for one in ones if (one.arm, one.d, one.k) == here]


@dataclass(frozen=True)
class Grid:
    """The grid around one threshold, of which so many `repeats` were trained at every rung."""

    repeats: int
    tried: tuple[Tried, ...]

    @property
    def scale(self) -> float:
        """The whole grid over what was trained of it."""
        return REPEATS / self.repeats


@dataclass(frozen=True)
class Runs:
    """One experiment: searches, one per seed from 0, and the grids around its `places`."""

    spec: ExperimentSpec
    places: tuple[Place, ...]
    searches: tuple[Trained, ...]
    grids: tuple[Grid, ...]


@dataclass(frozen=True)
class Runner:
    """Finds what is recorded of a system, trains what is missing and records it.

    Unless it `trains` it raises `LookupError` at the first sweep that is missing; if told to train
    the `whole` of every grid it does, however long they take.
    """

    records: Records
    trains: bool = True
    whole: bool = False

    def runs(self, system: System, seeds: int) -> list[Runs]:
        """Every experiment of a system, searched at so many seeds."""
        by_seed = [system.specs(seed) for seed in range(seeds)]
        return [self._runs(system, specs) for specs in zip(*by_seed, strict=True)]

    def _runs(self, system: System, specs: Sequence[ExperimentSpec]) -> Runs:
        spec = specs[0]
        places = tuple(Place(arm, asked) for arm in spec.arms for asked in spec.asked(arm))
        return Runs(
            spec=spec,
            places=places,
            searches=tuple(self._sweep(system, each) for each in specs),
            grids=tuple(self._grid(system, spec, place) for place in places),
        )

    def _grid(self, system: System, spec: ExperimentSpec, place: Place) -> Grid:
        """The whole grid, or a few repeats of one that would take too long."""
        whole = grid_at(spec, place.arm, place.asked)
        found = self.records.find(system.name, whole)
        if found is None and not self.whole:
            few = self._sweep(system, grid_at(spec, place.arm, place.asked, PROBE)).tried
            if sum(one.cpu_s for one in few) * REPEATS / PROBE > MOST_S:
                return Grid(PROBE, few)
        return Grid(REPEATS, (found or self._sweep(system, whole)).tried)

    def _sweep(self, system: System, spec: ExperimentSpec) -> Trained:
        found = self.records.find(system.name, spec)
        if found is None:
            if not self.trains:
                raise LookupError(f"{system.name}: not all of it has been run")
            found = trained(spec)
            self.records.add(system.name, spec, found)
            print(_line(system, spec, found), file=sys.stderr, flush=True)
        return found


def _line(system: System, spec: ExperimentSpec, found: Trained) -> str:
    trials = sum(one.trials for one in found.tried)
    seconds = sum(one.cpu_s for one in found.tried)
    what = f"grid of {spec.repeats}" if spec.search.kind == "grid" else f"search, seed {spec.seed}"
    where = {(one.d, one.k) for one in found.tried}
    return f"{system.name}: {what} at {sorted(where)}: {trials} trials, {seconds:.1f} s"
