"""The outbox as the mirror reads it: what has not been told, and the marks for what has."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from orchestrator.tracking import queries
from orchestrator.tracking.cell_metrics import Told
from orchestrator.tracking.schema import (
    artifacts,
    cells,
    figures,
    gaps,
    members,
    outbox,
    sweeps,
    trials,
)
from orchestrator.tracking.statements import Bulk, among

BATCH = 2000
"""Entries read at once: what a second or two of writing takes on a local store."""


_MARK = Bulk(update(outbox).where(outbox.c.id == bindparam("at_id")).values(sent=true()))

OF_TRIALS = ("trial", "gap")
"""Kinds of entries that tell of a trial: its result, or that the sweep gave it up."""


@dataclass(frozen=True)
class CellNews:
    """A cell with everything that was queued of it, told or not; `entries` are those that were not.

    `trials[i]` is fresh, not told yet, where `fresh[i]`. A trial that the sweep gave up, and of
    which another sweep brought the result later, is there twice, first as a gap. `row` is the
    cell's row. `is_settled` says that no trial of the cell waits or runs.
    """

    row: Mapping[str, Any]
    arm: int
    seed: int
    trials: tuple[Told, ...]
    fresh: tuple[bool, ...]
    entries: tuple[int, ...]
    is_settled: bool


def unsent(connection: Connection, sweep: str) -> list[Row[Any]]:
    """The oldest entries that were not told: id, kind, subject, payload, queued."""
    query = (
        select(outbox)
        .where(outbox.c.sweep == sweep, ~outbox.c.sent)
        .order_by(outbox.c.id)
        .limit(BATCH)
    )
    return list(connection.execute(query))


def cells_of(connection: Connection, keys: Sequence[str]) -> list[str]:
    """The cells of those trials, in the trials' order, each once."""
    query = select(trials.c.key, trials.c.cell).where(among(connection, trials.c.key, keys))
    found = {row.key: row.cell for row in connection.execute(query)}
    return list(dict.fromkeys(found[key] for key in keys))


def cell_news(connection: Connection, sweep: str, asked: Sequence[str]) -> list[CellNews]:
    """Everything the mirror needs of some cells of a sweep, in their order."""
    entry = and_(outbox.c.subject == trials.c.key, outbox.c.sweep == sweep)
    own_gap = and_(gaps.c.key == trials.c.key, gaps.c.sweep == sweep)
    its_cell = among(connection, trials.c.cell, asked)
    query = (
        select(
            *(trials.c.cell, trials.c.seed, trials.c.repeat, trials.c.outcome, trials.c.measures),
            *(trials.c.seconds, trials.c.attempt, trials.c.settled),
            *(outbox.c.id, outbox.c.kind, outbox.c.sent),
            *(gaps.c.attempt.label("gap_attempt"), gaps.c.given_up),
        )
        .select_from(trials.join(outbox, entry).outerjoin(gaps, own_gap))
        .where(its_cell, outbox.c.kind.in_(OF_TRIALS))
        .order_by(outbox.c.id)
    )
    entries: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        entries[row.cell].append(row)
    is_open = case((and_(trials.c.state == "open", gaps.c.key.is_(None)), 1), else_=0)
    standing = (
        select(trials.c.cell, func.min(members.c.arm).label("arm"), func.sum(is_open).label("open"))
        .select_from(
            trials.join(
                members, and_(members.c.key == trials.c.key, members.c.sweep == sweep)
            ).outerjoin(gaps, own_gap)
        )
        .where(its_cell)
        .group_by(trials.c.cell)
    )
    stands = {row.cell: row for row in connection.execute(standing)}
    places = select(cells).where(among(connection, cells.c.key, asked))
    described = {row.key: row._asdict() for row in connection.execute(places)}
    return [
        CellNews(
            row=described[cell],
            arm=stands[cell].arm,
            seed=entries[cell][0].seed,
            trials=tuple(_told(row) for row in entries[cell]),
            fresh=tuple(not row.sent for row in entries[cell]),
            entries=tuple(row.id for row in entries[cell] if not row.sent),
            is_settled=not stands[cell].open,
        )
        for cell in asked
    ]


def _told(row: Row[Any]) -> Told:
    if row.kind == "gap":
        return Told(row.repeat, None, {}, None, row.gap_attempt, round(row.given_up * 1e3))
    return Told(
        repeat=row.repeat,
        outcome=row.outcome,
        measures=json.loads(row.measures),
        seconds=row.seconds,
        attempt=row.attempt,
        time_ms=round(row.settled * 1e3),
    )


def cells_told(connection: Connection, sweep: str) -> list[str]:
    """Cells of a sweep of which anything was queued, told or not."""
    query = (
        select(trials.c.cell)
        .join(outbox, outbox.c.subject == trials.c.key)
        .where(outbox.c.sweep == sweep, outbox.c.kind.in_(OF_TRIALS))
        .distinct()
    )
    return sorted(connection.execute(query).scalars())


