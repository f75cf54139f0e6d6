"""The ledger as a `Tracker`: the truth about trials, in SQLite or PostgreSQL.

Every method is one transaction. A commit of any number of results is a handful of statements: read
where the trials stand, settle those whose attempt is the newest, close the attempts, and queue what
MLflow must be told, once for every sweep that asked for the trial.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import PluginError, SweepInUse
from orchestrator.plan.asks import Ask
from orchestrator.ports import Member, Settled, StoppedBy, SweepRecord, SweepStatus
from orchestrator.tracking import queries, rows
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import Lock, lock_for
from orchestrator.tracking.schema import (
    artifacts,
    attempts,
    builds,
    cells,
    drivers,
    members,
    outbox,
    rounds,
    sweeps,
    trials,
)

COMMITTED = "committed"
SUPERSEDED = "superseded by a newer attempt"
DRIVER_ENDED = "interrupted"
GIVEN_UP = "given up"


class Mirror(Protocol):
    """Whoever tells MLflow what the outbox holds."""

    def start(self, sweep: str) -> None:
        """Begin telling, in the background, what is queued for a sweep."""

    def wake(self) -> None:
        """Something was queued."""

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

    # The sweep

    def open(self, record: SweepRecord) -> SweepRecord:
        """See `Tracker.open`."""
        if self._lock is not None:
            raise RuntimeError(f"this tracker holds sweep {self._sweep}; close it first")
        with self.database.reading() as connection:  # an unknown sweep has no lock to fight for
            driver = connection.execute(
                select(drivers).where(drivers.c.sweep == record.id)
            ).one_or_none()
        lock = lock_for(self.database, record.id)
        if not lock.take():
            held = f" by pid {driver.pid} on {driver.host}" if driver else ""
            raise SweepInUse(
                f"sweep {record.id} ({record.name}) is being answered{held}; wait for it, "
                f"or look at it with: phasefront status {record.id}"
            )
        try:
            self._epoch = self._enter(record)
        except BaseException:
            lock.release()
            raise
        self._lock, self._sweep = lock, record.id
        if self._mirror is not None:
            self._mirror.start(record.id)
        with self.database.reading() as connection:
            found = queries.sweep_record(connection, record.id)
        assert found is not None
        return found

    def finish(self, status: SweepStatus, stopped_by: StoppedBy | None) -> None:
        """See `Tracker.finish`."""
        with self._writing() as connection:
            self._end_attempts(connection)
            connection.execute(
                update(sweeps)
                .where(sweeps.c.id == self._sweep)
                .values(status=status, stopped_by=stopped_by, ended=self._clock())
            )
            self._queue(connection, "sweep")

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

    # Rounds and trials

    def rounds(self) -> list[list[Ask]]:
        """See `Tracker.rounds`."""
        with self.database.reading() as connection:
            return queries.recorded_rounds(connection, self._held())

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        """See `Tracker.record_round`."""
        with self._writing() as connection:
            row = {"sweep": self._sweep, "number": number, "asks": rows.asks_json(asks)}
            if self._add(connection, rounds, [row]) == 0:
                return
            self._add_members(connection, number, trials)
            self._queue_settled(connection, number)

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        """See `Tracker.settled`."""
        with self.database.reading() as connection:
            return queries.settled(connection, self._decoder, keys)

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
                        "they cannot be run by this version. Ask again under another seed: --set seed=…"
                    )
                found.append(member)
        return found

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        """See `Tracker.begin`."""
        with self._writing() as connection:
            stand = queries.states(connection, keys)
            begun = {key: stand[key][1] + 1 for key in keys if stand[key][0] == "open"}
            if begun:
                self._end_older(connection, begun, stand)
                self._start_attempts(connection, begun)
        return begun

    def commit(
        self, results: Sequence[Result], attempts: Mapping[str, int], where: str = ""
    ) -> list[str]:
        """See `Tracker.commit`."""
        accepted: dict[str, Result] = {}
        with self._writing() as connection:
            stand = queries.states(connection, [result.key for result in results])
            for result in results:
                if stand.get(result.key) == ("open", attempts.get(result.key)):
                    accepted.setdefault(result.key, result)
            if accepted:
                self._settle(
                    connection,
                    [
                        rows.settled_row(
                            "done",
                            key,
                            attempts[key],
                            result.outcome.value,
                            result.measures,
                            result.seconds,
                        )
                        | {"at_key": key, "place": where}
                        for key, result in accepted.items()
                    ],
                    COMMITTED,
                )
        self._wake()
        return [result.key for result in results if accepted.get(result.key) is not result]

    def give_up(self, key: str, reasons: Sequence[str]) -> None:
        """See `Tracker.give_up`. A trial that was settled meanwhile stays as it is."""
        with self._writing() as connection:
            state, attempt = queries.states(connection, [key])[key]
            if state == "open":
                row = rows.settled_row("gap", key, attempt, reasons=reasons)
                self._settle(connection, [row | {"at_key": key, "place": ""}], GIVEN_UP)
        self._wake()

    def charge(self, key: str, attempt: int, reason: str, charge: int, where: str = "") -> None:
        """See `Tracker.charge`. An attempt that has ended keeps its reason."""
        with self._writing() as connection:
            connection.execute(
                update(attempts)
                .where(
                    attempts.c.key == key,
                    attempts.c.attempt == attempt,
                    attempts.c.ended.is_(None),
                )
                .values(ended=self._clock(), reason=reason, charge=charge, place=where)
            )

    def charges(self, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """See `Tracker.charges`."""
        with self.database.reading() as connection:
            return queries.charged(connection, keys)

    def publish(self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes]) -> None:
        """See `Tracker.publish`. Metrics that are not finite are left out: MLflow alters them."""
        finite = {name: value for name, value in metrics.items() if abs(value) < float("inf")}
        with self._writing() as connection:
            if finite:
                self._queue(connection, "metrics", payload=canonical_json(finite))
            for path, content in artifacts.items():
                self._put_artifact(connection, path, content)
        self._wake()

    # Inside a transaction

    def _held(self) -> str:
        if self._lock is None:
            raise RuntimeError("open a sweep first")
        return self._sweep

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction of the driver that still holds the sweep."""
        self._held()
        with self.database.writing() as connection:
            driver = connection.execute(select(drivers).where(drivers.c.sweep == self._sweep)).one()
            if driver.epoch != self._epoch:
                raise SweepInUse(
                    f"sweep {self._sweep} was taken over by pid {driver.pid} on {driver.host}"
                )
            yield connection

    def _wake(self) -> None:
        if self._mirror is not None:
            self._mirror.wake()

    def _enter(self, record: SweepRecord) -> int:
        """Create or join the sweep as its driver; the new epoch."""
        self._sweep = record.id
        with self.database.writing() as connection:
            fresh = rows.sweep_row(record) | {
                "status": "running",
                "stopped_by": None,
                "ended": None,
            }
            if self._add(connection, sweeps, [fresh]) == 0:
                kept = ("id", "name", "spec_json", "started", "mlflow_run")
                again = {name: value for name, value in fresh.items() if name not in kept}
                connection.execute(update(sweeps).where(sweeps.c.id == record.id).values(**again))
            self._end_attempts(connection)
            self._queue(connection, "sweep")
            build = {"id": rows.build_id(rows.versions()), "versions": rows.versions()}
            self._add(connection, builds, [build])
            return self._next_epoch(connection)

    def _next_epoch(self, connection: Connection) -> int:
        known = connection.execute(
            select(drivers.c.epoch).where(drivers.c.sweep == self._sweep)
        ).scalar()
        epoch = (known or 0) + 1
        row = {
            "sweep": self._sweep,
            "epoch": epoch,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._clock(),
        }
        connection.execute(delete(drivers).where(drivers.c.sweep == self._sweep))
        connection.execute(insert(drivers).values(row))
        return int(epoch)

    def _add(self, connection: Connection, table: Any, new: Sequence[Mapping[str, Any]]) -> int:
        """Insert those rows whose primary key is new; how many, where one row was given."""
        if not new:
            return 0
        dialect = sqlite if self.database.is_sqlite else postgresql
        statement = dialect.insert(table).on_conflict_do_nothing()
        if len(new) == 1:
            return int(connection.execute(statement.values(dict(new[0]))).rowcount)
        connection.execute(statement, [dict(row) for row in new])
        return len(new)

    def _add_members(
        self, connection: Connection, number: int, asked: Sequence[tuple[int, Trial]]
    ) -> None:
        own_cells = {trial.cell.key: trial.cell for _, trial in asked}
        self._add(connection, cells, [rows.cell_row(cell) for cell in own_cells.values()])
        self._add(connection, trials, [rows.trial_row(trial) for _, trial in asked])
        stand = queries.states(connection, [trial.key for _, trial in asked])
        self._add(
            connection,
            members,
            [
                {
                    "sweep": self._sweep,
                    "key": trial.key,
                    "arm": arm,
                    "round": number,
                    "position": position,
                    "cached": stand[trial.key][0] != "open",
                }
                for position, (arm, trial) in enumerate(asked)
            ],
        )

    def _queue(
        self, connection: Connection, kind: str, subject: str = "", payload: str | None = None
    ) -> None:
        row = {"sweep": self._sweep, "kind": kind, "subject": subject, "payload": payload}
        connection.execute(insert(outbox).values(**row, queued=self._clock(), sent=False))

    def _queue_settled(self, connection: Connection, number: int) -> None:
        """Queue the members of a round that were settled before it asked."""
        self._queue_trials(
            connection,
            members.c.sweep == self._sweep,
            members.c.round == number,
            members.c.cached,
        )

    def _queue_trials(self, connection: Connection, *where: Any) -> None:
        chosen = (
            select(
                members.c.sweep,
                literal("trial"),
                members.c.key,
                literal(self._clock()),
                literal(False),
            )
            .where(*where)
            .order_by(members.c.sweep, members.c.round, members.c.position)
        )
        names = ["sweep", "kind", "subject", "queued", "sent"]
        connection.execute(insert(outbox).from_select(names, chosen))

    def _end_attempts(self, connection: Connection) -> None:
        """Close what this sweep's drivers left open; nobody is charged for a driver's end."""
        connection.execute(
            update(attempts)
            .where(attempts.c.sweep == self._sweep, attempts.c.ended.is_(None))
            .values(ended=self._clock(), reason=DRIVER_ENDED)
        )

    def _end_older(
        self,
        connection: Connection,
        begun: Mapping[str, int],
        stand: Mapping[str, tuple[str, int]],
    ) -> None:
        older = [{"at_key": key, "at": stand[key][1]} for key in begun if stand[key][1] > 0]
        if older:
            connection.execute(
                _END_ATTEMPT, [_ended(row, self._clock(), SUPERSEDED) for row in older]
            )

    def _start_attempts(self, connection: Connection, begun: Mapping[str, int]) -> None:
        connection.execute(
            update(trials)
            .where(trials.c.key == bindparam("at_key"))
            .values(attempt=bindparam("new_attempt")),
            [{"at_key": key, "new_attempt": number} for key, number in begun.items()],
        )
        started = self._clock()
        connection.execute(
            insert(attempts),
            [
                {
                    "key": key,
                    "attempt": number,
                    "sweep": self._sweep,
                    "started": started,
                    "charge": 0,
                    "place": "",
                }
                for key, number in begun.items()
            ],
        )

    def _settle(self, connection: Connection, settling: list[dict[str, Any]], reason: str) -> None:
        """Write what came of trials, close their newest attempts, queue them for their sweeps."""
        now = self._clock()
        build = rows.build_id(rows.versions())
        connection.execute(_SETTLE, [row | {"settled": now, "build": build} for row in settling])
        connection.execute(
            _END_ATTEMPT,
            [
                _ended({"at_key": row["at_key"], "at": row["attempt"]}, now, reason, row["place"])
                for row in settling
            ],
        )
        for chunk in queries.chunks([row["at_key"] for row in settling]):
            self._queue_trials(connection, members.c.key.in_(chunk))

    def _put_artifact(self, connection: Connection, path: str, content: bytes) -> None:
        mine = (artifacts.c.sweep == self._sweep, artifacts.c.path == path)
        connection.execute(delete(artifacts).where(*mine))
        connection.execute(insert(artifacts).values(sweep=self._sweep, path=path, content=content))
        self._queue(connection, "artifact", subject=path)


_SETTLE = (
    update(trials)
    .where(trials.c.key == bindparam("at_key"))
    .values(
        {
            name: bindparam(name)
            for name in (
                *("state", "attempt", "outcome", "measures", "seconds", "settled"),
                *("place", "build", "reasons", "checksum"),
            )
        }
    )
)

_END_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.key == bindparam("at_key"),
        attempts.c.attempt == bindparam("at"),
        attempts.c.ended.is_(None),
    )
    .values(
        ended=bindparam("at_time"),
        reason=bindparam("why"),
        place=bindparam("at_place"),
    )
)


def _ended(row: dict[str, Any], now: float, reason: str, place: str = "") -> dict[str, Any]:
    return {**row, "at_time": now, "why": reason, "at_place": place}
