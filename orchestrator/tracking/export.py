"""Every trial as a row of a table: parquet or csv, the same columns in the same order.

A sweep of a million trials is written as it is read, a chunk of rows at a time. Its measures are
columns, so their names have to be known before the first chunk is written.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from orchestrator.answer import TrialRow
from orchestrator.errors import RequestError

Arms = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Settings of target and learner, by arm."""

CHUNK = 50_000
"""Rows held at a time, some 60 MB of them, and rows of a group of a parquet file. By hand."""

_FORMULA = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet takes for a formula."""


def table_of(rows: Sequence[TrialRow], suffix: str, arms: Arms = ()) -> bytes:
    """The trials as a file's content; `suffix` (`.parquet`, `.csv`) says the format.

    Raises `RequestError` for other suffixes.
    """
    sink = io.BytesIO()
    write_trials(rows, measured(rows), suffix, sink, arms)
    return sink.getvalue()


def write_trials(
    rows: Iterable[TrialRow],
    measures: Sequence[str],
    suffix: str,
    sink: IO[bytes],
    arms: Arms = (),
) -> None:
    """Write the trials into `sink` as they come; `measures` are the names of all their measures.

    Raises `RequestError` for a suffix other than `.parquet` and `.csv`.
    """
    check_suffix(suffix)
    columns = _Columns(measures, arms)
    if suffix == ".parquet":
        with pyarrow.parquet.ParquetWriter(sink, columns.schema) as writer:
            for chunk in _chunks(rows):
                writer.write_batch(columns.batch(chunk))
        return
    names = [_inert(name) for name in columns.schema.names]
    inert = pa.schema([field.with_name(n) for n, field in zip(names, columns.schema, strict=True)])
    with pyarrow.csv.CSVWriter(sink, inert) as writer:
        for chunk in _chunks(rows):
            found = columns.batch(chunk).columns
            cells = [_inert_column(one) for one in found]
            writer.write_batch(pa.record_batch(cells, schema=inert))


def check_suffix(suffix: str) -> None:
    """Raise `RequestError` unless trials can be written in a file with that suffix."""
    if suffix not in (".parquet", ".csv"):
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .parquet or .csv")


def measured(rows: Iterable[TrialRow]) -> list[str]:
    """Names of all measures of the trials, sorted."""
    return sorted({name for row in rows for name in row.measures})


def trials_table(rows: Sequence[TrialRow], arms: Arms = ()) -> pa.Table:
    """One row per trial: d, n, k, arm, target, learner, repeat, seed, outcome, success, one column
    per measure, seconds, attempt, round, cached, tuned, reasons, key.

    `outcome` is `gap` for a trial without an answer. Measures are float64, null where a trial has
    none. Without `arms` the columns target and learner are left out; settings are JSON.
    """
    return pa.Table.from_batches([_Columns(measured(rows), arms).batch(rows)])


class _Columns:
    """The columns of a table whose measures are known, and rows as a batch of them."""

    def __init__(self, measures: Sequence[str], arms: Arms) -> None:
        self._arms = [(_json(target), _json(learner)) for target, learner in arms]
        self._measures = measures
        taken = [name if name not in _OTHERS else f"measure.{name}" for name in measures]
        before = _BEFORE if arms else [one for one in _BEFORE if one[0] not in _OF_ARMS]
        self.schema = pa.schema([*before, *((name, pa.float64()) for name in taken), *_AFTER])

    def batch(self, rows: Sequence[TrialRow]) -> pa.RecordBatch:
        """Those rows, in order."""
        columns = [*self._before(rows), *self._measured(rows), *self._after(rows)]
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)
        ]
        return pa.record_batch(arrays, schema=self.schema)

    def _before(self, rows: Sequence[TrialRow]) -> Iterator[list[Any]]:
        points = [row.point for row in rows]
        yield [point.d for point in points]
        yield [point.n for point in points]
        yield [point.k for point in points]
        yield [row.arm for row in rows]
        if self._arms:
            yield [self._arms[row.arm][0] for row in rows]
            yield [self._arms[row.arm][1] for row in rows]
        yield [row.repeat for row in rows]
        yield [row.seed for row in rows]
        yield [row.outcome.value if row.outcome else "gap" for row in rows]
        yield [row.success for row in rows]

    def _measured(self, rows: Sequence[TrialRow]) -> Iterator[list[Any]]:
        for name in self._measures:
            yield [row.measures.get(name) for row in rows]

    def _after(self, rows: Sequence[TrialRow]) -> Iterator[list[Any]]:
        yield [row.seconds for row in rows]
        yield [row.attempt for row in rows]
        yield [row.round for row in rows]
        yield [row.cached for row in rows]
        yield [_json(row.tuned) if row.tuned else "{}" for row in rows]
        yield ["; ".join(row.reasons) for row in rows]
        yield [row.key for row in rows]


_OF_ARMS = ("target", "learner")
_BEFORE = [
    ("d", pa.int64()),
    ("n", pa.int64()),
    ("k", pa.int64()),
    ("arm", pa.int32()),
    *((name, pa.string()) for name in _OF_ARMS),
    ("repeat", pa.int64()),
    ("seed", pa.int64()),
    ("outcome", pa.string()),
    ("success", pa.bool_()),
]
_AFTER = [
    ("seconds", pa.float64()),
    ("attempt", pa.int32()),
    ("round", pa.int32()),
    ("cached", pa.bool_()),
    ("tuned", pa.string()),
    ("reasons", pa.string()),
    ("key", pa.string()),
]
_OTHERS = frozenset(name for name, _ in (*_BEFORE, *_AFTER))


def _chunks(rows: Iterable[TrialRow]) -> Iterator[list[TrialRow]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)


def _inert_column(column: pa.Array) -> pa.Array:
    """Text that a spreadsheet would run as a formula gets a quote in front."""
    if not pa.types.is_string(column.type):
        return column
    quoted = pc.binary_join_element_wise("'", column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)


def _inert(name: str) -> str:
    return str(_inert_column(pa.array([name]))[0])
