"""What MLflow is told of one cell's trials, as numbers. Pure.

Each trial is one step (its repeat) of `trial.<measure>`, `trial.outcome`, `trial.seconds` and
`trial.attempt`. Aggregates carry step = trials counted. Times come from the ledger and aggregates
count trials in the outbox's order, so the same figure is always the same row to MLflow, and writing
it again changes nothing.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from orchestrator import spec
from orchestrator.domain.curves import Curves, spreads
from orchestrator.tracking.names import GAP_NUMBER, OUTCOME_NUMBERS

Criterion = Callable[[str | None, Mapping[str, float]], bool | None]
"""Whether an outcome with its measures counts as success; None where it does not say."""


class Figure(NamedTuple):
    """One point of a metric; `time_ms` since the epoch."""

    name: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True)
class Told:
    """A settled trial as MLflow is told of it; `outcome` is None for a gap."""

    repeat: int
    outcome: str | None
    measures: Mapping[str, float]
    seconds: float | None
    attempt: int
    time_ms: int


def trial_figures(trial: Told) -> list[Figure]:
    """One trial, at the step of its repeat."""
    values = {f"trial.{name}": value for name, value in trial.measures.items()}
    values["trial.outcome"] = OUTCOME_NUMBERS[trial.outcome] if trial.outcome else GAP_NUMBER
    values["trial.attempt"] = float(trial.attempt)
    if trial.seconds is not None:
        values["trial.seconds"] = trial.seconds
    return _finite(values, trial.time_ms, trial.repeat)


def aggregate_figures(trials: Sequence[Told], succeeds: Criterion | None) -> list[Figure]:
    """The cell so far, at the step of its answered trials; nothing before the first answer.

    `trials` are all that are settled, in the outbox's order. The spread is the sample's standard
    deviation (divided by count - 1), left out for a single value.
    """
    answered = [trial for trial in trials if trial.outcome is not None]
    if not answered:
        return []
    values = {"trials": float(len(answered))}
    if succeeds is not None:
        judged = [succeeds(trial.outcome, trial.measures) for trial in answered]
        said = [success for success in judged if success is not None]
        if said:
            values["success_rate"] = sum(said) / len(said)
    for name in sorted({name for trial in answered for name in trial.measures}):
        measured = [trial.measures[name] for trial in answered if name in trial.measures]
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is left out below
            values[f"{name}.mean"] = float(np.mean(measured))
            if len(measured) > 1:
                values[f"{name}.sd"] = float(np.std(measured, ddof=1))
    return _finite(values, answered[-1].time_ms, len(answered))


def cell_curves(trials: Sequence[tuple[float, Curves]]) -> list[Figure]:
    """Learning curves of a cell's trials, each with the time (s) when it was settled:
    `curve.<measure>.mean`, `.q10`, `.median`, `.q90` over those that were still training, at the
    steps of training.
    """
    found = []
    time_ms = round(max((settled_at for settled_at, _ in trials), default=0.0) * 1e3)
    every = [curves for _, curves in trials]
    for name in sorted({name for curves in every for name in curves}):
        for one in spreads(curves[name] for curves in every if name in curves):
            values = {
                f"curve.{name}.{what}": getattr(one, what)
                for what in ("mean", "q10", "median", "q90")
            }
            found += _finite(values, time_ms, one.step)
    return found


def _finite(values: Mapping[str, float], time_ms: int, step: int) -> list[Figure]:
    """MLflow stores an infinity as 1.8e308 in silence; nothing but finite numbers reaches it."""
    return [
        Figure(name, value, time_ms, step) for name, value in values.items() if math.isfinite(value)
    ]


def success_of(spec_json: str) -> Criterion | None:
    """The success criterion of a canonical spec; None where it holds none that can be read."""
    try:
        return spec.Criterion.model_validate(json.loads(spec_json)["success"]).judged
    except (KeyError, TypeError, ValueError):  # pydantic's errors are ValueErrors
        return None


def in_batches(groups: Iterable[Sequence[Figure]], size: int) -> list[list[Figure]]:
    """Figures in pieces of at most `size`, no group torn unless it is larger; at least one piece.

    A call to MLflow writes its metrics whole or not at all, so no trial is ever there by half.
    """
    batches: list[list[Figure]] = [[]]
    for group in groups:
        for start in range(0, len(group), size):
            piece = group[start : start + size]
            if len(batches[-1]) + len(piece) > size:
                batches.append([])
            batches[-1].extend(piece)
    return batches
