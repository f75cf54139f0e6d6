"""What is read from the ledger, by its driver and by the commands that only look."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from orchestrator.domain.curves import Curves, from_lists
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable, Wanted
from orchestrator.ports import Attempt, Member, Settled, SweepRecord, Whereabouts
from orchestrator.tracking.rows import Decoder, packs_of, sweep_of
from orchestrator.tracking.schema import (
    attempts,
    builds,
    cells,
    curves,
    figures,
    gaps,
    lessons,
    members,
    outbox,
    reusable,
    rounds,
    sweeps,
    trials,
    whereabouts,
)
from orchestrator.tracking.statements import among

CHUNK = 500
"""Keys per statement; SQLite takes 32,766 variables, and plans stay small."""

_Key = TypeVar("_Key", str, int)

_columns = (
    *trials.c,
    *(column for column in cells.c if column.name != "key"),
    *(gaps.c[name].label(f"gap_{name}") for name in ("sweep", "attempt", "reasons", "checksum")),
)


def chunks(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    """`keys` in pieces that fit one statement."""
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def sweep_records(connection: Connection) -> list[SweepRecord]:
    """Every sweep, newest first."""
    rows = connection.execute(select(sweeps).order_by(sweeps.c.started.desc(), sweeps.c.id))
    return [sweep_of(row) for row in rows]


def sweep_record(connection: Connection, sweep: str) -> SweepRecord | None:
    """One sweep by its whole id."""
    row = connection.execute(select(sweeps).where(sweeps.c.id == sweep)).one_or_none()
    return None if row is None else sweep_of(row)


def recorded_rounds(connection: Connection, decoder: Decoder, sweep: str) -> list[list[Ask]]:
    """The asks of every round, in order."""
    query = select(rounds).where(rounds.c.sweep == sweep).order_by(rounds.c.number)
    return [decoder.asks(row) for row in connection.execute(query)]


def answered(
    connection: Connection, arms: Sequence[Wanted], seed: int
) -> Iterator[tuple[str, Point, int]]:
    """Cell's key, point and repeat of every trial with a result, of those plug-ins and that seed.

    Plug-ins are compared by their settings; whether their revisions agree too, the key says.
    """
    for arm in arms:
        query = (
            select(cells.c.key, cells.c.d, cells.c.n, cells.c.k, trials.c.repeat)
            .join(trials, trials.c.cell == cells.c.key)
            .where(
                cells.c.target == canonical_json(arm.target.settings),
                cells.c.learner == canonical_json(arm.learner.settings),
                trials.c.seed == seed,
                trials.c.state == "done",
            )
        )
        for key, d, n, k, repeat in connection.execute(query):
            yield key, Point(d=d, n=n, k=k), repeat


def noted(connection: Connection, decoder: Decoder, sweep: str) -> list[Reusable] | None:
    """What the sweep could reuse when it was first opened; None where that was not noted."""
    row = connection.execute(select(reusable).where(reusable.c.sweep == sweep)).one_or_none()
    return None if row is None else decoder.reusable(row)


def states(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    """State and newest attempt, by any sweep, of those trials that the ledger knows.

    They stay so until the transaction ends: PostgreSQL locks the rows, in the order of their keys
    so that two drivers cannot wait for each other; SQLite has one writer at a time anyway.
    """
    query = (
        select(trials.c.key, trials.c.state, trials.c.attempt)
        .where(among(connection, trials.c.key, keys))
        .order_by(trials.c.key)
        .with_for_update(key_share=True, of=trials)
    )
    return {key: (state, attempt) for key, state, attempt in connection.execute(query)}


def with_result(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those trials that have a result."""
    query = select(trials.c.key).where(
        among(connection, trials.c.key, keys), trials.c.state == "done"
    )
    return set(connection.execute(query).scalars())


def builds_of(connection: Connection, sweep: str) -> list[str]:
    """The versions, as JSON, with which a sweep's results were made; the latest last."""
    query = (
        select(builds.c.versions)
        .join(trials, trials.c.build == builds.c.id)
        .join(members, members.c.key == trials.c.key)
        .where(members.c.sweep == sweep)
        .group_by(builds.c.versions)
        .order_by(func.max(trials.c.settled))
    )
    return list(connection.execute(query).scalars())


