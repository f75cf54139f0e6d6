"""The same simulation on the real ledger (SQLite) with its real mirror, for fewer seeds."""

import json
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.domain.learner import Outcome
from orchestrator.domain.trial import Result
from orchestrator.ports import Ask, Attempt, Tracker
from orchestrator.tracking import ledger, names, queries, rows, teller
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from tests.faults.simulator.mlflow import OneAtATime, Run, Server, SimulatedMirror, teller_of
from tests.faults.simulator.witness import hold
from tests.faults.simulator.world import World


@dataclass(frozen=True)
class Done:
    """A committed result."""

    attempt: int
    result: Result


class State:
    """Everything that is committed, read once."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    @cached_property
    def done(self) -> dict[str, Done]:
        columns = "key, attempt, outcome, measures, seconds"
        return {
            key: Done(attempt, Result(key, Outcome(outcome), json.loads(measures), seconds))
            for key, attempt, outcome, measures, seconds in self._rows(
                f"SELECT {columns} FROM trials WHERE state = 'done'"
            )
        }

    @cached_property
    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        columns = "key, attempt, sweep, started, ended, reason, charge, place"
        found: dict[str, tuple[Attempt, ...]] = {}
        for row in self._rows(f"SELECT {columns} FROM attempts ORDER BY key, attempt"):
            found[row[0]] = (*found.get(row[0], ()), Attempt(*row))
        return found

    @cached_property
    def gaps(self) -> dict[str, dict[str, tuple[str, ...]]]:
        found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for sweep, key, reasons in self._rows("SELECT sweep, key, reasons FROM gaps"):
            found[sweep][key] = tuple(json.loads(reasons))
        return found

    @cached_property
    def members(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for sweep, key, number in self._rows("SELECT sweep, key, round FROM members"):
            found[sweep][key] = number
        return found

    @cached_property
    def queued(self) -> Counter[tuple[str, str, str]]:
        return Counter(
            self._rows("SELECT sweep, kind, subject FROM outbox WHERE kind IN ('trial', 'gap')")
        )

    @cached_property
    def trials(self) -> list[tuple[str, str, int]]:
        return self._rows("SELECT key, cell, repeat FROM trials")

    @cached_property
    def marked(self) -> dict[str, Counter[tuple[str, int]]]:
        """Cell and repeat of what MLflow is said to have, by sweep."""
        found: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        for sweep, cell, repeat in self._rows(
            "SELECT sweep, cell, repeat FROM outbox JOIN trials ON key = subject WHERE sent"
        ):
            found[sweep][cell, repeat] += 1
        return found

    @cached_property
    def sweeps(self) -> dict[str, tuple[str, int]]:
        columns = "id, status, coalesce(epoch, 0)"
        found = self._rows(f"SELECT {columns} FROM sweeps LEFT JOIN drivers ON sweep = id")
        return {name: (status, epoch) for name, status, epoch in found}


class SimulatedLock:
    """One of `holders`, by name; freed from outside when its process dies."""

    def __init__(self, holders: dict[str, "SimulatedLock"], sweep: str) -> None:
        self._holders, self._sweep = holders, sweep

    def take(self, patience_s: float = 0.0) -> bool:
        return self._holders.setdefault(self._sweep, self) is self

    def release(self) -> None:
        if self._holders.get(self._sweep) is self:
            del self._holders[self._sweep]


class LedgerBooks:
    """Of a ledger in a file. `use` patches away what would wait: locks and threads."""

    def __init__(self, world: World, path: Path) -> None:
        self._world, self._path = world, path
        self._database = Database(f"sqlite:///{path}")
        self._state: State | None = None
        self._locks: dict[str, SimulatedLock] = {}
        self.server = Server(world)
        self._database.simulated_locks = self._locks  # type: ignore[attr-defined]
        engine = self._database._engine
        event.listen(engine, "commit", self._forget)
        event.listen(engine, "before_cursor_execute", self._between_two_writes)

    @classmethod
    def maker(cls, folder: Path) -> Callable[[World], "LedgerBooks"]:
        """Makes one fresh ledger after another, each a copy of an empty one."""
        empty, path = folder / "empty.db", folder / "ledger.db"
        Database(f"sqlite:///{empty}").close()

        def make(world: World) -> LedgerBooks:
            for old in folder.glob("ledger.db*"):
                old.unlink()
            shutil.copy(empty, path)
            return cls(world, path)

        return make

    @staticmethod
    def use(patch: pytest.MonkeyPatch) -> None:
        """Locks in memory, and no threads."""
        patch.setattr(
            ledger,
            "lock_for",
            lambda database, sweep: SimulatedLock(database.simulated_locks, sweep),
        )
        patch.setattr(teller, "ThreadPoolExecutor", OneAtATime)

    def _forget(self, connection: object) -> None:
        self._state = None

    def _between_two_writes(self, connection: Any, cursor: object, statement: str, *_: Any) -> None:
        writes = connection.get_execution_options().get("phasefront_write")
        if writes and not statement.lstrip().startswith(("SELECT", "BEGIN")):
            self._world.between_two_writes()

    @property
    def _now(self) -> State:
        if self._state is None:
            self._state = State(self._path)
        return self._state

    # the books

    def tracker(self) -> Ledger:
        mirror = SimulatedMirror(self._world, self._database, self.server, self._telling)
        return Ledger(self._database, mirror, self._world.wall)

    def free_lock(self, tracker: Tracker) -> None:
        assert isinstance(tracker, Ledger)
        tracker._mirror.is_over = True  # type: ignore[union-attr]
        if tracker._lock is not None:
            tracker._lock.release()

    def done(self) -> Mapping[str, Done]:
        return self._now.done

    def attempts(self, key: str) -> tuple[Attempt, ...]:
        return self._now.attempts.get(key, ())

    def gaps(self, sweep: str) -> Mapping[str, tuple[str, ...]]:
        return self._now.gaps[sweep]

    def sweeps_of(self, key: str) -> Iterable[str]:
        return [name for name, members in self._now.members.items() if key in members]

    def members(self, sweep: str) -> Mapping[str, int]:
        return self._now.members[sweep]

    def rounds(self, sweep: str) -> list[list[Ask]]:
        with self._database.reading() as connection:
            decoder = rows.Decoder(self._database.name)
            return queries.recorded_rounds(connection, decoder, sweep)

    def queued(self) -> Counter[tuple[str, str, str]]:
        return self._now.queued

    def status(self, sweep: str) -> str:
        return self._now.sweeps[sweep][0]

    def epoch(self, sweep: str) -> int:
        return self._now.sweeps.get(sweep, ("", 0))[1]

    def holders(self) -> Iterable[str]:
        return list(self._locks)

    # I6: the mirror

    @contextmanager
    def _telling(self, sweep: str) -> Iterator[None]:
        """While the mirror tells what it can."""
        before = self._now.marked[sweep]
        yield
        self.what_is_marked_is_there(sweep, self._now.marked[sweep] - before)

    def what_is_marked_is_there(self, sweep: str, marked: Counter[tuple[str, int]]) -> None:
        """I6: a trial is marked as told when MLflow has it, and not before."""
        runs = [run for run in self.server.live if run.tags[names.SWEEP] == sweep]
        there = {one for run in runs for one in _told(run)}
        hold(marked.keys() <= there, "I6", f"{marked.keys() - there} were marked and not told")

    def mlflow_is_told_everything(self, sweep: str) -> None:
        """I6: once MLflow answers, it has one run of the sweep and one of each cell, in which every
        settled trial stands once and as the ledger has it, and none of them runs on."""
        last = teller_of(self._database, self.server, sweep)
        while last.tell():
            pass
        last.settle_up()
        runs = [run for run in self.server.live if run.tags[names.SWEEP] == sweep]
        cells = [run for run in runs if run.tags[names.ROLE] == "cell"]
        (parent, *others) = [run for run in runs if run not in cells]
        hold(not others, "I6", f"{len(others) + 1} runs of {sweep}")
        keys = [run.tags[names.CELL] for run in cells]
        hold(len(set(keys)) == len(keys), "I6", "a cell has two runs")
        hold(parent.tags.get(names.COMMIT) == sweep, "I6", "the sweep is not said to be complete")
        hold(all(run.status == "FINISHED" for run in runs), "I6", "a run goes on")
        told = {key: value for run in cells for key, value in _told(run).items()}
        expected = self._expected(sweep)
        hold(told == expected, "I6", f"MLflow has {told}, the ledger {expected}")

    def _expected(self, sweep: str) -> dict[tuple[str, int], list[tuple[float, float | None]]]:
        """Outcomes with test errors, by cell and repeat, in the order they came."""
        found: dict[tuple[str, int], list[tuple[float, float | None]]] = {}
        places = {key: (cell, repeat) for key, cell, repeat in self._now.trials}
        for key in self.members(sweep):
            gap = [(names.GAP_NUMBER, None)] if key in self.gaps(sweep) else []
            one = self.done().get(key)
            number = names.OUTCOME_NUMBERS[one.result.outcome] if one else 0.0
            result = [(number, one.result.measures.get("test_error"))] if one else []
            found[places[key]] = gap + result
        return found


def _told(run: Run) -> dict[tuple[str, int], list[tuple[float, float | None]]]:
    outcomes, errors = (
        sorted((one for one in run.metrics if one.key == name), key=lambda one: one.timestamp)
        for name in ("trial.outcome", "trial.test_error")
    )
    found: dict[tuple[str, int], list[tuple[float, float | None]]] = defaultdict(list)
    for one in outcomes:
        values = [e.value for e in errors if (e.step, e.timestamp) == (one.step, one.timestamp)]
        found[run.tags[names.CELL], one.step].append((one.value, *(values or [None])))
    return dict(found)
