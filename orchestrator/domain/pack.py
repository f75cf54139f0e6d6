"""`run_pack`: the one door through which training happens."""

import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

import torch

from orchestrator.domain.checkpoints import (
    Checkpointer,
    Checkpoints,
    PackCheckpointer,
    SavedTrial,
)
from orchestrator.domain.learner import Fit, Outcome, Problem
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.measures import judge
from orchestrator.domain.streams import Streams
from orchestrator.domain.trial import Result, Trial


def run_pack(
    trials: Sequence[Trial],
    device: str = "cpu",
    checkpoints: Checkpoints | None = None,
    lessons: Lessons | None = None,
) -> list[Result]:
    """Train the trials, as many together as their shapes allow; results in the order given.

    A trial's result depends on its key alone, never on its company: bit for bit on one CPU type
    and torch build. Trials are fitted together when target, learner, d, k and the learner's
    `shape` of their points are equal. A lone trial is padded with a twin that is thrown away,
    because a batched product of one row takes another path and differs in the last bits.

    Where the learner is resumable, trials go on from their `checkpoints`, those together that stand
    equally far, and save where they stand now and then. Whoever settles a trial forgets them.

    What trials with a teacher learn from comes from `lessons`, which raises `LessonsMissing` where
    it has it not, before anything is trained; without any, their teachers are trained here and now.
    What trials teach is kept there.

    Whatever a plug-in raises passes through: a learner that fails says so in its outcomes.
    """
    if lessons is None:
        lessons = _taught_here(trials, device, checkpoints)
    lessons.need(teacher.key for teacher in _teachers(trials))
    groups: dict[object, list[int]] = defaultdict(list)
    saved = [_saved(trial, checkpoints) for trial in trials]
    for index, (trial, stand) in enumerate(zip(trials, saved, strict=True)):
        groups[_company(trial), stand.at if stand else None].append(index)
    results: dict[int, Result] = {}
    for members in groups.values():
        group = [(trials[index], saved[index]) for index in members]
        fitted = _fit_together(group, device, checkpoints, lessons)
        results.update(zip(members, fitted, strict=True))
    return [results[index] for index in range(len(trials))]


def _taught_here(trials: Sequence[Trial], device: str, checkpoints: Checkpoints | None) -> Lessons:
    lessons = Lessons(held_bytes=sys.maxsize)
    teachers = {teacher.key: teacher for teacher in _teachers(trials)}
    if teachers:
        run_pack([*teachers.values()], device, checkpoints, lessons)
    return lessons


def _teachers(trials: Sequence[Trial]) -> list[Trial]:
    found = (trial.teacher for trial in trials if trial.cell.teacher is not None)
    return [teacher for teacher in found if teacher is not None]


def _company(trial: Trial) -> object:
    cell = trial.cell
    return (
        cell.target.canonical,
        cell.learner.canonical,
        cell.point.d,
        cell.point.k,
        cell.learner.shape(cell.point),
    )


def _saved(trial: Trial, checkpoints: Checkpoints | None) -> SavedTrial | None:
    if checkpoints is None or not trial.cell.learner.resumable:
        return None
    return checkpoints.load(trial.key)


def _fit_together(
    group: list[tuple[Trial, SavedTrial | None]],
    device: str,
    checkpoints: Checkpoints | None,
    lessons: Lessons,
) -> list[Result]:
    started = time.perf_counter()
    padded = group if len(group) > 1 else group * 2
    keys, cell = [trial.key for trial, _ in padded], group[0][0].cell
    streams = Streams(keys, "", device, cell.learner.dtype)
    points = [trial.cell.point for trial, _ in padded]
    origin, lesson = streams, {}  # a student learns the concept that its teacher knows
    if cell.teacher is not None:
        teachers = [trial.teacher.key for trial, _ in padded if trial.teacher is not None]
        origin, lesson = Streams(teachers, "", device, cell.learner.dtype), lessons.of(teachers)
    checkpointer = Checkpointer()
    if checkpoints is not None and cell.learner.resumable:
        stands = [saved for _, saved in padded]
        checkpointer = PackCheckpointer(checkpoints, keys[: len(group)], stands, device)
    problem = Problem(
        target=cell.target,
        point=cell.point,
        n=torch.tensor([point.n for point in points], device=device),
        concept=cell.target.draw(cell.point, origin.at("concept")),
        streams=streams,
        dtype=cell.learner.dtype,
        padded_n=cell.learner.padded_n(points),
        checkpointer=checkpointer,
        lesson=lesson,
    )
    with torch.no_grad():
        fit = cell.learner.fit(problem, streams.at("learner"))
        measures = judge(problem, fit, cell.learner)
    if fit.lesson:
        for row, (trial, _) in enumerate(group):
            own = {name: one[row].clone().numpy() for name, one in fit.lesson.items()}
            lessons.keep(trial.key, own)
    share_s = (time.perf_counter() - started) / len(group)
    return [
        _result(trial, row, fit, measures, share_s + (saved.seconds if saved else 0.0))
        for row, (trial, saved) in enumerate(group)
    ]


def _result(
    trial: Trial, row: int, fit: Fit, measures: dict[str, torch.Tensor], seconds: float
) -> Result:
    values = {name: float(value[row]) for name, value in measures.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    outcome = Outcome(fit.outcomes[row])
    if outcome is Outcome.FITTED and len(finite) < len(values):
        outcome = Outcome.DIVERGED
    curves = fit.curves[row] if fit.curves else {}
    return Result(trial.key, outcome, measures=finite, seconds=seconds, curves=curves)
