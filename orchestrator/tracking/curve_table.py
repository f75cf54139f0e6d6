"""Learning curves of a sweep's trials as one parquet file, from which a lost ledger is rebuilt."""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet

from orchestrator.domain.curves import Curve, Curves

PATH = "curves.parquet"
"""Artifact of a sweep whose learners say how they learnt."""

_SCHEMA = pa.schema(
    [
        ("key", pa.dictionary(pa.int32(), pa.string())),
        ("measure", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("value", pa.float64()),
    ]
)


def packed(chunks: Iterable[Mapping[str, Curves]]) -> bytes:
    """Curves by the trials' keys, a chunk at a time, as a file's content: one row per point with
    the columns key, measure, step, value.
    """
    sink = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(sink, _SCHEMA) as writer:
        for chunk in chunks:
            rows = [
                (key, measure, step, value)
                for key, curves in chunk.items()
                for measure, curve in curves.items()
                for step, value in curve
            ]
            columns = zip(*rows, strict=True) if rows else [[], [], [], []]
            arrays = [
                pa.array(list(column), field.type)
                for column, field in zip(columns, _SCHEMA, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
    return sink.getvalue()


def unpacked(content: bytes) -> dict[str, dict[str, Curve]]:
    """The curves of a file that `packed` made, by key."""
    points: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    with pyarrow.parquet.ParquetFile(io.BytesIO(content)) as file:
        for batch in file.iter_batches():
            columns = (batch.column(name).to_pylist() for name in _SCHEMA.names)
            for key, measure, step, value in zip(*columns, strict=True):
                points[key][measure].append((step, value))
    return {
        key: {measure: tuple(curve) for measure, curve in own.items()}
        for key, own in points.items()
    }
