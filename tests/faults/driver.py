"""A driver that a test can kill: the product's loop on a real ledger, in a process of its own.

Processes are forked from one that has imported everything, so that a life costs milliseconds.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from orchestrator import failpoints
from orchestrator.cli import main
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.plugin import load_file
from orchestrator.domain.point import Point
from orchestrator.engine import InlineExecutor, RayExecutor
from orchestrator.plan.reuse import wanted
from orchestrator.ports import NO_LESSONS, ArmTally, Ask, StoppedBy, SweepRecord
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Sweep
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.mirror import OutboxMirror
from orchestrator.tracking.places import store_at

PLUGIN_FILE = Path(__file__).with_name("frail_plugins.py")
PLUGIN = load_file(PLUGIN_FILE)
frail = sys.modules["phasefront_plugins.frail_plugins"]
KILLED = -9

nursery = multiprocessing.get_context("forkserver")
nursery.set_forkserver_preload(["tests.faults.nursery"])


def a_question(seed: int = 0, name: str = "frail", search=None, **learner) -> dict[str, object]:
    """An experiment file, as words: plug-ins of a file cannot be pickled."""
    return {
        "name": name,
        "target": {"kind": "nothing"},
        "learner": {"kind": "frail", **learner},
        "axes": {"d": [4, 8], "n": {"low": 2, "high": 200}},
        "success": {"measure": "error", "below": 0.5},
        "search": search or {"kind": "grid"},
        "seed": seed,
    }


class Walking:
    """Asks for a few trials near where the last rounds succeeded, so that every answer matters."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        if number >= self._rounds:
            return []
        successes = sum(tally.successes for tally in tallies)
        return [Ask(0, Point(d=d, n=2 + (7 * number + successes) % 60, k=1), 3) for d in (4, 8)]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        return "tolerance"


class Acknowledging(Ledger):
    """Writes down which trials it was told are safe."""

    def commit(self, results, attempts, where="", lessons=NO_LESSONS):
        refused = super().commit(results, attempts, where, lessons)
        frail.note("acked", [one.key for one in results if one.key not in refused])
        return refused


@dataclass(frozen=True)
class Life:
    """What one driver is to do. `failpoint` is told to it as `NAME=ACTION@NTH`.

    It trains in its own process, or on a Ray of its own with so many `slots`.
    """

    folder: Path
    question: dict[str, object]
    rounds: int = 6
    failpoint: str = ""
    is_mirrored: bool = False
    slots: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> ExperimentSpec:
        return ExperimentSpec.from_words(self.question)

    @property
    def mark(self) -> Path:
        """Made as the failpoint strikes."""
        return self.folder / f"{self.failpoint}.struck"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def lessons(self) -> Path:
        return self.folder / "lessons"

    @property
    def log(self) -> Path:
        return self.folder / "exec.log"


def live(life: Life) -> None:
    """Answer the sweep, from where it stands, unless something happens."""
    os.environ.update({frail.LOG: str(life.log), **life.environment})
    failpoints.tell(life.failpoint and f"{life.failpoint}:{life.mark}")
    torch.set_num_threads(1)
    database = Database(f"sqlite:///{life.ledger}")
    store = store_at(str(life.folder / "store"))
    mirror = OutboxMirror(database, store, pace_s=0.0) if life.is_mirrored else None
    tracker, spec = Acknowledging(database, mirror), life.spec
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1e9))
    Lessons(life.lessons).make()
    executor = InlineExecutor(lessons=Lessons(life.lessons))
    if life.slots:
        executor = RayExecutor(None, life.slots, 0.0, [PLUGIN], None, life.lessons)
    try:
        tracker.reusable(wanted(spec), spec.seed)
        walking = Walking(life.rounds)
        sweep = Sweep(spec, tracker=tracker, executor=executor, proposer=walking)
        stopped_by = sweep.answer()
        tracker.publish({"trials": float(len(tracker.members()))}, {"page.html": b"<p>done</p>"})
        tracker.finish("finished", stopped_by)
    finally:
        executor.close()
        tracker.close()


def typed(
    folder: Path, question: dict[str, object], words: Sequence[str], environment: Mapping[str, str]
) -> None:
    """What `phasefront run` does, of a file with that question; its complaints go to `said`.

    The environment is that of workers: the driver has read its own before.
    """
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 2)
    os.environ.update({frail.LOG: str(folder / "exec.log"), **environment})
    file = folder / "asked.json"
    file.write_text(json.dumps({"format": 1, **question}))
    place = ["--store", str(folder / "store"), "--plugins", str(PLUGIN_FILE)]
    sys.argv = ["phasefront", "run", str(file), *place, *words]
    main()


def begin_typed(
    folder: Path, question: dict[str, object], *words: str, **environment: str
) -> BaseProcess:
    """Start a driver as a person would."""
    process = nursery.Process(target=typed, args=(folder, question, words, environment))
    process.start()
    return process


def begin(life: Life) -> BaseProcess:
    """Start that driver."""
    process = nursery.Process(target=live, args=(life,))
    process.start()
    return process


def exit_of(process: BaseProcess, within_s: float = 120.0) -> int:
    """How a driver ended by itself; -9 when it was killed."""
    process.join(within_s)
    assert process.exitcode is not None, "the driver hangs"
    status = process.exitcode
    process.close()
    return status


@contextmanager
def running(life: Life) -> Iterator[BaseProcess]:
    """A driver that is killed at the end of the block if it still runs."""
    process = begin(life)
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()
