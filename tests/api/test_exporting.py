"""The file of all trials, written as it is read, against the table made of all of them at once."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from sqlalchemy import update

from orchestrator import api
from orchestrator.api import exporting
from orchestrator.domain.learner import Outcome
from orchestrator.errors import LedgerDamaged, RequestError, UnknownSweep
from orchestrator.plan.asks import Ask
from orchestrator.ports import SweepRecord
from orchestrator.spec import ExperimentSpec
from orchestrator.tracking import export, streaming, table_of, trials_table
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.places import ledger_at, store_at
from orchestrator.tracking.schema import trials
from tests.tracking.values import a_result, a_trial, borrowed_postgres, empty_postgres

SPEC = ExperimentSpec.from_words(
    {
        "name": "streamed",
        "target": {"kind": "random_labels"},
        "learner": {"kind": "linear_separator"},
        "axes": {"d": [10], "n": {"low": 5, "high": 50}},
        "success": {"measure": "train_error", "above": 0.3},
    }
)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> api.Place:
    """A ledger with results, a gap and an open trial, whose cells were asked for in no order."""
    url = None
    if request.param == "PostgreSQL":
        server = request.getfixturevalue("server")
        empty_postgres(server)
        url = server.replace("postgresql:", "postgresql+psycopg:", 1)
    place = api.Place(str(tmp_path / "store"), url)
    fill(place)
    monkeypatch.setattr(export, "CHUNK", 3)
    monkeypatch.setattr(streaming, "STREAMED", 2)
    return place


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    yield from borrowed_postgres()


def database(place: api.Place) -> Database:
    return Database(ledger_at(place.ledger, store_at(place.store)))


def fill(place: api.Place) -> None:
    ledger = Ledger(database(place))
    ledger.open(SweepRecord(SPEC.id, SPEC.name, SPEC.canonical, "", "running", 1.0))
    asked = [a_trial(repeat, n) for n in (40, 7, 20) for repeat in range(4)]
    for number, chosen in enumerate((asked[::2], asked[1::2])):
        asks = [Ask(0, one.cell.point, 1) for one in chosen]
        ledger.record_round(number, asks, [(0, one) for one in chosen])
    attempts = ledger.begin([one.key for one in asked])
    results = [a_result(one, train_error=index / 9) for index, one in enumerate(asked[:-3])]
    results.append(a_result(asked[-3], Outcome.DIVERGED, overlap=0.5))
    ledger.commit(results, attempts)
    ledger.give_up(asked[-2].key, ["=1+1", "timed out"])
    ledger.close()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_what_is_streamed_is_what_the_answer_holds_row_for_row(
    place: api.Place, tmp_path: Path, suffix: str
):
    path = tmp_path / f"trials{suffix}"
    api.export("streamed", path, place)
    found = api.open_sweep("streamed", place)
    arms = [(arm.target, arm.learner) for arm in found.arms]
    assert len(found.rows) == 11
    if suffix == ".csv":
        assert path.read_bytes() == table_of(found.rows, ".csv", arms)
    else:
        table = pyarrow.parquet.read_table(path)
        assert table.equals(trials_table(found.rows, arms))
        assert table.column("n").to_pylist() == [7] * 4 + [20] * 3 + [40] * 4
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_what_cannot_be_written_is_refused_in_words(place: api.Place, tmp_path: Path):
    with pytest.raises(RequestError, match=r"\.parquet or \.csv"):
        api.export("streamed", tmp_path / "trials.xlsx", place)
    with pytest.raises(RequestError, match="cannot be written: No such file"):
        api.export("streamed", tmp_path / "nowhere" / "trials.csv", place)
    with pytest.raises(UnknownSweep):
        api.export("unheard-of", tmp_path / "trials.csv", place)


def test_only_what_refuses_the_file_is_called_that(tmp_path: Path):
    path = tmp_path / "trials.csv"
    with pytest.raises(OSError, match="what is read"), exporting._whole(path):
        raise OSError("what is read")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    too_large = pytest.raises(RequestError, match="cannot be written: File too large")
    try:
        with too_large, exporting._whole(path) as sink:
            sink.write(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_two_exports_to_one_path_do_not_mix(tmp_path: Path):
    path = tmp_path / "trials.csv"
    (tmp_path / ".trials.csv.part").write_text("somebody's")
    with exporting._whole(path) as first, exporting._whole(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_text() == "first", "which was whole last"
    assert (tmp_path / ".trials.csv.part").read_text() == "somebody's"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_was_there_stays_when_the_ledger_turns_out_damaged(
    place: api.Place, tmp_path: Path
):
    ledger = database(place)
    with ledger.writing() as connection:
        connection.execute(update(trials).where(trials.c.repeat == 1).values(seconds=7.0))
    ledger.close()
    path = tmp_path / "trials.csv"
    path.write_text("kept")
    with pytest.raises(LedgerDamaged, match="is not what was written"):
        api.export("streamed", path, place)
    assert path.read_text() == "kept"
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []
