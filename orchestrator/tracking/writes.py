"""What is written to the ledger, statement by statement, inside a driver's transaction.

Statements over many rows are sent once with all their rows. `now` is seconds since the epoch.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from orchestrator.domain.curves import Curves
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.trial import Trial
from orchestrator.plan.reuse import Reusable
from orchestrator.ports import SweepRecord, Whereabouts
from orchestrator.tracking import names, queries, rows
from orchestrator.tracking.schema import (
    artifacts,
    attempts,
    builds,
    cells,
    curves,
    drivers,
    figures,
    gaps,
    lessons,
    members,
    outbox,
    reusable,
    sweeps,
    trials,
    whereabouts,
)
from orchestrator.tracking.statements import Bulk, among

COMMITTED = "committed"
SUPERSEDED = "superseded by a newer attempt"
TOO_LATE = "settled by another attempt"
DRIVER_ENDED = "interrupted"
GIVEN_UP = "given up"

NO_LOSS = (COMMITTED, SUPERSEDED, TOO_LATE)
"""How an attempt ends beside which another brought the result, or that brought it itself."""

_SETTLED_COLUMNS = (
    *("state", "attempt", "outcome", "measures", "seconds", "settled"),
    *("place", "build", "checksum"),
)

_SETTLE = Bulk(
    update(trials)
    .where(trials.c.key == bindparam("at_key"))
    .values({name: bindparam(name) for name in _SETTLED_COLUMNS})
)

_BEGIN = Bulk(
    update(trials)
    .where(trials.c.key == bindparam("at_key"))
    .values(attempt=bindparam("new_attempt"))
)

_ATTEMPT = Bulk(insert(attempts))

_END_ATTEMPT = Bulk(
    update(attempts)
    .where(
        attempts.c.key == bindparam("at_key"),
        attempts.c.attempt == bindparam("at_attempt"),
        attempts.c.ended.is_(None),
    )
    .values({name: bindparam(f"new_{name}") for name in ("ended", "reason", "charge", "place")})
)


_LESSON = postgresql.insert(lessons)  # which SQLite reads as well

_KEEP_LESSON = Bulk(
    _LESSON.on_conflict_do_update(
        index_elements=[lessons.c.key],
        set_={
            "name": _LESSON.excluded.name,
            "kept": _LESSON.excluded.kept,
            "times": lessons.c.times + 1,
        },
    )
)


def add_new(connection: Connection, table: Table, new: Sequence[Mapping[str, Any]]) -> None:
    """Insert those rows whose primary key is not there yet."""
    # In order of their keys: two that insert the same rows must not wait for each other.
    by_key = itemgetter(*(column.name for column in table.primary_key))
    _adding(table).run(connection, sorted(new, key=by_key))


@cache
def _adding(table: Table) -> Bulk:
    return Bulk(postgresql.insert(table).on_conflict_do_nothing())  # which SQLite reads as well


def enter(connection: Connection, record: SweepRecord, now: float) -> int:
    """Create the running sweep, or join it and keep its beginning; this driver's epoch."""
    row = rows.sweep_row(record)
    if queries.sweep_record(connection, record.id) is None:
        connection.execute(insert(sweeps).values(row))
    else:
        kept = ("id", "name", "spec_json", "started", "mlflow_run")
        again = {name: value for name, value in row.items() if name not in kept}
        connection.execute(update(sweeps).where(sweeps.c.id == record.id).values(**again))
    build = {"id": rows.build_id(rows.versions()), "versions": rows.versions()}
    add_new(connection, builds, [build])
    return _take_wheel(connection, record.id, now)


def _take_wheel(connection: Connection, sweep: str, now: float) -> int:
    mine = drivers.c.sweep == sweep
    epoch = (connection.execute(select(drivers.c.epoch).where(mine)).scalar() or 0) + 1
    connection.execute(delete(drivers).where(mine))
    connection.execute(
        insert(drivers).values(
            sweep=sweep, epoch=epoch, host=socket.gethostname(), pid=os.getpid(), since=now
        )
    )
    return int(epoch)


