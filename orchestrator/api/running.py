"""Answering: picks adapters and hands them to the loop. Nothing else wires.

Adapters are imported where they are chosen, because ray and mlflow take seconds to load.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from orchestrator.answer import Answer
from orchestrator.api.files import artifacts_of, metrics_of, note_of
from orchestrator.api.places import Machine, Place
from orchestrator.api.publishing import Publisher, Seldom
from orchestrator.api.reading import find, found_of, reader_of, spec_of, with_learning
from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.domain.lessons import Lessons
from orchestrator.errors import (
    Interrupted,
    PhasefrontError,
    RequestError,
    Unreachable,
)
from orchestrator.plan.reuse import wanted
from orchestrator.ports import (
    Executor,
    SweepRecord,
    Tracker,
)
from orchestrator.spec import ExperimentSpec, load
from orchestrator.sweep import Progress, Sweep, has_teacher

log = logging.getLogger(__name__)

NOTE_S = 2.0
"""Seconds between two notes of where packs are, for `explain`; each is a commit of the ledger."""

GIVE_UP_DRAIN_S = 3.0
"""How long MLflow may take to hear of a sweep that was stopped; Ctrl-C ends within ten seconds."""


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

    Raises `SpecError`, `RequestError` (GPUs or packages are missing), `SweepInUse`,
    `LedgerUnreachable`, `TrackerUnreachable` and `ClusterUnreachable` before anything is written or
    started; `Interrupted` when asked to stop; `EveryTrialFailed` when the first trials all fail
    alike. What was committed is always kept.
    """
    if not isinstance(spec, ExperimentSpec):
        path, spec = Path(spec), load(Path(spec))
        source = source or path.read_text(encoding="utf-8")
    place, machine = place or Place.chosen(), machine or Machine()
    _refuse_lost_ledger(spec, place)
    from orchestrator.search.proposers import check_ready, proposer_for
    from orchestrator.tracking import open_tracker, store_at

    check_ready(spec)
    with ExitStack() as stack:
        # A cluster elsewhere can refuse and GPUs can be missing, so they are asked for before the
        # ledger hears of the sweep; a Ray of our own on CPUs only takes seconds to start, so the
        # store and the ledger are asked first.
        checkpoints, lessons = _checkpoints(spec, place), store_at(place.store).lessons
        may_refuse = machine.address or spec.resources.gpus
        executor = _executor(machine, spec, plugins, checkpoints, lessons) if may_refuse else None
        if executor:
            stack.callback(executor.close)
        tracker = open_tracker(place.store, place.ledger)
        record = tracker.open(_record(spec, source, plugins))
        try:
            _make(checkpoints, "long trials cannot save where they stand")
            if any(arm.learner.teaches or has_teacher(arm.learner) for arm in spec.arms):
                _make(Lessons(lessons), "what trials teach cannot be kept")
            reusable = tracker.reusable(wanted(spec), spec.seed)
            executor = executor or _executor(machine, spec, plugins, checkpoints, lessons)
            stack.callback(executor.close)
            publisher = Publisher(spec, tracker, lambda: _so_far(spec, record, tracker))
            sweep = Sweep(
                spec,
                tracker=tracker,
                executor=executor,
                proposer=proposer_for(spec, reusable),
                watch=_looking_after(tracker, executor, checkpoints, publisher, watch),
                interrupted=interrupted,
            )
            found = _answer(sweep, tracker, executor, record)
            _tidy(tracker, checkpoints)
        except BaseException as error:
            if isinstance(error, Interrupted | KeyboardInterrupt | Unreachable):
                error.add_note(f"go on with: phasefront resume {spec.id}{place.words}")
            _give_up(tracker, executor, error)
            raise
        _let_go(tracker)
        return found


def to_resume(sweep: str, place: Place, from_mlflow: bool = False) -> SweepRecord:
    """The record of a sweep that can be gone on with, its ledger rebuilt first if asked.

    Raises `UnknownSweep`; `RequestError` when the ledger is lost and `from_mlflow` was not said, or
    when a plug-in's revision has changed, so that the same words would be another sweep.
    """
    reader = reader_of(place)
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
            f"{record.name} ({record.id}) was begun with another revision of a plug-in, so the "
            f"same words are now the sweep {spec.id}; start that with: phasefront run"
        )
    return record


