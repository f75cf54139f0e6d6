"""Trials as a table."""

import csv
import io

import pyarrow.csv
import pyarrow.parquet
import pytest

from orchestrator.answer import TrialRow
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.errors import RequestError
from orchestrator.tracking import export, table_of, trials_table, write_trials


def a_row(repeat: int = 0, outcome: Outcome | None = Outcome.FITTED, **measures: float) -> TrialRow:
    return TrialRow(
        key="a" * 32,
        arm=0,
        round=1,
        point=Point(d=10, n=20, k=2),
        repeat=repeat,
        seed=3,
        outcome=outcome,
        success=None if outcome is None else True,
        measures=measures,
        seconds=0.5,
        attempt=2,
        cached=False,
        reasons=() if outcome else ("=HYPERLINK(1)", "timed out"),
    )


ROWS = [a_row(0, loss=0.1), a_row(1, None), a_row(2, Outcome.DIVERGED, overlap=-0.25)]
ARMS = [({"kind": "random_labels"}, {"kind": "linear_separator", "steps": 200})]


def test_every_trial_is_a_row_with_exact_numbers():
    table = pyarrow.parquet.read_table(io.BytesIO(table_of(ROWS, ".parquet", ARMS)))
    assert table.column_names == [
        *("d", "n", "k", "arm", "target", "learner", "repeat", "seed", "outcome", "success"),
        *("loss", "overlap", "seconds", "attempt", "round", "cached", "tuned", "reasons", "key"),
    ]
    rows = table.to_pylist()
    assert [row["loss"] for row in rows] == [0.1, None, None]
    assert [row["overlap"] for row in rows] == [None, None, -0.25]
    assert [row["outcome"] for row in rows] == ["fitted", "gap", "diverged"]
    assert [row["success"] for row in rows] == [True, None, True]
    assert rows[0]["learner"] == '{"kind": "linear_separator", "steps": 200}'


def test_a_spreadsheet_runs_nothing_from_a_csv():
    text = table_of([*ROWS, a_row(3, **{"=cmd": 1.0})], ".csv").decode()
    rows = list(csv.reader(io.StringIO(text)))
    cells = [cell for row in rows for cell in row]
    assert "'=HYPERLINK(1); timed out" in cells
    assert "'=cmd" in cells
    assert all(is_number(cell) for cell in cells if cell.startswith(("=", "+", "-", "@")))


def is_number(text: str) -> bool:
    return float(text) == float(text)


def test_a_measure_named_like_a_column_keeps_its_own():
    table = trials_table([a_row(0, seconds=7.0)])
    assert table.column("seconds").to_pylist() == [0.5]
    assert table.column("measure.seconds").to_pylist() == [7.0]


def test_no_trials_make_an_empty_table():
    assert trials_table([]).num_rows == 0
    assert table_of([], ".csv").startswith(b'"d","n","k","arm"')


def test_other_formats_are_refused():
    with pytest.raises(RequestError, match=r"\.parquet or \.csv"):
        table_of(ROWS, ".xlsx")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_that_pass_through_in_chunks_are_the_rows_of_one_table(
    suffix: str, monkeypatch: pytest.MonkeyPatch
):
    rows = [*ROWS, *(a_row(repeat, loss=repeat / 7) for repeat in range(3, 23))]
    whole = table_of(rows, suffix, ARMS)
    monkeypatch.setattr(export, "CHUNK", 4)
    sink = io.BytesIO()
    write_trials(iter(rows), ["loss", "overlap"], suffix, sink, ARMS)
    if suffix == ".csv":
        assert sink.getvalue() == whole
    else:
        told = pyarrow.parquet.ParquetFile(io.BytesIO(sink.getvalue()))
        assert told.num_row_groups == 6
        assert told.read().equals(pyarrow.parquet.read_table(io.BytesIO(whole)))
