"""Learning curves: what a measure of a trial was along the way, at steps of training.

Curves are for looking at. What decides whether a trial succeeded is a measure of its end.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

Curve = tuple[tuple[int, float], ...]
"""(step, value), steps rising, values finite."""

Curves = Mapping[str, Curve]
"""A trial's curves by the name of the measure."""

DIGITS = 6
"""Significant digits that are kept; a picture shows three, and a ledger keeps millions."""


MOST_STEPS = 1 << 40
"""More than anybody takes: the last step to log where trials of a pack end at different steps."""


def logged_steps(last: int = MOST_STEPS) -> list[int]:
    """1, 2, 4, 8, … and the last: a curve on a logarithmic axis, of few points however long."""
    return sorted({last, *(1 << power for power in range(last.bit_length()))})


def as_lists(curves: Curves) -> dict[str, list[list[float]]]:
    """Curves as plain values, for JSON and for other processes: name to [steps, values]."""
    return {
        name: [list(part) for part in zip(*curve, strict=True)] for name, curve in curves.items()
    }


def from_lists(lists: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Curve]:
    """The curves that `as_lists` wrote."""
    return {
        name: tuple((int(step), value) for step, value in zip(*parts, strict=True))
        for name, parts in lists.items()
    }


@dataclass(frozen=True)
class Spread:
    """One measure at one step over `trials` that were still training: mean and quantiles."""

    step: int
    trials: int
    mean: float
    q10: float
    median: float
    q90: float


def spreads(curves: Iterable[Curve]) -> list[Spread]:
    """One measure over several trials, by step; quantiles interpolate linearly."""
    values: dict[int, list[float]] = {}
    for curve in curves:
        for step, value in curve:
            values.setdefault(step, []).append(value)
    return [
        Spread(step, len(own), float(np.mean(own)), *np.quantile(own, (0.1, 0.5, 0.9)).tolist())
        for step, own in sorted(values.items())
    ]


class Trace:
    """One measure of the trials of a pack, at the steps that are logged.

    `table` is float64 (B, steps), nan where nothing was noted; row b is trial b's, so that it can
    be part of a checkpoint.
    """

    def __init__(self, trials: int, steps: Sequence[int]) -> None:
        self._steps = list(steps)
        self._columns = {step: column for column, step in enumerate(steps)}
        self.table = torch.full((trials, len(self._columns)), math.nan, dtype=torch.float64)

    def __contains__(self, step: int) -> bool:
        return step in self._columns

    def note(self, step: int, trials: Sequence[int], values: torch.Tensor) -> None:
        """Values (len(trials),) of those trials at one of the steps."""
        self.table[list(trials), self._columns[step]] = values.double().cpu()

    def curve(self, trial: int) -> Curve:
        """What was noted of a trial and is finite, to `DIGITS` digits."""
        noted = zip(self._steps, self.table[trial].tolist(), strict=True)
        return tuple(
            (step, float(f"{value:.{DIGITS}g}")) for step, value in noted if math.isfinite(value)
        )
