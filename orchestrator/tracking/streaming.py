"""Settled trials of a sweep as they pass through, in a table's order, however many there are."""

from collections.abc import Generator, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Row, Select, and_, cast, func, or_, select, true

from orchestrator.tracking.schema import cells, gaps, members, trials
from orchestrator.tracking.statements import among

STREAMED = 10_000
"""Rows fetched at a time: some 10 MB of them. Chosen by hand."""

_gap_columns = tuple(
    gaps.c[name].label(f"gap_{name}") for name in ("sweep", "attempt", "reasons", "checksum")
)


def table_parts(
    connection: Connection, sweep: str
) -> Generator[tuple[Sequence[Row[Any]], Sequence[Row[Any]]], None, None]:
    """Settled members of a sweep in the order of a table: arm, d, k, n, round, recording.

    They come `STREAMED` at a time, so that neither this process nor the database's driver holds
    them all, each time with the cells they need: what is sorted is the smaller for it.
    """
    is_settled = or_(trials.c.state != "open", gaps.c.key.is_not(None))
    own_gap = and_(gaps.c.key == trials.c.key, gaps.c.sweep == sweep)
    query: Select[Any] = (
        select(*trials.c, *_gap_columns, members.c.arm, members.c.round, members.c.cached)
        .select_from(trials.join(cells, trials.c.cell == cells.c.key).outerjoin(gaps, own_gap))
        .join(members, members.c.key == trials.c.key)
        .where(members.c.sweep == sweep, is_settled)
        .order_by(
            *(members.c.arm, cells.c.d, cells.c.k, cells.c.n),
            *(members.c.round, members.c.position),
        )
    )
    streamed = {"yield_per": STREAMED}
    with connection.execute(query, execution_options=streamed) as result:
        for rows in result.partitions():
            wanted = among(connection, cells.c.key, sorted({row.cell for row in rows}))
            known: Select[Any] = select(*cells.c, cells.c.key.label("cell")).where(wanted)
            yield rows, connection.execute(known).all()


def measures_of(connection: Connection, sweep: str) -> list[str]:
    """Names of the measures that a sweep's trials reported, sorted."""
    if connection.dialect.name == "sqlite":
        named = func.json_each(trials.c.measures).table_valued("key")
    else:
        names = func.json_object_keys(cast(trials.c.measures, JSON))
        named = names.table_valued("key").render_derived()
    query = (
        select(named.c.key)
        .select_from(members)
        .join(trials, trials.c.key == members.c.key)
        .join(named, true())
        .where(members.c.sweep == sweep, trials.c.state == "done")
        .distinct()
    )
    return sorted(connection.execute(query).scalars())
