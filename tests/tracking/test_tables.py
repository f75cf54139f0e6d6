"""Cells written into MLflow's tables leave what its own client leaves."""

import itertools
import shutil
import sqlite3
from pathlib import Path

import pytest

from orchestrator.tracking.cell_metrics import Figure
from orchestrator.tracking.client import client_of
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.places import Store, ledger_at, store_at
from orchestrator.tracking.tables import COLUMNS, CellEntry, tables_of
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer
from tests.tracking.values import a_result, a_sweep, some_trials


def told(fresh: Path, folder: Path, at_once: bool) -> dict[str, list[tuple]]:
    """A cell told in two steps and one told whole, then every row, runs by their names."""
    folder.mkdir()
    shutil.copy(fresh, folder / "mlflow.db")
    store = store_at(str(folder))
    database = Database(ledger_at(None, store))
    ledger = Ledger(database, clock=map(float, itertools.count(1000)).__next__)
    ledger.open(a_sweep())
    first, second = some_trials(3, 20), some_trials(2, 24)
    ledger.record_round(0, [], [(0, trial) for trial in (*first, *second)])
    teller = Teller(database, Writer(store, at_once), a_sweep().id)
    teller.prepare()
    for some in (first[:1], [*first[1:], *second[:1]]):
        keys = [trial.key for trial in some]
        results = [a_result(trial, train_error=trial.repeat / 3) for trial in some]
        ledger.commit(results, ledger.begin(keys), "here")
        while teller.tell():
            pass
    ledger.begin([second[1].key])
    ledger.give_up(second[1].key, ["timed out"])
    ledger.finish("finished", "tolerance")
    while teller.tell():
        pass
    teller.settle_up()
    ledger.close()
    database.close()
    return rows(folder)


def rows(folder: Path) -> dict[str, list[tuple]]:
    connection = sqlite3.connect(folder / "mlflow.db")
    names = dict(connection.execute("SELECT run_uuid, name FROM runs").fetchall())
    found = {}
    for table, columns in COLUMNS.items():
        lines = connection.execute(f"SELECT {', '.join(columns.split())} FROM {table}").fetchall()
        found[table] = sorted((plain(line, names, folder) for line in lines), key=repr)
    connection.close()
    return found


def plain(line: tuple, names: dict[str, str], folder: Path) -> tuple:
    words = []
    for value in line:
        text = str(value).replace(str(folder), "")
        for run, name in names.items():
            text = text.replace(run, name)
        words.append(text)
    return tuple(words)


def test_both_ways_of_telling_leave_the_same_rows(fresh_mlflow: Path, tmp_path: Path):
    at_once = told(fresh_mlflow, tmp_path / "at_once", at_once=True)
    by_client = told(fresh_mlflow, tmp_path / "by_client", at_once=False)
    assert at_once == by_client
    assert len(at_once["runs"]) == 3
    assert len(at_once["metrics"]) > 20


def an_entry(**changes: object) -> CellEntry:
    usual = {"run": None, "name": "a cell", "started": 1.0, "tags": {"phasefront.role": "cell"}}
    figures = [[Figure("loss", 1.0, 5, 0), Figure("loss", 0.5, 5, 1)]]
    return CellEntry(**{**usual, "figures": figures, "params": {}, "commit": {"c": "1"}, **changes})


def test_the_newest_figure_is_that_of_the_highest_step(store: Store):
    writer = Writer(store)
    experiment = writer.experiment("x")
    (run,) = writer.write_cells(experiment, [an_entry()])
    older = [[Figure("loss", 9.0, 9, 0)]]
    assert writer.write_cells(experiment, [an_entry(run=run, figures=older)]) == [run]
    assert client_of(store).get_run(run).data.metrics == {"loss": 0.5}


def test_nothing_is_written_where_a_run_is_gone(store: Store):
    writer = Writer(store)
    experiment = writer.experiment("x")
    with pytest.raises(LookupError, match="not active"):
        writer.write_cells(experiment, [an_entry(), an_entry(run="0" * 32)])
    assert writer.runs_of(experiment, "any") == []
    assert rows(store.folder)["metrics"] == []


def test_a_store_with_other_tables_is_told_through_the_client(store: Store, monkeypatch):
    monkeypatch.setitem(COLUMNS, "metrics", "key value")
    assert tables_of(client_of(store)._tracking_client.store) is None
    assert Writer(store)._tables is None