def given_up(connection: Connection, sweep: str, keys: Sequence[str]) -> set[str]:
    """Those trials that the sweep gave up itself."""
    query = select(gaps.c.key).where(gaps.c.sweep == sweep, among(connection, gaps.c.key, keys))
    return set(connection.execute(query).scalars())


def trials_of(sweep: str) -> Select[Any]:
    """Trials with their cells, and with the gaps of this sweep: what a `Decoder` reads."""
    own_gap = and_(gaps.c.key == trials.c.key, gaps.c.sweep == sweep)
    return select(*_columns).select_from(
        trials.join(cells, trials.c.cell == cells.c.key).outerjoin(gaps, own_gap)
    )


def settled(
    connection: Connection, decoder: Decoder, sweep: str, keys: Sequence[str]
) -> dict[str, Settled]:
    """Those trials on which the sweep need not work any more, in the order of `keys`."""
    found: dict[str, Settled] = {}
    is_settled = or_(trials.c.state != "open", gaps.c.key.is_not(None))
    query = trials_of(sweep).where(among(connection, trials.c.key, keys), is_settled)
    for row in connection.execute(query).all():
        value = decoder.settled(row)
        if value is not None:
            found[row.key] = value
    return {key: found[key] for key in keys if key in found}


def lessons_of(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Where what those trials taught was written, and how often."""
    query = select(lessons).where(among(connection, lessons.c.key, keys))
    return {row.key: (row.name, row.times) for row in connection.execute(query)}


def begun(connection: Connection, sweep: str, keys: Sequence[str]) -> set[str]:
    """Those trials at which the sweep has an attempt that has not ended."""
    query = select(attempts.c.key).where(
        attempts.c.sweep == sweep,
        attempts.c.ended.is_(None),
        among(connection, attempts.c.key, keys),
    )
    return set(connection.execute(query).scalars())


def curves_at(connection: Connection, keys: Sequence[str]) -> dict[str, Curves]:
    """Learning curves of those trials that have any."""
    query = select(curves.c.key, curves.c.points).where(among(connection, curves.c.key, keys))
    return {key: from_lists(json.loads(points)) for key, points in connection.execute(query)}


def cells_with_curves(connection: Connection, sweep: str) -> list[str]:
    """Cells of a sweep in which a trial has learning curves."""
    query = (
        select(trials.c.cell)
        .join(curves, curves.c.key == trials.c.key)
        .join(members, members.c.key == trials.c.key)
        .where(members.c.sweep == sweep)
        .distinct()
    )
    return sorted(connection.execute(query).scalars())


def curves_of_cells(
    connection: Connection, sweep: str, asked: Sequence[str]
) -> Iterator[tuple[str, str, float, Curves]]:
    """Cell, key, time of settling (s) and learning curves of the trials in some cells of a sweep
    that have any, by cell and repeat.
    """
    query = (
        select(trials.c.cell, trials.c.key, trials.c.settled, curves.c.points)
        .join(curves, curves.c.key == trials.c.key)
        .join(members, members.c.key == trials.c.key)
        .where(members.c.sweep == sweep, among(connection, trials.c.cell, asked))
        .order_by(trials.c.cell, trials.c.repeat)
    )
    for cell, key, settled_at, points in connection.execute(query):
        yield cell, key, settled_at, from_lists(json.loads(points))


def by_cell(
    found: Iterable[tuple[str, str, float, Curves]],
) -> Iterator[tuple[str, list[tuple[float, Curves]]]]:
    """What `curves_of_cells` gave, a cell at a time: times and curves of its trials."""
    for cell, trials_of_it in groupby(found, key=itemgetter(0)):
        yield cell, [(settled_at, own) for _, _, settled_at, own in trials_of_it]


def member_rows(connection: Connection, sweep: str) -> Iterator[Row[Any]]:
    """Members of a sweep with their trials and cells, in order of round, then of recording.

    `running` is 1 where this sweep has an attempt that has not ended; there is one at most.
    """
    under_way = and_(
        attempts.c.key == members.c.key,
        attempts.c.sweep == members.c.sweep,
        attempts.c.ended.is_(None),
    )
    is_running = attempts.c.key.is_not(None).label("running")
    query = (
        trials_of(sweep)
        .add_columns(members.c.arm, members.c.round, members.c.cached, is_running)
        .join(members, members.c.key == trials.c.key)
        .outerjoin(attempts, under_way)
        .where(members.c.sweep == sweep)
        .order_by(members.c.round, members.c.position)
    )
    yield from connection.execute(query)


def member_of(row: Row[Any], decoder: Decoder) -> Member:
    """A row of `member_rows` as a value."""
    value = decoder.settled(row)
    if value is None:
        trial = decoder.trial(row)
        return Member(trial, row.arm, row.round, "running" if row.running else "waiting")
    state = "gap" if value.is_gap else "cached" if row.cached else "done"
    return Member(value.trial, row.arm, row.round, state, value)  # type: ignore[arg-type]


def attempts_at(connection: Connection, keys: Sequence[str]) -> dict[str, list[Attempt]]:
    """Every attempt at those trials, oldest first, whichever sweep made it."""
    found: dict[str, list[Attempt]] = {key: [] for key in keys}
    query = select(attempts).where(among(connection, attempts.c.key, keys))
    for row in connection.execute(query.order_by(attempts.c.key, attempts.c.attempt)):
        one = Attempt(
            key=row.key,
            attempt=row.attempt,
            sweep=row.sweep,
            started=row.started,
            ended=row.ended,
            reason=row.reason,
            charge=row.charge,
            where=row.place,
        )
        found[row.key].append(one)
    return found


def losses(connection: Connection, sweep: str, ended: Sequence[str]) -> list[tuple[str, int, int]]:
    """How the sweep's attempts that gave no result ended: reason, their number, charges.

    `ended` are reasons that are no loss.
    """
    query = (
        select(attempts.c.reason, func.count(), func.sum(attempts.c.charge))
        .where(attempts.c.sweep == sweep, attempts.c.reason.not_in(ended))
        .group_by(attempts.c.reason)
    )
    return [(row[0], int(row[1]), int(row[2])) for row in connection.execute(query)]


def whereabouts_of(connection: Connection, sweep: str) -> tuple[float, list[Whereabouts]] | None:
    """Where the sweep's packs were when that was last noted, and when."""
    query = select(whereabouts).where(whereabouts.c.sweep == sweep)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.noted, packs_of(row))


