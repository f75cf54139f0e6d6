"""Looking at sweeps: their records, trials and answers, from the ledger or from MLflow."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.answer import Answer, Heading, TrialRow, answer, nearest, with_curves
from orchestrator.api.places import Place
from orchestrator.domain.curves import Curves
from orchestrator.domain.plugin import load_source
from orchestrator.ending import ending
from orchestrator.errors import (
    RequestError,
    UnknownSweep,
)
from orchestrator.plan.expansion import fields_of
from orchestrator.plan.explain import (
    Scene,
    Story,
    cell_lines,
    explain_cell,
    explain_sweep,
    explain_trial,
    sweep_lines,
    trial_lines,
)
from orchestrator.ports import (
    Attempt,
    Member,
    Settled,
    StoppedBy,
    SweepRecord,
    SweepStatus,
    Teacher,
)
from orchestrator.spec import ExperimentSpec, question_of

log = logging.getLogger(__name__)

MOST_WITH_CURVES = 20_000
"""Trials whose learning curves are loaded, those at the thresholds first: more than pictures show,
and little to hold."""


def open_sweep(sweep: str, place: Place | None = None) -> Answer:
    """What a sweep has found so far, by id, unique prefix of one, or name (its newest sweep).

    Raises `UnknownSweep`.
    """
    with _asked_for(sweep, place) as (reader, record):
        members = reader.members(record.id)
        found = found_of(spec_of(record), record, members, record.status, record.stopped_by)
        return with_learning(found, lambda keys: reader.curves(record.id, keys))


def with_learning(
    found: Answer, curves_of: Callable[[Sequence[str]], Mapping[str, Curves]]
) -> Answer:
    """The answer with the learning curves of trials at its thresholds, where learners say any."""
    return with_curves(found, curves_of(nearest(found, MOST_WITH_CURVES)))


def sweep_and_members(sweep: str, place: Place | None = None) -> tuple[SweepRecord, list[Member]]:
    """A sweep's record and its trials. Raises `UnknownSweep`."""
    with _asked_for(sweep, place) as (reader, record):
        return record, reader.members(record.id)


@contextmanager
def _asked_for(sweep: str, place: Place | None) -> Iterator[tuple[Any, SweepRecord]]:
    reader = reader_of(place)
    try:
        record = find(reader.sweeps(), sweep)
        if reader.source == "mlflow":
            log.warning("the ledger cannot be reached; this is what MLflow has")
        yield reader, record
    finally:
        reader.close()


def sweeps(place: Place | None = None) -> list[SweepRecord]:
    """Every sweep of the store, newest first."""
    return sorted(reader_of(place).sweeps(), key=lambda record: record.started, reverse=True)


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands: its record, trials by state, rounds, and what MLflow has not heard.

    `source` is `ledger`, or `mlflow` where the ledger cannot be reached: MLflow knows settled
    trials only, neither rounds nor what it has not been told, which are then None. `ending` says
    what ended a threshold search, or what is open in it, and what more trials would bring.
    `teachers` counts those from which its trials learn, by state.
    """

    record: SweepRecord
    states: Mapping[str, int]
    source: str
    rounds: int | None
    lag: int | None
    ending: tuple[str, ...] = ()
    teachers: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values; format 1."""
        return {
            "format": 1,
            "sweep": self.record.id,
            "name": self.record.name,
            "status": self.record.status,
            "stopped_by": self.record.stopped_by,
            "trials": dict(self.states),
            "rounds": self.rounds,
            "mirror_lag": self.lag,
            "source": self.source,
            "ending": list(self.ending),
            "teachers": dict(self.teachers),
        }


def standing(sweep: str, place: Place | None = None) -> Standing:
    """Where a sweep stands. Raises `UnknownSweep`."""
    reader = reader_of(place)
    record = find(reader.sweeps(), sweep)
    members = reader.members(record.id)
    states = Counter(member.state for member in members)
    is_whole = reader.source == "ledger"
    return Standing(
        record=record,
        states={name: states[name] for name in ("done", "cached", "running", "waiting", "gap")},
        source=reader.source,
        rounds=max((member.round for member in members), default=-1) + 1 if is_whole else None,
        lag=reader.lag(record.id) if is_whole else None,
        ending=_ending(record, members),
        teachers=Counter(one.state for one in _teachers(reader, record.id, members).values()),
    )


def _teachers(reader: Any, sweep: str, members: Sequence[Member]) -> dict[str, Teacher]:
    """From whom those members learn, by key."""
    whom = (one.trial.teacher for one in members if one.trial.cell.teacher is not None)
    found = {teacher.key: teacher for teacher in whom if teacher is not None}
    teachers: dict[str, Teacher] = reader.teachers(sweep, [*found.values()]) if found else {}
    return teachers


