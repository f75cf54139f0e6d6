"""The ledger as a `Tracker`: the truth about trials, in SQLite or PostgreSQL.

Every method is one transaction. A commit of any number of results is a handful of statements: read
where the trials stand, settle those that are open, close the attempts, and queue what MLflow must
be told, once for every sweep that asked for the trial.

Two sweeps may work on one trial at the same time: neither stops the other's attempt, because then
neither would ever end. Whoever commits first settles it. Which attempts are valid is known here and
not read: those that this driver began; the epoch refuses a driver that is not the newest.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from sqlalchemy import Connection, insert, select, update

from orchestrator.domain.curves import Curves
from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import PluginError, SweepInUse
from orchestrator.failpoints import at
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable, Wanted
from orchestrator.plan.reuse import reusable as reusable_among
from orchestrator.ports import (
    NO_LESSONS,
    Member,
    Settled,
    StoppedBy,
    SweepRecord,
    SweepStatus,
    Whereabouts,
)
from orchestrator.tracking import fence, outbox, queries, rows, writes
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import Lock, lock_for
from orchestrator.tracking.schema import drivers, rounds, sweeps


class Mirror(Protocol):
    """Whoever tells MLflow what the outbox holds."""

    def start(self, sweep: str) -> None:
        """From the first `wake` on, tell what is queued for a sweep, in the background."""

    def wake(self) -> None:
        """Work has begun, or something was queued."""

    def stop(self, drain_s: float) -> bool:
        """Stop within about `drain_s` seconds; whether everything queued was told."""


class Ledger:
    """A `Tracker` on a database; `mirror` is told when there is something to tell."""

    def __init__(
        self,
        database: Database,
        mirror: Mirror | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self._mirror = mirror
        self._clock = clock
        self._decoder = rows.Decoder(database.name)
        self._lock: Lock | None = None
        self._sweep = ""
        self._epoch = 0
        self._begun: dict[str, int] = {}  # this driver's newest attempt of each key
        self._published: dict[str, float] = {}

    # the sweep

    def open(self, record: SweepRecord) -> SweepRecord:
        """See `Tracker.open`."""
        if self._lock is not None:
            raise RuntimeError(f"this tracker holds sweep {self._sweep}; close it first")
        lock = lock_for(self.database, record.id)
        if not lock.take():
            raise SweepInUse(
                f"sweep {record.id} ({record.name}) is being answered{self._driver(record.id)}; "
                f"wait for it, or look at it with: phasefront status {record.id}"
            )
        try:
            at("lock.take.after")
            found = self._enter(record)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        if self._mirror is not None:
            self._mirror.start(record.id)
        return found

    def finish(self, status: SweepStatus, stopped_by: StoppedBy | None) -> None:
        """See `Tracker.finish`."""
        now = self._clock()
        with self._writing("finish") as connection:
            writes.end_all_attempts(connection, self._sweep, now)
            connection.execute(
                update(sweeps)
                .where(sweeps.c.id == self._sweep)
                .values(status=status, stopped_by=stopped_by, ended=now)
            )
            writes.queue_end(connection, self._sweep, now)
        self._wake()

    def close(self, drain_s: float = 60.0) -> bool:
        """See `Tracker.close`."""
        if self._lock is None:
            return True
        try:
            return self._mirror.stop(drain_s) if self._mirror is not None else True
        finally:
            self._lock.release()
            self._lock = None
            self.database.close()

    # rounds and trials

    def rounds(self) -> list[list[Ask]]:
        """See `Tracker.rounds`."""
        with self.database.reading() as connection:
            return queries.recorded_rounds(connection, self._decoder, self._held())

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        """See `Tracker.record_round`."""
        with self._writing("round") as connection:
            same = (rounds.c.sweep == self._sweep, rounds.c.number == number)
            if connection.execute(select(rounds.c.number).where(*same)).first() is not None:
                return
            connection.execute(insert(rounds).values(rows.round_row(self._sweep, number, asks)))
            writes.add_members(connection, self._sweep, number, trials, self._clock())
        self._wake()

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """See `Tracker.reusable`."""
        with self._writing("reusable") as connection:
            known = queries.noted(connection, self._decoder, self._sweep)
            if known is not None:
                return known
            begun = queries.recorded_rounds(connection, self._decoder, self._sweep)
            found = [] if begun else reusable_among(arms, queries.answered(connection, arms, seed))
            writes.note_reusable(connection, self._sweep, found, self._clock())
        self._wake()
        return found

    def answered(self, keys: Sequence[str]) -> set[str]:
        """See `Tracker.answered`."""
        with self.database.reading() as connection:
            return queries.with_result(connection, keys)

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        """See `Tracker.settled`."""
        with self.database.reading() as connection:
            return queries.settled(connection, self._decoder, self._sweep, keys)

    def curves(self, keys: Sequence[str]) -> dict[str, Curves]:
        """See `Tracker.curves`."""
        with self.database.reading() as connection:
            return queries.curves_at(connection, keys)

    def members(self) -> list[Member]:
        """See `Tracker.members`.

        Raises `PluginError` when a trial that has to run was asked of an older revision.
        """
        found = []
        with self.database.reading() as connection:
            for row in queries.member_rows(connection, self._held()):
                member = queries.member_of(row, self._decoder)
                if member.settled is None and not rows.is_current(row, member.trial):
                    raise PluginError(
                        f"sweep {self._sweep} asked for trials of an older revision of "
                        f"{member.trial.cell.target.kind} or {member.trial.cell.learner.kind}; "
                        "they cannot be run by this version. Ask again with another seed: "
                        "--set seed=…"
                    )
                found.append(member)
        return found

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        """See `Tracker.begin`."""
        with self._writing("begin") as connection:
            stand = queries.states(connection, keys)
            given_up = queries.given_up(connection, self._sweep, keys)
            unsettled = {
                key: stand[key][1]
                for key in keys
                if stand[key][0] == "open" and key not in given_up
            }
            begun = writes.start_attempts(
                connection, self._sweep, unsettled, self._begun, self._clock()
            )
        self._begun.update(begun)
        self._wake()
        return begun

    def commit(
        self,
        results: Sequence[Result],
        attempts: Mapping[str, int],
        where: str = "",
        lessons: Mapping[str, str] = NO_LESSONS,
    ) -> list[str]:
        """See `Tracker.commit`."""
        with self._writing("commit") as connection:
            now = self._clock()
            stand = queries.states(connection, [result.key for result in results])
            open_keys = {key for key, (state, _) in stand.items() if state == "open"}
            verdict = fence.judge(results, attempts, self._begun, open_keys.__contains__)
            writes.end_attempts(connection, verdict.late, now, writes.TOO_LATE, place=where)
            settling = {
                key: rows.settled_row(result, attempts[key])
                for key, result in verdict.accepted.items()
            }
            writes.settle(connection, settling, now, where)
            own = {key: result.curves for key, result in verdict.accepted.items()}
            writes.keep_curves(connection, own)
            writes.keep_lessons(connection, lessons, now)
        for key in (*settling, *(key for key, _ in verdict.late)):  # never to be begun again
            self._begun.pop(key, None)
        self._wake()
        return verdict.refused

    def charge(
        self, attempts: Mapping[str, int], reason: str, charge: int, where: str = ""
    ) -> None:
        """See `Tracker.charge`. An attempt that has ended keeps its reason."""
        with self._writing("charge") as connection:
            now = self._clock()
            writes.end_attempts(connection, [*attempts.items()], now, reason, charge, where)

    def charges(self, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """See `Tracker.charges`."""
        with self.database.reading() as connection:
            return queries.charged(connection, self._sweep, keys)

    def give_up(self, key: str, reasons: Sequence[str]) -> None:
        """See `Tracker.give_up`. A trial that was settled meanwhile stays as it is."""
        with self._writing("give_up") as connection:
            state, _ = queries.states(connection, [key])[key]
            if state == "open" and not queries.given_up(connection, self._sweep, [key]):
                own = self._begun.get(key)  # none where the charges are those of a driver before
                attempt = own or queries.newest_attempt(connection, self._sweep, key)
                gap = rows.gap_row(self._sweep, key, attempt, self._clock(), reasons)
                writes.give_up(connection, gap)
        self._begun.pop(key, None)
        self._wake()

    def note_whereabouts(self, packs: Sequence[Whereabouts]) -> None:
        """See `Tracker.note_whereabouts`."""
        with self._writing("publish") as connection:
            writes.note_whereabouts(connection, self._sweep, packs, self._clock())

    def publish(
        self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes], note: str = ""
    ) -> None:
        """See `Tracker.publish`. Metrics that are not finite, or have not changed, are left out."""
        new = {
            name: value
            for name, value in metrics.items()
            if math.isfinite(value) and self._published.get(name) != value
        }
        if not (new or artifacts or note):
            return
        now = self._clock()
        with self._writing("publish") as connection:
            if new:
                writes.publish(connection, self._sweep, new, now)
            for path, content in artifacts.items():
                writes.put_artifact(connection, self._sweep, path, content, now)
            if note:
                writes.queue(connection, self._sweep, "note", now, payload=note)
        self._published.update(new)
        self._wake()

    # the driver's hold

    def _enter(self, record: SweepRecord) -> SweepRecord:
        now = self._clock()
        running = replace(record, status="running", stopped_by=None, ended=None)
        with self._transaction("enter") as connection:
            self._epoch = writes.enter(connection, running, now)
            writes.end_all_attempts(connection, record.id, now)
            outbox.drop_settling(connection, record.id)  # it goes on
            writes.queue(connection, record.id, "sweep", now)
            found = queries.sweep_record(connection, record.id)
            published = queries.published(connection, record.id)
        assert found is not None
        self._sweep = record.id
        self._begun, self._published = {}, published
        return found

    def _driver(self, sweep: str) -> str:
        query = select(drivers.c.pid, drivers.c.host).where(drivers.c.sweep == sweep)
        with self.database.reading() as connection:
            driver = connection.execute(query).one_or_none()
        return f" by pid {driver.pid} on {driver.host}" if driver else ""

    def _held(self) -> str:
        if self._lock is None:
            raise RuntimeError("open a sweep first")
        return self._sweep

    @contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        """A transaction of the driver that still holds the sweep; see `locks` for the epoch."""
        self._held()
        with self._transaction(what) as connection:
            query = select(drivers.c.epoch).where(drivers.c.sweep == self._sweep)
            query = query.with_for_update(read=True)  # nobody takes over until this has ended
            if connection.execute(query).scalar() != self._epoch:
                raise SweepInUse(
                    f"sweep {self._sweep} was taken over by another driver; "
                    f"look at it with: phasefront status {self._sweep}"
                )
            yield connection

    @contextmanager
    def _transaction(self, what: str) -> Iterator[Connection]:
        with self.database.writing() as connection:
            at(f"ledger.{what}.before")
            yield connection
            at(f"ledger.{what}.within")
        at(f"ledger.{what}.after")

    def _wake(self) -> None:
        if self._mirror is not None:
            self._mirror.wake()