def _refuse_lost_ledger(spec: ExperimentSpec, place: Place) -> None:
    """A sweep that MLflow knows and the ledger does not would be trained again, and doubled."""
    reader = reader_of(place)
    if reader.source == "mlflow" and any(record.id == spec.id for record in reader.sweeps()):
        raise RequestError(
            f"the ledger of {spec.name} is missing and MLflow has its trials; rebuild it with: "
            f"phasefront resume {spec.id} --from-mlflow{place.words}"
        )


def _answer(sweep: Sweep, tracker: Tracker, executor: Executor, record: SweepRecord) -> Answer:
    stopped_by = sweep.answer()
    executor.close()
    found = found_of(sweep.spec, record, tracker.members(), "finished", stopped_by)
    found = with_learning(found, tracker.curves)
    tracker.publish(metrics_of(found), artifacts_of(found), note_of(found))
    tracker.finish("finished", stopped_by)
    return found


def _so_far(spec: ExperimentSpec, record: SweepRecord, tracker: Tracker) -> Answer:
    found = found_of(spec, record, tracker.members(), "running", None)
    return with_learning(found, tracker.curves)


def _let_go(tracker: Tracker) -> None:
    """The answer stands and is kept; Ctrl-C ends only the wait for MLflow."""
    told = False
    with suppress(KeyboardInterrupt):
        told = tracker.close()
    if not told:
        log.warning("MLflow has not been told everything; it will be when a sweep is next opened")


def _give_up(tracker: Tracker, executor: Executor | None, error: BaseException) -> None:
    """The sweep's status says how it ended, if it can be said, and nothing runs afterwards.

    The status comes first: MLflow hears of it while the workers are ended. What goes wrong here is
    second to `error`, which may be its very cause (a full disk), so it is added to that as a note.
    """
    stopped = isinstance(error, Interrupted | KeyboardInterrupt)
    steps: list[Callable[[], object]] = [
        lambda: tracker.finish(
            "interrupted" if stopped else "failed", "interrupted" if stopped else None
        ),
        executor.close if executor else lambda: None,
        lambda: tracker.close(drain_s=GIVE_UP_DRAIN_S),
    ]
    for step in steps:
        try:
            step()
        except PhasefrontError as second:
            error.add_note(f"and then: {second}")


def _executor(
    machine: Machine,
    spec: ExperimentSpec,
    plugins: Sequence[tuple[str, str]],
    checkpoints: Checkpoints | None,
    lessons: Path | None,
) -> Executor:
    if machine.in_process:
        from orchestrator.engine import InlineExecutor

        return InlineExecutor(checkpoints, Lessons(lessons))
    from orchestrator.engine import RayExecutor

    gpus = spec.resources.gpus
    return RayExecutor(machine.address, machine.slots, gpus, plugins, checkpoints, lessons)


def _checkpoints(spec: ExperimentSpec, place: Place) -> Checkpoints | None:
    """Where trials of this sweep save where they stand, if any of its learners does that."""
    from orchestrator.tracking import store_at

    folder = store_at(place.store).checkpoints
    if folder is None or not any(arm.learner.resumable for arm in spec.arms):
        return None
    return Checkpoints(folder)


def _make(folder: Checkpoints | Lessons | None, otherwise: str) -> None:
    try:
        if folder:
            folder.make()
    except OSError as error:
        log.warning("%s: %s", otherwise, error)


def _tidy(tracker: Tracker, checkpoints: Checkpoints | None) -> None:
    """Forget the checkpoints of trials that have a result.

    A gap keeps its own: another sweep may be at work on the trial, or ask for it again.
    """
    keys = checkpoints.keys() if checkpoints else []
    if checkpoints and keys:
        checkpoints.forget(tracker.answered(keys))


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


def _looking_after(
    tracker: Tracker,
    executor: Executor,
    checkpoints: Checkpoints | None,
    publisher: Publisher,
    watch: Callable[[Progress], None],
) -> Callable[[Progress], None]:
    """What is done now and then while a sweep runs: tell people, and tidy up."""
    noting = Seldom(NOTE_S, time.monotonic, at_once=True)

    def all_of_it(progress: Progress) -> None:
        watch(progress)
        if noting.is_due:
            noting.do(lambda: tracker.note_whereabouts(executor.whereabouts()))
        if publisher.publish(progress):
            _tidy(tracker, checkpoints)

    return all_of_it
