"""Our own sweeps, step by step, so that starting up can be told from running."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.plugin import load_file
from orchestrator.engine import InlineExecutor, RayExecutor
from orchestrator.plan.reuse import wanted
from orchestrator.ports import Executor, SweepRecord
from orchestrator.search.proposers import proposer_for
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Progress, Sweep
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.mirror import OutboxMirror
from orchestrator.tracking.places import ledger_at, store_at
from orchestrator.tracking.queries import lag

NOTHING = Path(__file__).with_name("nothing.py")

_LOOK_S, _DRAIN_S = 0.02, 600.0


def nothing_words(trials: int, repeats: int) -> dict[str, Any]:
    """A grid of that many trials of a learner that does nothing, `repeats` at each point."""
    return {
        "name": f"nothing-{trials}",
        "target": {"kind": "nowhere"},
        "learner": {"kind": "nothing"},
        "axes": {"d": [1], "n": list(range(1, trials // repeats + 1))},
        "repeats": repeats,
        "search": {"kind": "grid"},
        "success": {"measure": "nothing", "above": 0.5},
    }


@dataclass
class Stage:
    """A sweep that is open and ready: workers are up, and MLflow has been told that it began."""

    spec: ExperimentSpec
    ledger: Ledger
    executor: Executor

    def answer(self, watch: Callable[[Progress], None] = lambda progress: None) -> None:
        """Run the sweep until every trial is committed."""
        reusable = self.ledger.reusable(wanted(self.spec), self.spec.seed)
        Sweep(
            self.spec,
            tracker=self.ledger,
            executor=self.executor,
            proposer=proposer_for(self.spec, reusable),
            watch=watch,
        ).answer()

    def drain(self) -> None:
        """The sweep's end: its ledger is closed, and MLflow told what is left."""
        self.ledger.finish("finished", None)
        if not self.ledger.close(drain_s=_DRAIN_S):
            raise RuntimeError(f"MLflow was not told everything within {_DRAIN_S:g} s")


@contextmanager
def staged(
    words: Mapping[str, Any],
    folder: Path,
    *,
    slots: int | None = None,
    mirrored: bool = True,
    plugins: Sequence[Path] = (NOTHING,),
) -> Iterator[Stage]:
    """A sweep on a store in `folder`, run by that many Ray slots or, with None, in this process."""
    sources = [load_file(path) for path in plugins]
    spec = ExperimentSpec.from_words(dict(words))
    store = store_at(str(folder))
    database = Database(ledger_at(None, store))
    ledger = Ledger(database, OutboxMirror(database, store) if mirrored else None)
    started = time.time()
    ledger.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started))
    executor: Executor = InlineExecutor() if slots is None else _ray(slots, sources)
    stage = Stage(spec, ledger, executor)
    ledger.begin([])  # as a driver does that has read what it goes on with: now MLflow is told
    try:
        while mirrored and _untold(database, spec.id):
            time.sleep(_LOOK_S)
        yield stage
    finally:
        executor.close()
        ledger.close()


def _untold(database: Database, sweep: str) -> int:
    with database.reading() as connection:
        return lag(connection, sweep)


def _ray(slots: int, sources: Sequence[tuple[str, str]]) -> RayExecutor:
    executor = RayExecutor(slots=slots, plugins=sources)
    while not all(slot.up for slot in executor._slots):
        executor.wait(_LOOK_S)
    return executor