def _ending(record: SweepRecord, members: Sequence[Member]) -> tuple[str, ...]:
    spec = spec_of(record)
    if spec.search.kind != "threshold":  # nothing to say, and a grid's trials may be millions
        return ()
    return tuple(ending(found_of(spec, record, members, record.status, record.stopped_by)))


def explain(
    sweep: str,
    trial: str | None = None,
    at: Mapping[str, int] | None = None,
    place: Place | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Why a sweep, the cells at some of d, n and k, or one trial are where they are.

    As plain values (format 1) and as lines for people. Raises `UnknownSweep`, also for a trial or a
    place of which the sweep has none.
    """
    place = place or Place.chosen()
    reader = reader_of(place)
    try:
        records = reader.sweeps()
        record = find(records, sweep)
        scene = _scene(reader, record, records, place)
        members = reader.members(record.id)
        head = {
            "format": 1,
            "sweep": record.id,
            "name": record.name,
            "status": record.status,
            "stopped_by": record.stopped_by,
            "source": reader.source,
        }
        lines = [f"{record.name} ({record.id}): {record.status}"]
        if reader.source == "mlflow":
            lines.append("the ledger cannot be reached; this is what MLflow has: settled trials")
        if trial is not None:
            found = explain_trial(scene, _named(reader, members, trial, record))
            return {**head, **found}, [*lines, *trial_lines(found)]
        if at:
            cells = [explain_cell(scene, one) for one in _cells(reader, members, at, record)]
            return {**head, "cells": cells}, [
                *lines,
                *(w for one in cells for w in cell_lines(one)),
            ]
        rounds = max((one.round for one in members), default=-1) + 1
        known_rounds = rounds if reader.source == "ledger" else None
        states = [member.state for member in members]
        teachers = [_taught(one) for one in _teachers(reader, record.id, members).values()]
        found = explain_sweep(scene, states, known_rounds, reader.losses(record.id), teachers)
        return {**head, **found}, [*lines, *sweep_lines(found)]
    finally:
        reader.close()


def _scene(reader: Any, record: SweepRecord, records: Sequence[SweepRecord], place: Place) -> Scene:
    noted, packs = reader.whereabouts(record.id) or (None, [])
    return Scene(
        sweep=record.id,
        status=record.status,
        now=time.time(),
        resume=f"phasefront resume {record.id}{place.words}",
        stopped_by=record.stopped_by,
        noted=noted,
        packs=packs,
        names={one.id: one.name for one in records},
    )


def _named(reader: Any, members: Sequence[Member], trial: str, record: SweepRecord) -> Story:
    """The story of the member, or else of the teacher of members, whose key starts so."""
    named = [member for member in members if member.trial.key.startswith(trial)]
    if len(named) == 1:
        return _stories(reader, record.id, named)[0]
    teachers = [] if named else [*_teachers(reader, record.id, members).values()]
    called = [one for one in teachers if one.trial.key.startswith(trial)]
    if len(called) == 1:
        key = called[0].trial.key
        return replace(_taught(called[0]), history=reader.attempts([key])[key])
    count = f"{len(named) + len(called)} trials" if named or called else "no trial"
    raise UnknownSweep(f"{count} of {record.name} start with {trial!r}; see: phasefront export")


def _taught(teacher: Teacher) -> Story:
    settled = teacher.settled
    return Story(
        teacher.trial,
        teacher.state,
        result=settled.result if settled else None,
        reasons=settled.reasons if settled else (),
        lesson=teacher.lesson,
        times=teacher.times,
    )


def _cells(
    reader: Any, members: Sequence[Member], at: Mapping[str, int], record: SweepRecord
) -> list[list[Story]]:
    """The trials of each cell at that place, cells in order of arm, d, k and n."""
    there: dict[tuple[int, ...], list[Member]] = {}
    for one in members:
        point = one.trial.cell.point
        if all(getattr(point, letter) == value for letter, value in at.items()):
            there.setdefault((one.arm, point.d, point.k, point.n), []).append(one)
    if not there:
        words = ",".join(f"{letter}={value}" for letter, value in at.items())
        raise UnknownSweep(f"no trial of {record.name} was asked for at {words}")
    return [
        _stories(reader, record.id, sorted(there[cell], key=lambda one: one.trial.repeat))
        for cell in sorted(there)
    ]


def _stories(reader: Any, sweep: str, members: Sequence[Member]) -> list[Story]:
    teachers = _teachers(reader, sweep, members)
    own = [member.trial for member in members if member.trial.cell.learner.teaches]
    lessons: dict[str, Teacher] = reader.teachers(sweep, own) if own else {}
    histories = reader.attempts([*(member.trial.key for member in members), *teachers])
    taught = {key: replace(_taught(one), history=histories[key]) for key, one in teachers.items()}
    return [
        Story(
            member.trial,
            member.state,
            histories[member.trial.key],
            member.settled.result if member.settled else None,
            member.settled.reasons if member.settled else (),
            *_lesson_of(lessons.get(member.trial.key)),
            teacher=taught.get(member.trial.teacher.key) if member.trial.teacher else None,
        )
        for member in members
    ]


def _lesson_of(teacher: Teacher | None) -> tuple[str, int]:
    return ("", 0) if teacher is None else (teacher.lesson, teacher.times)


def attempts(record: SweepRecord, key: str, place: Place | None = None) -> list[Attempt]:
    """Every attempt at a trial, oldest first."""
    return list(reader_of(place).attempts([key])[key])


def find(records: Sequence[SweepRecord], text: str) -> SweepRecord:
    """The record that `text` names: an id, a unique prefix of one, or a name (its newest sweep).

    Raises `UnknownSweep` when none or several answer to it.
    """
    exact = [record for record in records if record.id == text]
    named = sorted(
        (record for record in records if record.name == text),
        key=lambda record: record.started,
        reverse=True,
    )
    prefixed = [record for record in records if text and record.id.startswith(text)]
    for found in (exact, named[:1], prefixed):
        if len(found) == 1:
            return found[0]
    if prefixed:
        raise UnknownSweep(f"several sweeps start with {text!r}; give more of the id")
    names = ", ".join(sorted({record.name for record in records})) or "none yet"
    raise UnknownSweep(f"no sweep answers to {text!r}; known names: {names}; see: phasefront list")


def spec_of(record: SweepRecord) -> ExperimentSpec:
    """The experiment as it was understood, with the plug-ins it came with made known."""
    for name, source in record.plugins:
        load_source(name, source)
    return ExperimentSpec.from_canonical(record.spec_json, question_of(record.spec_source))


def reader_of(place: Place | None) -> Any:
    """A reader of that place; its `source` says whether the ledger or MLflow answers."""
    from orchestrator.tracking import Reader

    place = place or Place.chosen()
    return Reader(place.store, place.ledger)


def found_of(
    spec: ExperimentSpec,
    record: SweepRecord,
    members: Sequence[Member],
    status: SweepStatus,
    stopped_by: StoppedBy | None,
) -> Answer:
    """The answer of a sweep that stands as told, from its trials."""
    standing = Heading(
        sweep=record.id,
        status=status,
        stopped_by=stopped_by,
        spec_source=record.spec_source,
        started=record.started,
        ended=record.ended,
    )
    return answer(spec, standing, rows_of(spec, members))


def rows_of(spec: ExperimentSpec, members: Iterable[Member]) -> list[TrialRow]:
    """The settled trials of a sweep as rows, each judged by the experiment's criterion."""
    return list(each_row(spec, members))


def each_row(spec: ExperimentSpec, members: Iterable[Member]) -> Iterator[TrialRow]:
    """The same, one by one."""
    tuned = [spec.tuned_fields(arm) for arm in spec.arms]
    for member in members:
        if member.settled is not None:
            yield _row(spec, member, member.settled, tuned[member.arm])


def _row(spec: ExperimentSpec, member: Member, settled: Settled, names: Sequence[str]) -> TrialRow:
    trial, result = member.trial, settled.result
    return TrialRow(
        key=trial.key,
        arm=member.arm,
        round=member.round,
        point=trial.cell.point,
        repeat=trial.repeat,
        seed=trial.seed,
        outcome=result.outcome if result else None,
        success=spec.success.judged(result.outcome, result.measures) if result else None,
        measures=result.measures if result else {},
        seconds=result.seconds if result else 0.0,
        attempt=settled.attempt,
        cached=member.state == "cached",
        reasons=settled.reasons,
        tuned=fields_of(trial.cell.target, trial.cell.learner, names),
    )


def ui_command(place: Place, port: int) -> tuple[list[str], str]:
    """The command that serves the MLflow UI on loopback, and the address that opens on sweeps.

    Raises `RequestError` for a folder in which nothing was ever answered.
    """
    from orchestrator.tracking import ui_command

    if "://" not in place.store and not (Path(place.store) / "mlflow.db").exists():
        raise RequestError(f"{place.store}: no sweep was answered in this store yet")

    return ui_command(place.store, port)