def told_counts(connection: Connection, sweep: str) -> dict[str, int]:
    """How many results and gaps of each cell are marked as told."""
    query = (
        select(trials.c.cell, func.count())
        .select_from(outbox.join(trials, outbox.c.subject == trials.c.key))
        .where(outbox.c.sweep == sweep, outbox.c.kind.in_(OF_TRIALS), outbox.c.sent)
        .group_by(trials.c.cell)
    )
    return {cell: int(count) for cell, count in connection.execute(query)}


def mark_told(connection: Connection, entries: Sequence[int]) -> None:
    """These entries are in MLflow."""
    _MARK.run(connection, [{"at_id": entry} for entry in entries])


def note_told(connection: Connection, sweep: str, told: Sequence[tuple[str, str, float]]) -> None:
    """MLflow has these already: kind, key and time in seconds, in the order they happened."""
    for kind in OF_TRIALS:
        keys = [key for one, key, _ in told if one == kind]
        for chunk in queries.chunks(keys):
            same = (outbox.c.sweep == sweep, outbox.c.kind == kind, outbox.c.subject.in_(chunk))
            connection.execute(update(outbox).where(*same).values(sent=True))
        heard = queries.heard_of(connection, sweep, kind, keys)
        new = [
            {"sweep": sweep, "kind": kind, "subject": key, "queued": at, "sent": True}
            for one, key, at in told
            if one == kind and key not in heard
        ]
        if new:
            connection.execute(insert(outbox), new)


def tell_cells_again(connection: Connection, sweep: str, lost: Sequence[str]) -> None:
    """What was told of these cells is not in MLflow any more."""
    for chunk in queries.chunks(lost):
        keys = select(trials.c.key).where(trials.c.cell.in_(chunk))
        connection.execute(
            update(outbox)
            .where(
                outbox.c.sweep == sweep,
                outbox.c.kind.in_(OF_TRIALS),
                outbox.c.sent,
                outbox.c.subject.in_(keys),
            )
            .values(sent=False)
        )


def tell_sweep_again(connection: Connection, sweep: str) -> None:
    """The parent run is not in MLflow any more: its status is told again, and its newest figures
    with their times. Artifacts are published again when the sweep is next run.
    """
    same = (outbox.c.sweep == sweep, outbox.c.kind == "sweep", outbox.c.sent)
    connection.execute(update(outbox).where(*same).values(sent=False))
    queued = select(outbox.c.queued).where(outbox.c.sweep == sweep, outbox.c.kind == "metrics")
    waiting = set(connection.execute(queued).scalars())
    kept: dict[float, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(select(figures).where(figures.c.sweep == sweep)):
        kept[row.published][row.name] = row.value
    for at in sorted(kept.keys() - waiting):
        payload = json.dumps(kept[at], sort_keys=True)
        entry = {"sweep": sweep, "kind": "metrics", "subject": "", "payload": payload}
        connection.execute(insert(outbox).values(**entry, queued=at, sent=False))


def drop_told(connection: Connection, entries: Sequence[int]) -> None:
    """These entries of figures or artifacts are in MLflow, and nobody will ask for them again."""
    for chunk in queries.chunks(entries):
        connection.execute(delete(outbox).where(outbox.c.id.in_(chunk)))


def drop_settling(connection: Connection, sweep: str) -> None:
    """The sweep is complete in MLflow, or goes on."""
    ending = (outbox.c.sweep == sweep, outbox.c.kind == "settle")
    connection.execute(delete(outbox).where(*ending))


def artifact(connection: Connection, sweep: str, path: str) -> bytes | None:
    """An artifact's newest content; None once it was told."""
    query = select(artifacts.c.content).where(artifacts.c.sweep == sweep, artifacts.c.path == path)
    return connection.execute(query).scalar_one_or_none()


def drop_artifact(connection: Connection, sweep: str, path: str, told: bytes) -> None:
    """Forget a content that MLflow has, unless a newer one has come."""
    connection.execute(
        delete(artifacts).where(
            artifacts.c.sweep == sweep, artifacts.c.path == path, artifacts.c.content == told
        )
    )


def set_run(connection: Connection, sweep: str, run: str) -> None:
    """Remember the sweep's parent run."""
    connection.execute(update(sweeps).where(sweeps.c.id == sweep).values(mlflow_run=run))


def unfinished(connection: Connection, but: str) -> list[str]:
    """Other sweeps of which something is left to say: untold entries, or a running status."""
    waiting = select(outbox.c.sweep).where(~outbox.c.sent)
    query = select(sweeps.c.id).where(
        sweeps.c.id != but, or_(sweeps.c.status == "running", sweeps.c.id.in_(waiting))
    )
    return list(connection.execute(query).scalars())