def newest_attempt(connection: Connection, sweep: str, key: str) -> int:
    """The number of the sweep's own newest attempt at a trial; 0 where it has made none."""
    own = (attempts.c.sweep == sweep, attempts.c.key == key)
    return connection.execute(select(func.max(attempts.c.attempt)).where(*own)).scalar() or 0


def heard_of(connection: Connection, sweep: str, kind: str, keys: Sequence[str]) -> set[str]:
    """Those trials of which the outbox has an entry of that kind for the sweep, told or not."""
    query = select(outbox.c.subject).where(
        outbox.c.sweep == sweep, outbox.c.kind == kind, among(connection, outbox.c.subject, keys)
    )
    return set(connection.execute(query).scalars())


def charged(connection: Connection, sweep: str, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Reasons of the sweep's charged attempts of each key, oldest first."""
    found: dict[str, tuple[str, ...]] = {}
    query = (
        select(attempts.c.key, attempts.c.reason)
        .where(
            among(connection, attempts.c.key, keys),
            attempts.c.sweep == sweep,
            attempts.c.charge > 0,
        )
        .order_by(attempts.c.key, attempts.c.attempt)
    )
    for row in connection.execute(query):
        found[row.key] = (*found.get(row.key, ()), row.reason)
    return found


def published(connection: Connection, sweep: str) -> dict[str, float]:
    """The figures of the sweep as a whole, as they were last published."""
    query = select(figures.c.name, figures.c.value).where(figures.c.sweep == sweep)
    return {row.name: row.value for row in connection.execute(query)}


def lag(connection: Connection, sweep: str | None = None) -> int:
    """Outbox entries that MLflow has not been told, of one sweep or of all."""
    query = select(func.count()).select_from(outbox).where(~outbox.c.sent)
    if sweep is not None:
        query = query.where(outbox.c.sweep == sweep)
    return int(connection.execute(query).scalar_one())
