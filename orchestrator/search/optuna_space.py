"""What an Optuna study chooses in one arm, as distributions, and what its choices mean.

Fields of learner and target are parameters as the file gives them. A letter of `axes` is a place
between 0 and 1: along the values of d, then along those of k at that d, then along n at that (d, k)
in log n. Places and not values, because ranges may depend on other letters, and most samplers want
one fixed space.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from orchestrator.domain.point import Point
from orchestrator.spec import Arm, ExperimentSpec, Tunable

AXIS = "axes."
"""In front of a letter, which a learner may have as a field too."""

Grid = tuple[int, ...]
"""The n of a grid at one (d, k), ascending."""


@dataclass(frozen=True)
class Space:
    """What one study chooses: fields of an arm, and a point among `grids`, the n at each (d, k)."""

    arm: int
    fields: Mapping[str, Tunable]
    grids: Mapping[tuple[int, int], Grid]

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Parameters by name: fields, then letters that have more than one value."""
        found = {name: _distribution(field) for name, field in self.fields.items()}
        several = {
            "d": len({d for d, _ in self.grids}) > 1,
            "k": any(len(self._ks(d)) > 1 for d, _ in self.grids),
            "n": any(len(grid) > 1 for grid in self.grids.values()),
        }
        letters = {f"{AXIS}{one}": FloatDistribution(0.0, 1.0) for one in several if several[one]}
        return {**found, **letters}

    def chosen(self, params: Mapping[str, Any]) -> tuple[Point, dict[str, Any]]:
        """The point and the setting that a trial's parameters stand for."""
        d = _at(sorted({d for d, _ in self.grids}), params.get(f"{AXIS}d", 0.0))
        k = _at(self._ks(d), params.get(f"{AXIS}k", 0.0))
        grid = self.grids[d, k]
        log_n = math.log(grid[0]) + params.get(f"{AXIS}n", 0.0) * math.log(grid[-1] / grid[0])
        n = min(grid, key=lambda n: abs(math.log(n) - log_n))
        return Point(d=d, n=n, k=k), {name: params[name] for name in self.fields}

    def _ks(self, d: int) -> list[int]:
        return sorted(k for at_d, k in self.grids if at_d == d)

    @property
    def name(self) -> str:
        """What tells it from the other studies of a sweep."""
        corners = [(d, k, grid[0], grid[-1]) for (d, k), grid in sorted(self.grids.items())]
        return f"{self.arm}/{corners}"


def spaces(spec: ExperimentSpec) -> list[Space]:
    """One for every combination of the letters that the sampler does not choose, arm after arm."""
    return [
        Space(arm.index, fields, grids)
        for arm in spec.arms
        for fields in [{name: spec.search.fields[name] for name in spec.tuned_fields(arm)}]
        for grids in _walked(spec, arm)
    ]


def _walked(spec: ExperimentSpec, arm: Arm) -> list[dict[tuple[int, int], Grid]]:
    """The points of each study: apart in the letters that are walked, together in the others."""
    letters = spec.search.axes
    together: dict[tuple[int, ...], dict[tuple[int, int], Grid]] = {}
    for asked in spec.asked(arm):
        d_k, grid = (asked.d, asked.k), spec.n_grid(arm, asked.d, asked.k)
        walked = tuple(v for v, letter in zip(d_k, "dk", strict=True) if letter not in letters)
        for part in [grid] if "n" in letters else [(n,) for n in grid]:
            own = walked if "n" in letters else (*walked, part[0])
            together.setdefault(own, {})[d_k] = part
    return list(together.values())


def _at(values: Sequence[int], place: float) -> int:
    return values[min(int(place * len(values)), len(values) - 1)]


def _distribution(field: Tunable) -> BaseDistribution:
    if field.choices:
        return CategoricalDistribution(field.choices)
    low, high = field.ends
    log = field.spacing == "log"
    if field.whole:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)
