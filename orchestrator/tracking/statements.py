"""Statements over many rows at little cost, on SQLite and PostgreSQL alike.

SQLAlchemy prepares every row of an `executemany` in Python, and writes a statement anew for every
list of keys; together that was half of what a trial cost the driver (477 of its 870 µs on a loaded
core). Here a statement is compiled once for each kind of database and its rows go to the driver of
the database as they are, and keys travel as one JSON text.
"""

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Executable, cast, func, literal, select
from sqlalchemy.sql.compiler import SQLCompiler


class Bulk:
    """A statement for many rows. Its columns must be of types that the database takes as they are:
    text, numbers, truths.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, str], SQLCompiler] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for every row; nothing happens without any."""
        if not rows:
            return
        compiled = self._for(connection)
        if compiled.positiontup is None:
            named = compiled.params
            connection.exec_driver_sql(str(compiled), [{**named, **row} for row in rows])
            return
        names = compiled.positiontup
        same = {name: compiled.params[name] for name in names if name not in rows[0]}
        full = [{**same, **row} for row in rows] if same else rows
        picked = zip(*(map(itemgetter(name), full) for name in names), strict=True)
        connection.exec_driver_sql(str(compiled), list(picked))

    def _for(self, connection: Connection) -> SQLCompiler:
        schemas = connection.get_execution_options().get("schema_translate_map")
        place = connection.dialect.name, str(schemas)
        if place not in self._compiled:
            compiled = self._statement.compile(  # type: ignore[attr-defined]
                dialect=connection.dialect,
                schema_translate_map=schemas,
                render_schema_translate=bool(schemas),
            )
            self._compiled[place] = compiled
        return self._compiled[place]


def among(connection: Connection, column: ColumnElement[Any], keys: Sequence[str]) -> Any:
    """The condition that a text column is one of any number of keys."""
    text = literal(json.dumps(list(keys)))
    if connection.dialect.name == "sqlite":
        listed = func.json_each(text).table_valued("value")
    else:
        listed = func.json_array_elements_text(cast(text, JSON)).table_valued("value")
    return column.in_(select(listed.c.value))
