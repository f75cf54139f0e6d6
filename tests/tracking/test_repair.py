"""Ledger and MLflow compared: every way in which they can differ is seen, and repaired."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator import api
from orchestrator.cli.app import app
from orchestrator.errors import Interrupted, RequestError, SweepInUse
from orchestrator.tracking.client import client_of
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import lock_for
from orchestrator.tracking.places import Store
from tests.tracking.test_mirror import runs
from tests.tracking.test_rebuild import SPEC, metric_rows, networks, run


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps end with the page alone: pictures take seconds and are tested elsewhere."""
    monkeypatch.setattr("orchestrator.report.panels.as_files", lambda *picture: {})


@pytest.fixture
def answered(store: Store) -> Store:
    """A store in which a sweep of two cells with three trials each was answered."""
    run(store)
    return store


def looked(store: Store, only_look: bool = True) -> api.Mirrored:
    return api.mirror(SPEC.id, api.Place(str(store.folder)), only_look)


def changed(store: Store, *statements: str) -> None:
    connection = sqlite3.connect(store.folder / "mlflow.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def a_cell_is_deleted(store: Store) -> None:
    client_of(store).delete_run(runs(store, "cell")[0].info.run_id)


def a_cell_is_doubled(store: Store) -> None:
    cell = runs(store, "cell")[0]
    client_of(store).create_run(cell.info.experiment_id, tags=dict(cell.data.tags))


def a_trial_is_lost(store: Store) -> None:
    cell = runs(store, "cell")[0].info.run_id
    changed(store, f"DELETE FROM metrics WHERE run_uuid = '{cell}' AND step = 1")


def a_figure_is_changed(store: Store) -> None:
    changed(store, "UPDATE metrics SET value = 0.125 WHERE key = 'trial.train_error' AND step = 2")


def a_trial_is_told_twice(store: Store) -> None:
    cell = runs(store, "cell")[0].info.run_id
    client_of(store).log_metric(cell, "trial.outcome", 0.0, timestamp=5, step=0)


def a_total_is_lost(store: Store) -> None:
    changed(store, "DELETE FROM metrics WHERE key = 'success_rate'")


def a_cell_runs_for_ever(store: Store) -> None:
    client_of(store).update_run(runs(store, "cell")[0].info.run_id, status="RUNNING")


def a_strange_cell_appears(store: Store) -> None:
    cell = runs(store, "cell")[0]
    tags = {**cell.data.tags, "phasefront.cell": "0" * 32}
    client_of(store).create_run(cell.info.experiment_id, tags=tags)


def the_sweep_is_deleted(store: Store) -> None:
    client_of(store).delete_run(runs(store, "sweep")[0].info.run_id)


def the_sweep_runs_for_ever(store: Store) -> None:
    client_of(store).update_run(runs(store, "sweep")[0].info.run_id, status="RUNNING")


def the_page_is_lost(store: Store) -> None:
    run = runs(store, "sweep")[0].info.run_id
    (page,) = (store.folder / "artifacts").rglob(f"{run}/artifacts/report.html")
    page.unlink()


DAMAGES: dict[Callable[[Store], None], str] = {
    a_cell_is_deleted: "1 cells: not in MLflow",
    a_cell_is_doubled: "1 cells: more than one run of a cell",
    a_trial_is_lost: "1 cells: trials or learning curves missing",
    a_figure_is_changed: "2 cells: figures that are not the ledger's",
    a_trial_is_told_twice: "1 cells: figures that are not the ledger's",
    a_total_is_lost: "2 cells: trials or learning curves missing",
    a_cell_runs_for_ever: "1 cells: run not closed, or not marked as complete",
    a_strange_cell_appears: "1 cells: an empty run of no cell of the sweep",
    the_sweep_is_deleted: "the sweep has no run",
    the_sweep_runs_for_ever: "MLflow says RUNNING, the ledger finished",
    the_page_is_lost: "artifacts are missing: report.html",
}


def test_what_differs_is_seen_and_repaired(answered: Store):
    """One after the other on one store, which is whole again after each."""
    assert looked(answered).before.lines() == []
    assert looked(answered).before.trials == 6
    for damage, words in DAMAGES.items():
        damage(answered)
        repaired = looked(answered, only_look=False)
        assert repaired.before.lines() == [words], damage
        assert repaired.after is not None
        assert repaired.after.lines() == [], damage
        assert len(runs(answered, "cell")) == 2
        assert [one.info.status for one in runs(answered, "sweep")] == ["FINISHED"]
    assert looked(answered).before.is_equal


def spec_document_is_lost(store: Store) -> Path:
    run_id = runs(store, "sweep")[0].info.run_id
    (path,) = (store.folder / "artifacts").rglob(f"{run_id}/artifacts/spec/as_understood.json")
    path.unlink()
    return path


def test_a_half_made_run_of_a_sweep_is_completed(answered: Store):
    path = spec_document_is_lost(answered)
    changed(answered, "DELETE FROM inputs")
    assert looked(answered).before.lines() == [
        "the sweep's run names no dataset",
        "artifacts are missing: spec/as_understood.json",
    ]
    assert looked(answered, only_look=False).is_equal
    assert path.exists()


def test_what_only_mlflow_knows_is_never_removed(answered: Store):
    """A ledger that was restored from an older copy is not the whole truth."""
    connection = sqlite3.connect(answered.folder / "ledger.db")
    with connection:
        cell, key = connection.execute("SELECT cell, key FROM trials WHERE repeat = 2").fetchone()
        connection.execute("DELETE FROM outbox WHERE subject = ?", [key])
    connection.close()
    before = metric_rows(answered)
    for only_look in (True, False):
        found = looked(answered, only_look)
        assert found.before.counts() == {"more": 1}
        assert not found.is_equal
        assert "--from-mlflow" in found.before.lines()[-1]
    assert set(before) <= set(metric_rows(answered))
    assert cell in {one.data.tags["phasefront.cell"] for one in runs(answered, "cell")}


def test_a_sweep_whose_driver_was_killed_is_seen_and_buried(answered: Store):
    connection = sqlite3.connect(answered.folder / "ledger.db")
    with connection:
        connection.execute("UPDATE sweeps SET status = 'running', ended = NULL")
    connection.close()
    the_sweep_runs_for_ever(answered)
    assert looked(answered).before.lines() == ["MLflow says RUNNING, the ledger interrupted"]
    assert looked(answered, only_look=False).is_equal
    assert [one.info.status for one in runs(answered, "sweep")] == ["KILLED"]


def test_looking_makes_nothing(answered: Store):
    for file in answered.folder.glob("mlflow.db*"):
        file.unlink()
    found = looked(answered).before
    assert found.counts() == {"missing": 2}
    assert not (answered.folder / "mlflow.db").exists()
    assert looked(answered, only_look=False).is_equal


def test_a_ledger_of_an_older_version_is_compared(answered: Store):
    connection = sqlite3.connect(answered.folder / "ledger.db")
    with connection:
        connection.execute("DROP TABLE curves")
        connection.execute("UPDATE ledger_schema SET version = 3")
    connection.close()
    assert looked(answered).is_equal
    a_cell_is_deleted(answered)
    assert looked(answered, only_look=False).is_equal


def test_learning_curves_are_told_once_however_often_a_sweep_is_interrupted(store: Store):
    spec, place = networks(), api.Place(str(store.folder))
    machine = api.Machine(in_process=True)
    with pytest.raises(Interrupted):
        api.run(spec, place=place, machine=machine, interrupted=lambda: True)
    assert not any(name.startswith("curve.") for _, name, *_ in metric_rows(store))
    api.run(spec, place=place, machine=machine)
    points = [(one, name, step) for one, name, _, _, step in metric_rows(store)]
    curves = [point for point in points if point[1].startswith("curve.")]
    assert len(set(curves)) == len(curves) == 2 * 4 * 4, "of cells, figures, steps"
    found = api.mirror(spec.id, place, only_look=True)
    assert found.before.lines() == []
    changed(store, "DELETE FROM metrics WHERE key = 'curve.train_loss.mean' AND step = 2")
    found = api.mirror(spec.id, place)
    assert found.before.counts() == {"fewer": 2}
    assert found.is_equal


def test_repairing_what_is_equal_changes_nothing(answered: Store):
    told = metric_rows(answered)
    assert looked(answered, only_look=False).after is None
    assert metric_rows(answered) == told


def test_a_sweep_that_is_being_answered_is_left_to_its_driver(answered: Store):
    a_cell_is_deleted(answered)
    database = Database(f"sqlite:///{answered.folder / 'ledger.db'}", create=False)
    driver = lock_for(database, SPEC.id)
    assert driver.take()
    try:
        with pytest.raises(SweepInUse):
            looked(answered, only_look=False)
    finally:
        driver.release()
        database.close()
    assert not looked(answered).is_equal


def test_without_a_ledger_there_is_nothing_to_compare_with(answered: Store):
    for file in list(answered.folder.glob("ledger.db*")):
        file.unlink()
    with pytest.raises(RequestError, match="--from-mlflow"):
        looked(answered)


def test_the_command_says_what_it_found_and_did(answered: Store, tmp_path: Path):
    def mirror(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["mirror", "tiny", "--store", str(answered.folder), *words])
        return done.exit_code, " ".join(done.stdout.split())

    assert mirror() == (
        0,
        f"tiny ({SPEC.id}) MLflow has everything that the ledger has, once: 6 trials in 2 cells",
    )
    a_cell_is_deleted(answered)
    code, words = mirror("--check")
    assert (code, "1 cells: not in MLflow" in words) == (1, True)
    code, words = mirror("--format", "json", "--check")
    assert code == 1
    assert json.loads(words)["before"]["differences"] == {"missing": 1}
    code, words = mirror()
    assert code == 0
    assert "it now has everything, once: 6 trials in 2 cells" in words
    assert mirror("--check")[0] == 0
