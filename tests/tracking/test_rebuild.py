"""A ledger that was lost comes back from MLflow, and MLflow hears nothing twice of it."""

import json
import sqlite3
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.spec import ExperimentSpec
from orchestrator.tracking import Reader, rebuild
from orchestrator.tracking.places import Store

SPEC = ExperimentSpec(  # type: ignore[call-arg]
    name="tiny",
    target={"kind": "random_labels"},
    learner={"kind": "linear_separator"},
    axes={"d": [5], "n": [6, 14]},
    success={"measure": "train_error", "below": 0.01},
    repeats=3,
    search={"kind": "grid"},
)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps end with the page alone: pictures take seconds and are tested elsewhere."""
    monkeypatch.setattr("orchestrator.report.panels.as_files", lambda *picture: {})


@pytest.fixture
def lost(store: Store) -> tuple[Store, object, list]:
    """A store whose ledger is gone; what its sweep had answered, and its members."""
    run(store)
    answered = run(store)  # again, because the last progress of a short run may go unpublished
    reader = Reader(str(store.folder))
    members = reader.members(SPEC.id)
    reader.close()
    for file in list(store.folder.glob("ledger.db*")):
        file.unlink()
    return store, answered, members


def run(store: Store, spec: ExperimentSpec = SPEC) -> object:
    return api.run(spec, place=api.Place(str(store.folder)), machine=api.Machine(in_process=True))


def metric_rows(store: Store) -> list[tuple]:
    connection = sqlite3.connect(store.folder / "mlflow.db")
    try:
        query = "SELECT run_uuid, key, value, timestamp, step FROM metrics ORDER BY 1, 2, 4, 5"
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def trained(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM attempts").fetchone()[0]
    finally:
        connection.close()


def as_settled(members: list) -> dict[str, object]:
    return {
        member.trial.key: (member.trial, member.arm, member.state, member.settled)
        for member in members
    }


def test_a_rebuilt_sweep_trains_nothing_is_the_same_and_tells_nothing_twice(lost):
    store, answered, members = lost
    told = metric_rows(store)
    record = rebuild(str(store.folder), None, SPEC.id)
    assert (record.id, record.name, record.spec_json) == (SPEC.id, "tiny", SPEC.canonical)
    again = run(store)
    assert trained(store.folder / "ledger.db") == 0
    reader = Reader(str(store.folder))
    assert len(members) == 6
    assert as_settled(reader.members(SPEC.id)) == as_settled(members)
    assert reader.lag(SPEC.id) == 0
    reader.close()
    assert metric_rows(store) == told
    assert again.rows == answered.rows


def networks() -> ExperimentSpec:
    """Two cells with three small networks each, which say how they learnt."""
    part = {
        "target": {"kind": "sparse_parity"},
        "learner": {"kind": "two_layer", "width": 4, "steps": 6},
    }
    success = {"measure": "test_accuracy", "above": 0.9}
    words = {**json.loads(SPEC.canonical), "name": "networks", "pairs": [part], "success": success}
    return ExperimentSpec.from_words(words)


def test_learning_curves_return_with_the_ledger(store: Store):
    spec = networks()
    run(store, spec)
    before = curves(store, spec)
    assert len(before) == 6
    assert all([step for step, _ in one["train_loss"]] == [1, 2, 4, 6] for one in before.values())
    for file in list(store.folder.glob("ledger.db*")):
        file.unlink()
    assert curves(store, spec) == before, "as MLflow has them"
    rebuild(str(store.folder), None, spec.id)
    run(store, spec)
    assert trained(store.folder / "ledger.db") == 0
    assert curves(store, spec) == before


def curves(store: Store, spec: ExperimentSpec) -> dict:
    reader = Reader(str(store.folder))
    try:
        keys = [member.trial.key for member in reader.members(spec.id)]
        return reader.curves(spec.id, keys)
    finally:
        reader.close()


def test_rebuilding_twice_is_rebuilding_once(lost):
    store, _, _ = lost
    rebuild(str(store.folder), None, SPEC.id)
    once = dump(store)
    rebuild(str(store.folder), None, SPEC.id)
    assert dump(store) == once


def dump(store: Store) -> list[tuple]:
    connection = sqlite3.connect(store.folder / "ledger.db")
    try:
        return [
            row
            for table in ("trials", "gaps", "outbox", "figures", "sweeps")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        ]
    finally:
        connection.close()


def test_running_a_finished_sweep_again_tells_nothing_new(store: Store):
    run(store)
    run(store)  # as above
    told = metric_rows(store)
    run(store)
    assert metric_rows(store) == told


def test_the_note_of_what_a_sweep_could_reuse_returns_with_its_ledger(store: Store):
    """Its own trials, which return too, are not taken for another sweep's."""
    later = ExperimentSpec.from_words({**json.loads(SPEC.canonical), "name": "later", "repeats": 4})
    run(store)
    run(store, later)
    before = notes(store)
    assert set(before) == {SPEC.id, later.id}
    assert before[SPEC.id] == "[]"
    assert '"repeats":[0,1,2]' in before[later.id]
    for file in list(store.folder.glob("ledger.db*")):
        file.unlink()
    rebuild(str(store.folder), None, SPEC.id)
    rebuild(str(store.folder), None, later.id)
    assert notes(store) == before
    run(store, later)
    assert notes(store) == before


def notes(store: Store) -> dict[str, str]:
    connection = sqlite3.connect(store.folder / "ledger.db")
    try:
        return dict(connection.execute("SELECT sweep, trials FROM reusable"))
    finally:
        connection.close()
