"""`run`, `open_sweep` and what stands around them: picks adapters and hands them to the loop.

Nothing else wires. The command line is words and tables over these functions; a notebook calls them
directly. Adapters are imported where they are chosen, because ray and mlflow take seconds to load.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.answer import Answer, TrialRow, answer
from orchestrator.answer import Standing as AnswerStanding
from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin, load_entry_points, load_file, load_source, scan
from orchestrator.domain.target import Target
from orchestrator.errors import (
    Interrupted,
    PhasefrontError,
    RequestError,
    UnknownSweep,
    Unreachable,
)
from orchestrator.plan.explain import History, explain_sweep, explain_trial
from orchestrator.plan.outline import Outline
from orchestrator.plan.outline import outline as _outline
from orchestrator.ports import (
    Attempt,
    Executor,
    Member,
    StoppedBy,
    SweepRecord,
    SweepStatus,
    Tracker,
)
from orchestrator.spec import ExperimentSpec, json_schema, load, new_file, question_of
from orchestrator.sweep import Progress, Sweep

__all__ = [
    "ExperimentSpec",
    "Machine",
    "Place",
    "Standing",
    "attempts",
    "explain",
    "json_schema",
    "kind_named",
    "kinds",
    "load_plugins",
    "load_spec",
    "new_file",
    "open_sweep",
    "outline",
    "report_bytes",
    "run",
    "spec_of",
    "standing",
    "sweep_and_members",
    "sweeps",
    "table_bytes",
    "to_resume",
    "ui_command",
]

DEFAULT_STORE = "mlflow_store"

PUBLISH_S = 5.0
"""Seconds between figures of a running sweep in MLflow; each is a commit of the ledger."""

GIVE_UP_DRAIN_S = 3.0
"""How long MLflow may take to hear of a sweep that was stopped; Ctrl-C ends within ten seconds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where results are kept: the MLflow store, and the ledger (None: beside a local store)."""

    store: str
    ledger: str | None = None

    @classmethod
    def chosen(cls, store: str | None = None, ledger: str | None = None) -> "Place":
        """What was said, else the environment, else the folder `mlflow_store/`."""
        return cls(
            store or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE,
            ledger or os.environ.get("PHASEFRONT_LEDGER") or None,
        )

    @property
    def words(self) -> str:
        """The options that name this place on a command line, with a space before each."""
        usual = Place.chosen()
        store = f" --store {self.store}" if self.store != usual.store else ""
        return store + (f" --ledger {self.ledger}" if self.ledger != usual.ledger else "")


@dataclass(frozen=True)
class Machine:
    """Where trials run: this process, an embedded Ray (the default), or a Ray cluster's address."""

    address: str | None = None
    slots: int | None = None
    in_process: bool = False