def add_members(
    connection: Connection,
    sweep: str,
    number: int,
    asked: Sequence[tuple[int, Trial]],
    now: float,
) -> None:
    """Add a round's trials, with their arms, to the sweep; those it has already stay put. Their
    teachers become known, and no members.

    Cached are those with a result, but for the sweep's own of a ledger that was rebuilt: MLflow was
    told of them before it was asked. Of the others it will be told.
    """
    own_cells = {trial.cell.key: trial.cell for _, trial in asked}
    known = [trial for _, trial in asked]
    if any(cell.teacher is not None for cell in own_cells.values()):
        teachers = {one.teacher.key: one.teacher for one in known if one.teacher is not None}
        own_cells.update({one.cell.key: one.cell for one in teachers.values()})
        known = [*{**teachers, **{one.key: one for one in known}}.values()]
    add_new(connection, cells, [rows.cell_row(cell) for cell in own_cells.values()])
    add_new(connection, trials, [rows.trial_row(trial) for trial in known])
    keys = [trial.key for _, trial in asked]
    stand = queries.states(connection, keys)
    own = queries.heard_of(connection, sweep, "trial", keys)
    new = [
        {
            "sweep": sweep,
            "key": trial.key,
            "arm": arm,
            "round": number,
            "position": position,
            "cached": stand[trial.key][0] != "open" and trial.key not in own,
        }
        for position, (arm, trial) in enumerate(asked)
    ]
    add_new(connection, members, new)
    cached = [str(row["key"]) for row in new if row["cached"]]
    if cached:
        is_new = (members.c.sweep == sweep, members.c.round == number, members.c.cached)
        queue_trials(connection, now, *is_new, among(connection, members.c.key, cached))


def note_reusable(
    connection: Connection, sweep: str, found: Sequence[Reusable], now: float
) -> None:
    """Note what a sweep can reuse; MLflow keeps it too, for the day when the ledger is lost."""
    row = rows.reusable_row(sweep, found)
    connection.execute(insert(reusable).values(**row))
    if found:
        put_artifact(connection, sweep, names.REUSABLE, row["trials"].encode(), now)


def start_attempts(
    connection: Connection,
    sweep: str,
    stand: Mapping[str, int],
    older: Mapping[str, int],
    now: float,
) -> dict[str, int]:
    """Begin a new attempt of each key in `stand`, which maps it to its newest attempt so far.

    Those in `older`, this sweep's own, are superseded; another sweep's go on beside the new ones.
    """
    begun = {key: attempt + 1 for key, attempt in stand.items()}
    if not begun:
        return begun
    own = [(key, older[key]) for key in begun if key in older]
    end_attempts(connection, own, now, SUPERSEDED)
    _BEGIN.run(
        connection, [{"at_key": key, "new_attempt": attempt} for key, attempt in begun.items()]
    )
    first = {"sweep": sweep, "started": now, "charge": 0, "place": ""}
    _ATTEMPT.run(
        connection, [{"key": key, "attempt": attempt, **first} for key, attempt in begun.items()]
    )
    return begun


def end_attempts(
    connection: Connection,
    ending: Sequence[tuple[str, int]],
    now: float,
    reason: str,
    charge: int = 0,
    place: str = "",
) -> None:
    """Close those (key, attempt) that are still open; one that has ended keeps its reason."""
    new = {"new_ended": now, "new_reason": reason, "new_charge": charge, "new_place": place}
    _END_ATTEMPT.run(
        connection, [{"at_key": key, "at_attempt": attempt, **new} for key, attempt in ending]
    )


def end_all_attempts(connection: Connection, sweep: str, now: float) -> None:
    """Close what this sweep's drivers left open; nobody is charged for a driver's end."""
    connection.execute(
        update(attempts)
        .where(attempts.c.sweep == sweep, attempts.c.ended.is_(None))
        .values(ended=now, reason=DRIVER_ENDED)
    )


def settle(
    connection: Connection,
    settling: Mapping[str, Mapping[str, Any]],
    now: float,
    place: str = "",
) -> None:
    """Write what came of trials (rows of `rows.settled_row` by key), close those attempts, and
    queue them for every sweep that asked for them. A row's own `settled` time comes first.
    """
    if not settling:
        return
    same = {"settled": now, "place": place, "build": rows.build_id(rows.versions())}
    _SETTLE.run(connection, [{"at_key": key, **same, **row} for key, row in settling.items()])
    ending = [(key, row["attempt"]) for key, row in settling.items()]
    end_attempts(connection, ending, now, COMMITTED, place=place)
    queue_trials(connection, now, among(connection, members.c.key, list(settling)))


