"""`run_pack`: the one door through which training happens."""

import math
import time
from collections import defaultdict
from collections.abc import Sequence

import torch

from orchestrator.domain.learner import Fit, Outcome, Problem
from orchestrator.domain.measures import judge
from orchestrator.domain.streams import Streams
from orchestrator.domain.trial import Result, Trial


def run_pack(trials: Sequence[Trial], device: str = "cpu") -> list[Result]:
    """Train the trials, as many together as their shapes allow; results in the order given.

    A trial's result depends on its key alone, never on its company: bit for bit on one CPU type
    and torch build. Trials are fitted together when target, learner, d, k and the learner's
    `shape` of their points are equal. A lone trial is padded with a twin that is thrown away,
    because a batched product of one row takes another path and differs in the last bits.

    Whatever a plug-in raises passes through: a learner that fails says so in its outcomes.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for index, trial in enumerate(trials):
        groups[_company(trial)].append(index)
    results: dict[int, Result] = {}
    for members in groups.values():
        fitted = _fit_together([trials[index] for index in members], device)
        results.update(zip(members, fitted, strict=True))
    return [results[index] for index in range(len(trials))]


def _company(trial: Trial) -> object:
    cell = trial.cell
    return (
        cell.target.canonical,
        cell.learner.canonical,
        cell.point.d,
        cell.point.k,
        cell.learner.shape(cell.point),
    )


def _fit_together(trials: list[Trial], device: str) -> list[Result]:
    started = time.perf_counter()
    padded = trials if len(trials) > 1 else [*trials, *trials]
    cell = padded[0].cell
    streams = Streams([trial.key for trial in padded], "", device, cell.learner.dtype)
    points = [trial.cell.point for trial in padded]
    problem = Problem(
        target=cell.target,
        point=cell.point,
        n=torch.tensor([point.n for point in points], device=device),
        concept=cell.target.draw(cell.point, streams.at("concept")),
        streams=streams,
        dtype=cell.learner.dtype,
        padded_n=cell.learner.padded_n(points),
    )
    with torch.no_grad():
        fit = cell.learner.fit(problem, streams.at("learner"))
        measures = judge(problem, fit, cell.learner)
    seconds = (time.perf_counter() - started) / len(trials)
    return [_result(trial, row, fit, measures, seconds) for row, trial in enumerate(trials)]


def _result(
    trial: Trial, row: int, fit: Fit, measures: dict[str, torch.Tensor], seconds: float
) -> Result:
    values = {name: float(value[row]) for name, value in measures.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    outcome = Outcome(fit.outcomes[row])
    if outcome is Outcome.FITTED and len(finite) < len(values):
        outcome = Outcome.DIVERGED
    return Result(key=trial.key, outcome=outcome, measures=finite, seconds=seconds)