def load_plugins(paths: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """Make installed and named plug-ins known; (name, source) of the files, which workers need.

    Raises `PluginError` when one does not load.
    """
    load_entry_points()
    return [load_file(path) for path in paths]


def load_spec(path: Path, overrides: Sequence[str] = ()) -> ExperimentSpec:
    """Read an experiment file. Raises `SpecError` with all its faults."""
    return load(path, overrides)


def run(
    spec: ExperimentSpec | Path | str,
    *,
    place: Place | None = None,
    machine: Machine | None = None,
    plugins: Sequence[tuple[str, str]] = (),
    source: str = "",
    watch: Callable[[Progress], None] = lambda progress: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Answer:
    """Answer an experiment, from where it stands if it was begun before.

    Raises `SpecError`, `SweepInUse`, `LedgerUnreachable`, `TrackerUnreachable` and
    `ClusterUnreachable` before anything is written or started; `Interrupted` when asked to stop;
    `EveryTrialFailed` when the first trials all fail alike. What was committed is always kept.
    """
    if not isinstance(spec, ExperimentSpec):
        path, spec = Path(spec), load(Path(spec))
        source = source or path.read_text(encoding="utf-8")
    place, machine = place or Place.chosen(), machine or Machine()
    _refuse_lost_ledger(spec, place)
    from orchestrator.search import proposer_for
    from orchestrator.tracking import open_tracker

    proposer = proposer_for(spec)
    with ExitStack() as stack:
        # A cluster elsewhere can refuse, so it is asked before the ledger hears of the sweep; a
        # Ray of our own only takes seconds to start, so the store and the ledger are asked first.
        executor = _executor(machine, spec, plugins) if machine.address else None
        if executor:
            stack.callback(executor.close)
        tracker = open_tracker(place.store, place.ledger)
        record = tracker.open(_record(spec, source, plugins))
        try:
            executor = executor or _executor(machine, spec, plugins)
            stack.callback(executor.close)
            sweep = Sweep(
                spec,
                tracker=tracker,
                executor=executor,
                proposer=proposer,
                watch=_publishing(tracker, watch),
                interrupted=interrupted,
            )
            return _answer(sweep, tracker, executor, record)
        except BaseException as error:
            if isinstance(error, Interrupted | Unreachable):
                error.add_note(f"go on with: phasefront resume {spec.id}{place.words}")
            _give_up(tracker, executor, error)
            raise


def to_resume(sweep: str, place: Place, from_mlflow: bool = False) -> SweepRecord:
    """The record of a sweep that can be gone on with, its ledger rebuilt first if asked.

    Raises `UnknownSweep`; `RequestError` when the ledger is lost and `from_mlflow` was not said, or
    when a plug-in's revision has changed, so that the same words would be another sweep.
    """
    reader = _reader(place)
    record = find(reader.sweeps(), sweep)
    if from_mlflow and reader.source == "ledger":
        raise RequestError("--from-mlflow is for a lost ledger, and this sweep's ledger is here")
    if from_mlflow:
        from orchestrator.tracking import rebuild

        record = rebuild(place.store, place.ledger, record.id)
    spec = spec_of(record)
    _refuse_lost_ledger(spec, place)
    if spec.id != record.id:
        raise RequestError(
            f"{record.name} ({record.id}) was begun with another revision of a plug-in, so the same "
            f"words are now the sweep {spec.id}; start that with: phasefront run"
        )
    return record


def _refuse_lost_ledger(spec: ExperimentSpec, place: Place) -> None:
    """A sweep that MLflow knows and the ledger does not would be trained again, and doubled."""
    reader = _reader(place)
    if reader.source == "mlflow" and any(record.id == spec.id for record in reader.sweeps()):
        raise RequestError(
            f"the ledger of {spec.name} is missing and MLflow has its trials; rebuild it with: "
            f"phasefront resume {spec.id} --from-mlflow{place.words}"
        )


def _answer(sweep: Sweep, tracker: Tracker, executor: Executor, record: SweepRecord) -> Answer:
    stopped_by = sweep.answer()
    executor.close()
    members = tracker.members()
    found = _found(sweep.spec, record, members, "finished", stopped_by)
    tracker.publish(_metrics(found), _artifacts(found))
    tracker.finish("finished", stopped_by)
    if not tracker.close():
        log.warning("MLflow has not been told everything; it will be when a sweep is next opened")
    return found


def _give_up(tracker: Tracker, executor: Executor | None, error: BaseException) -> None:
    """Nothing runs afterwards, and the sweep's status says how it ended, if it can be said.

    What goes wrong here is second to `error`, which may be its very cause (a full disk), so it is
    added to that as a note.
    """
    stopped = isinstance(error, Interrupted | KeyboardInterrupt)
    steps: list[Callable[[], object]] = [
        lambda: tracker.finish(
            "interrupted" if stopped else "failed", "interrupted" if stopped else None
        ),
        lambda: tracker.close(drain_s=GIVE_UP_DRAIN_S),
    ]
    for step in [executor.close, *steps] if executor else steps:
        try:
            step()
        except PhasefrontError as second:
            error.add_note(f"and then: {second}")


def _executor(
    machine: Machine, spec: ExperimentSpec, plugins: Sequence[tuple[str, str]]
) -> Executor:
    if machine.in_process:
        from orchestrator.engine import InlineExecutor

        return InlineExecutor()
    from orchestrator.engine import RayExecutor

    return RayExecutor(machine.address, machine.slots, spec.resources.gpus, plugins)


def _record(spec: ExperimentSpec, source: str, plugins: Sequence[tuple[str, str]]) -> SweepRecord:
    return SweepRecord(
        id=spec.id,
        name=spec.name,
        spec_json=spec.canonical,
        spec_source=source,
        status="running",
        started=time.time(),
        plugins=tuple(plugins),
    )


def _publishing(tracker: Tracker, watch: Callable[[Progress], None]) -> Callable[[Progress], None]:
    published = float("-inf")

    def both(progress: Progress) -> None:
        nonlocal published
        watch(progress)
        if time.monotonic() - published < PUBLISH_S:
            return
        published = time.monotonic()
        tracker.publish(
            {
                "trials": float(progress.answered),
                "gaps": float(progress.gaps),
                "rounds": float(progress.round),
            },
            {},
        )

    return both


# reading


def open_sweep(sweep: str, place: Place | None = None) -> Answer:
    """What a sweep has found so far, by id, unique prefix of one, or name (its newest sweep).

    Raises `UnknownSweep`.
    """
    record, members = sweep_and_members(sweep, place)
    return _found(spec_of(record), record, members, record.status, record.stopped_by)


def sweep_and_members(sweep: str, place: Place | None = None) -> tuple[SweepRecord, list[Member]]:
    """A sweep's record and its trials. Raises `UnknownSweep`."""
    reader = _reader(place)
    record = find(reader.sweeps(), sweep)
    if reader.source == "mlflow":
        log.warning("the ledger cannot be reached; this is what MLflow has")
    return record, reader.members(record.id)


def sweeps(place: Place | None = None) -> list[SweepRecord]:
    """Every sweep of the store, newest first."""
    return sorted(_reader(place).sweeps(), key=lambda record: record.started, reverse=True)


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands: its record, trials by state, rounds, and what MLflow has not heard.

    `source` is `ledger`, or `mlflow` where the ledger cannot be reached: MLflow knows settled
    trials only, neither rounds nor what it has not been told, which are then None.
    """

    record: SweepRecord
    states: Mapping[str, int]
    source: str
    rounds: int | None
    lag: int | None

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
        }


def standing(sweep: str, place: Place | None = None) -> Standing:
    """Where a sweep stands. Raises `UnknownSweep`."""
    reader = _reader(place)
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
    )


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
    history = [
        History(one.attempt, one.started, one.ended, one.reason, one.charge, one.where)
        for one in attempts(record, member.trial.key, place)
    ]
    outcome = f"{result.outcome}, {dict(result.measures)}" if result else ""
    reasons = settled.reasons if settled else ()
    return explain_trial(member.trial, member.state, outcome, reasons, history)


def attempts(record: SweepRecord, key: str, place: Place | None = None) -> list[Attempt]:
    """Every attempt at a trial, oldest first."""
    return list(_reader(place).attempts(record.id, key))


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


def _reader(place: Place | None) -> Any:
    from orchestrator.tracking import Reader

    place = place or Place.chosen()
    return Reader(place.store, place.ledger)


def _found(
    spec: ExperimentSpec,
    record: SweepRecord,
    members: Sequence[Member],
    status: SweepStatus,
    stopped_by: StoppedBy | None,
) -> Answer:
    standing = AnswerStanding(
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
    chosen = trial.cell.learner.settings
    usual: Mapping[str, Any] = spec.arms[member.arm].learner.settings
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
        tuned={name: value for name, value in chosen.items() if usual.get(name) != value},
    )


# what goes to MLflow as a whole


def _metrics(found: Answer) -> dict[str, float]:
    metrics = {"trials": float(found.finished_trials), "gaps": float(found.gaps)}
    for index, arm in enumerate(found.arms):
        for one in arm.thresholds:
            if one.threshold.n_star is not None:
                metrics[f"n_star.arm{index}.d{one.asked.d}.k{one.asked.k}"] = one.threshold.n_star
    return metrics


def _artifacts(found: Answer) -> dict[str, bytes]:
    from orchestrator.report import figures, page

    artifacts = {"report.html": page(found).encode(), **figures(found)}
    artifacts["trials.parquet"] = table_bytes(found, ".parquet")
    return artifacts


def report_bytes(found: Answer, suffix: str) -> bytes:
    """The page (.html) or its headline picture (.png). Raises `RequestError` for other suffixes."""
    from orchestrator.report import headline, page

    if suffix not in (".html", ".png"):
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .html or .png")
    return headline(found) if suffix == ".png" else page(found).encode()


def table_bytes(found: Answer, suffix: str) -> bytes:
    """Every trial as a row, as parquet or csv by `suffix`. Raises `RequestError` for others."""
    from orchestrator.tracking import table_of

    if suffix not in (".parquet", ".csv"):
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .parquet or .csv")
    return table_of(found.rows, suffix, [(arm.target, arm.learner) for arm in found.arms])


# what exists


def kinds(family: str) -> dict[str, type[Plugin]]:
    """Every known target or learner by kind; `family` is "target" or "learner"."""
    scan()
    return dict((Target if family == "target" else Learner).kinds)


def kind_named(family: str, kind: str) -> type[Plugin]:
    """The target or learner of that kind. Raises `PluginError` with the nearest known one."""
    return (Target if family == "target" else Learner).kind_named(kind)


def outline(spec: ExperimentSpec, slots: int | None = None) -> Outline:
    """What would run on that many slots (one per core of this machine); trains nothing."""
    return _outline(spec, slots or os.cpu_count() or 1)


def ui_command(place: Place, port: int) -> tuple[list[str], str]:
    """The command that serves the MLflow UI on loopback, and the address that opens on sweeps.

    Raises `RequestError` for a folder in which nothing was ever answered.
    """
    from orchestrator.tracking import ui_command

    if "://" not in place.store and not (Path(place.store) / "mlflow.db").exists():
        raise RequestError(f"{place.store}: no sweep was answered in this store yet")

    return ui_command(place.store, port)