def keep_curves(connection: Connection, found: Mapping[str, Curves]) -> None:
    """Write the learning curves of trials that have a result, by key; empty ones are left out."""
    add_new(connection, curves, [rows.curves_row(key, own) for key, own in found.items() if own])


def keep_lessons(connection: Connection, found: Mapping[str, str], now: float) -> None:
    """Write the names of the files, by key, in which what trials taught is kept from now on."""
    _KEEP_LESSON.run(  # in order of their keys, as in `add_new`
        connection,
        [{"key": key, "name": found[key], "kept": now, "times": 1} for key in sorted(found)],
    )


def raise_attempts(connection: Connection, known: Mapping[str, int]) -> None:
    """Let no later attempt at these trials have a number up to the known one."""
    for key, attempt in known.items():
        lower = (trials.c.key == key, trials.c.state == "open", trials.c.attempt < attempt)
        connection.execute(update(trials).where(*lower).values(attempt=attempt))


def queue(
    connection: Connection,
    sweep: str,
    kind: str,
    now: float,
    subject: str = "",
    payload: str | None = None,
) -> None:
    """Queue one thing that MLflow must be told of a sweep."""
    row = {"sweep": sweep, "kind": kind, "subject": subject, "payload": payload}
    connection.execute(insert(outbox).values(**row, queued=now, sent=False))


def queue_end(connection: Connection, sweep: str, now: float) -> None:
    """A sweep has ended: MLflow must hear how, and be made complete when all else is told."""
    queue(connection, sweep, "sweep", now)
    queue(connection, sweep, "settle", now)


def queue_trials(connection: Connection, now: float, *where: ColumnElement[bool]) -> None:
    """Queue the members that `where` chooses, which are settled."""
    chosen = (
        select(members.c.sweep, literal("trial"), members.c.key, literal(now), literal(False))
        .where(*where)
        .order_by(members.c.sweep, members.c.round, members.c.position)
    )
    names = ["sweep", "kind", "subject", "queued", "sent"]
    connection.execute(insert(outbox).from_select(names, chosen))


def give_up(connection: Connection, gap: Mapping[str, Any]) -> None:
    """Write a row of `rows.gap_row`, close that attempt, and queue it for its sweep alone, if that
    asked for it: of teachers that nobody asked for MLflow hears nothing.
    """
    sweep, key, now = gap["sweep"], gap["key"], gap["given_up"]
    connection.execute(insert(gaps).values(**gap))
    end_attempts(connection, [(key, gap["attempt"])], now, GIVEN_UP)
    is_member = (members.c.sweep == sweep, members.c.key == key)
    if connection.execute(select(members.c.key).where(*is_member)).first() is not None:
        queue(connection, sweep, "gap", now, subject=key)


def publish(connection: Connection, sweep: str, new: Mapping[str, float], now: float) -> None:
    """Keep these figures as the newest, and queue them."""
    keep_figures(connection, sweep, {name: (value, now) for name, value in new.items()})
    queue(connection, sweep, "metrics", now, payload=canonical_json(dict(new)))


def keep_figures(
    connection: Connection, sweep: str, new: Mapping[str, tuple[float, float]]
) -> None:
    """Values and times of figures of the sweep as a whole; older ones are replaced."""
    for name, (value, at) in new.items():
        connection.execute(delete(figures).where(figures.c.sweep == sweep, figures.c.name == name))
        row = {"sweep": sweep, "name": name, "value": value, "published": at}
        connection.execute(insert(figures).values(**row))


def note_whereabouts(
    connection: Connection, sweep: str, packs: Sequence[Whereabouts], now: float
) -> None:
    """Replace what was noted of where the sweep's packs are."""
    connection.execute(delete(whereabouts).where(whereabouts.c.sweep == sweep))
    connection.execute(insert(whereabouts).values(rows.whereabouts_row(sweep, packs, now)))


def put_artifact(connection: Connection, sweep: str, path: str, content: bytes, now: float) -> None:
    """Keep the newest content of an artifact until MLflow has it."""
    mine = (artifacts.c.sweep == sweep, artifacts.c.path == path)
    connection.execute(delete(artifacts).where(*mine))
    connection.execute(insert(artifacts).values(sweep=sweep, path=path, content=content))
    queue(connection, sweep, "artifact", now, subject=path)
