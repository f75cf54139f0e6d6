"""Looking at sweeps: their records, trials and answers, from the ledger or from MLflow."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.answer import Answer, Heading, TrialRow, answer
from orchestrator.api.places import Place
from orchestrator.domain.plugin import load_source
from orchestrator.ending import ending
from orchestrator.errors import (
    RequestError,
    UnknownSweep,
)
from orchestrator.plan.expansion import fields_of
from orchestrator.plan.explain import explain_sweep, explain_trial
from orchestrator.ports import (
    Attempt,
    Member,
    StoppedBy,
    SweepRecord,
    SweepStatus,
)
from orchestrator.spec import ExperimentSpec, question_of

log = logging.getLogger(__name__)


def open_sweep(sweep: str, place: Place | None = None) -> Answer:
    """What a sweep has found so far, by id, unique prefix of one, or name (its newest sweep).

    Raises `UnknownSweep`.
    """
    record, members = sweep_and_members(sweep, place)
    return found_of(spec_of(record), record, members, record.status, record.stopped_by)


def sweep_and_members(sweep: str, place: Place | None = None) -> tuple[SweepRecord, list[Member]]:
    """A sweep's record and its trials. Raises `UnknownSweep`."""
    reader = reader_of(place)
    record = find(reader.sweeps(), sweep)
    if reader.source == "mlflow":
        log.warning("the ledger cannot be reached; this is what MLflow has")
    return record, reader.members(record.id)


def sweeps(place: Place | None = None) -> list[SweepRecord]:
    """Every sweep of the store, newest first."""
    return sorted(reader_of(place).sweeps(), key=lambda record: record.started, reverse=True)


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands: its record, trials by state, rounds, and what MLflow has not heard.

    `source` is `ledger`, or `mlflow` where the ledger cannot be reached: MLflow knows settled
    trials only, neither rounds nor what it has not been told, which are then None. `ending` says
    what ended a threshold search, or what is open in it, and what more trials would bring.
    """

    record: SweepRecord
    states: Mapping[str, int]
    source: str
    rounds: int | None
    lag: int | None
    ending: tuple[str, ...] = ()

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
    )


def _ending(record: SweepRecord, members: Sequence[Member]) -> tuple[str, ...]:
    spec = spec_of(record)
    if spec.search.kind != "threshold":  # nothing to say, and a grid's trials may be millions
        return ()
    return tuple(ending(found_of(spec, record, members, record.status, record.stopped_by)))


def explain(sweep: str, trial: str | None = None, place: Place | None = None) -> list[str]:
    """Why a sweep or one of its trials is where it is, as lines. Raises `UnknownSweep`."""
    record, members = sweep_and_members(sweep, place)
    if trial is None:
        newest = max((member.round for member in members), default=-1)
        return [
            f"{record.name} ({record.id}): {record.status}",
            *explain_sweep([member.state for member in members], newest),
        ]
    named = [member for member in members if member.trial.key.startswith(trial)]
    if len(named) != 1:
        count = "no trial" if not named else f"{len(named)} trials"
        raise UnknownSweep(f"{count} of {record.name} start with {trial!r}; see: phasefront export")
    return _explain_member(record, named[0], place)


def _explain_member(record: SweepRecord, member: Member, place: Place | None) -> list[str]:
    settled = member.settled
    result = settled.result if settled else None
    history = attempts(record, member.trial.key, place)
    outcome = f"{result.outcome}, {dict(result.measures)}" if result else ""
    reasons = settled.reasons if settled else ()
    return explain_trial(member.trial, member.state, outcome, reasons, history)


def attempts(record: SweepRecord, key: str, place: Place | None = None) -> list[Attempt]:
    """Every attempt at a trial, oldest first."""
    return list(reader_of(place).attempts(record.id, key))


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


def rows_of(spec: ExperimentSpec, members: Sequence[Member]) -> list[TrialRow]:
    """The settled trials of a sweep as rows, each judged by the experiment's criterion."""
    return [_row(spec, member) for member in members if member.settled is not None]


def _row(spec: ExperimentSpec, member: Member) -> TrialRow:
    trial, settled = member.trial, member.settled
    assert settled is not None
    result = settled.result
    names = spec.tuned_fields(spec.arms[member.arm])
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
