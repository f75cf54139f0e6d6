"""Every trial as a row of a table: parquet or csv, the same columns in the same order."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from orchestrator.answer import TrialRow
from orchestrator.errors import RequestError

Arms = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Settings of target and learner, by arm."""


def table_of(rows: Sequence[TrialRow], suffix: str, arms: Arms = ()) -> bytes:
    """The trials as a file's content; `suffix` (`.parquet`, `.csv`) says the format.

    Raises `RequestError` for other suffixes.
    """
    table, sink = trials_table(rows, arms), io.BytesIO()
    if suffix == ".parquet":
        pyarrow.parquet.write_table(table, sink)
    elif suffix == ".csv":
        pyarrow.csv.write_csv(_without_formulas(table), sink)
    else:
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .parquet or .csv")
    return sink.getvalue()


def trials_table(rows: Sequence[TrialRow], arms: Arms = ()) -> pa.Table:
    """One row per trial: d, n, k, arm, target, learner, repeat, seed, outcome, success, one column
    per measure, seconds, attempt, round, cached, tuned, reasons, key.

    `outcome` is `gap` for a trial without an answer. Measures are float64, null where a trial has
    none. Without `arms` the columns target and learner are left out; settings are JSON.
    """
    columns: dict[str, pa.Array] = {
        "d": pa.array([row.point.d for row in rows], pa.int64()),
        "n": pa.array([row.point.n for row in rows], pa.int64()),
        "k": pa.array([row.point.k for row in rows], pa.int64()),
        "arm": pa.array([row.arm for row in rows], pa.int32()),
    }
    if arms:
        columns["target"] = _text(_json(arms[row.arm][0]) for row in rows)
        columns["learner"] = _text(_json(arms[row.arm][1]) for row in rows)
    columns |= {
        "repeat": pa.array([row.repeat for row in rows], pa.int64()),
        "seed": pa.array([row.seed for row in rows], pa.int64()),
        "outcome": _text(row.outcome.value if row.outcome else "gap" for row in rows),
        "success": pa.array([row.success for row in rows], pa.bool_()),
    }
    names = sorted({name for row in rows for name in row.measures})
    taken = {name if name not in _OTHERS else f"measure.{name}": name for name in names}
    for column, name in taken.items():
        columns[column] = pa.array([row.measures.get(name) for row in rows], pa.float64())
    columns |= {
        "seconds": pa.array([row.seconds for row in rows], pa.float64()),
        "attempt": pa.array([row.attempt for row in rows], pa.int32()),
        "round": pa.array([row.round for row in rows], pa.int32()),
        "cached": pa.array([row.cached for row in rows], pa.bool_()),
        "tuned": _text(_json(row.tuned) for row in rows),
        "reasons": _text("; ".join(row.reasons) for row in rows),
        "key": _text(row.key for row in rows),
    }
    return pa.table(columns)


_OTHERS = frozenset(
    (
        *("d", "n", "k", "arm", "target", "learner", "repeat", "seed", "outcome", "success"),
        *("seconds", "attempt", "round", "cached", "tuned", "reasons", "key"),
    )
)


def _text(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)


def _without_formulas(table: pa.Table) -> pa.Table:
    """Text that a spreadsheet would run as a formula gets a quote in front; so do column names."""
    names = [_inert(name) for name in table.column_names]
    columns = [
        _text(_inert(value) for value in column.to_pylist())
        if pa.types.is_string(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=names)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
