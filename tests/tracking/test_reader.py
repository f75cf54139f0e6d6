"""Reading without driving: from the ledger, from the mirror, and a ledger rebuilt from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import SweepInUse, UnknownSweep
from orchestrator.tracking import Reader, open_tracker, rebuild
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.places import Store, ledger_at
from tests.tracking.test_mirror import answer, begun, mirrored, whole_sweep
from tests.tracking.values import a_result, a_sweep, a_trial, some_trials


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    """Reads a sweep that was told whole."""
    database = Database(ledger_at(None, store))
    whole_sweep(mirrored(database, store))
    reader = Reader(str(store.folder))
    yield reader
    reader.close()


def settled(reader: Reader) -> dict[str, object]:
    return {
        member.trial.key: (member.settled.result, member.settled.attempt)
        for member in reader.members(a_sweep().id)
    }


def test_a_place_where_nothing_was_run_has_no_sweeps_and_stays_empty(tmp_path: Path):
    reader = Reader(str(tmp_path))
    assert reader.sweeps() == []
    with pytest.raises(UnknownSweep):
        reader.members("0123456789abcdef")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_sweep_reads_back(reader: Reader):
    (record,) = reader.sweeps()
    assert reader.sweep(record.id) == record
    assert (record.status, record.stopped_by) == ("finished", "tolerance")
    assert (record.spec_json, record.spec_source) == (a_sweep().spec_json, a_sweep().spec_source)
    assert record.plugins == (("told_of", "# a plug-in file\n"),)
    states = [member.state for member in reader.members(record.id)]
    assert sorted(states) == ["done"] * 5 + ["gap"]
    assert reader.lag(record.id) == 0
    assert [attempt.reason for attempt in reader.attempts([a_trial().key])[a_trial().key]] == [
        "committed"
    ]


def test_an_unknown_id_is_refused(reader: Reader):
    with pytest.raises(UnknownSweep, match="phasefront list"):
        reader.sweep("nothing")


def test_a_sweep_runs_while_its_driver_lives_and_is_interrupted_after(tmp_path: Path):
    driver = Ledger(Database(f"sqlite:///{tmp_path / 'ledger.db'}"))
    begun(driver)
    reader = Reader(str(tmp_path))
    assert [record.status for record in reader.sweeps()] == ["running"]
    driver._lock.release()  # as a kill does
    assert [record.status for record in reader.sweeps()] == ["interrupted"]
    driver.close()
    reader.close()


def test_looking_never_keeps_a_driver_out(tmp_path: Path):
    Ledger(Database(f"sqlite:///{tmp_path / 'ledger.db'}")).open(a_sweep())
    reader = Reader(str(tmp_path))
    reader.sweeps()
    reader.close()


def test_without_a_ledger_the_mirror_is_read_and_says_the_same(reader: Reader, store: Store):
    without = Reader(str(store.folder), str(store.folder / "lost.db"))
    assert (reader.source, without.source) == ("ledger", "mlflow")
    assert settled(without) == settled(reader)
    (ours,), (theirs,) = reader.sweeps(), without.sweeps()
    for name in ("id", "name", "spec_json", "spec_source", "status", "stopped_by", "plugins"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert theirs.started == pytest.approx(ours.started, abs=1e-3)


def test_a_lost_ledger_is_rebuilt_and_the_sweep_resumed_trains_nothing(
    reader: Reader, store: Store, tmp_path: Path
):
    before = settled(reader)
    lost = str(tmp_path / "new.db")
    record = rebuild(str(store.folder), lost, a_sweep().id)
    assert record.id == a_sweep().id
    tracker = open_tracker(str(store.folder), lost)
    tracker.open(a_sweep())
    trials = [trial for n in (20, 24) for trial in some_trials(3, n)]
    tracker.record_round(0, [], [(0, trial) for trial in trials])
    assert tracker.begin([trial.key for trial in trials]) == {}
    tracker.finish("finished", "tolerance")
    assert tracker.close(60.0)
    again = Reader(str(store.folder), lost)
    assert settled(again) == before
    again.close()


def test_trials_with_a_measure_that_mlflow_refused_are_trained_again(store: Store, tmp_path: Path):
    driver = begun(mirrored(Database(ledger_at(None, store)), store))
    odd, even = some_trials(1, 20)[0], some_trials(1, 24)[0]
    results = [a_result(odd, **{"hit@5": 0.5}), a_result(even)]
    driver.commit(results, driver.begin([odd.key, even.key]))
    assert driver.close(60.0)
    lost = str(tmp_path / "new.db")
    rebuild(str(store.folder), lost, a_sweep().id)
    again = Ledger(Database(f"sqlite:///{lost}"))
    assert again.settled([odd.key, even.key]).keys() == {even.key}
    again.database.close()


def test_rebuilding_keeps_what_the_ledger_has(reader: Reader, store: Store):
    before = settled(reader)
    rebuild(str(store.folder), None, a_sweep().id)
    assert settled(reader) == before


def test_a_sweep_that_is_being_answered_is_not_rebuilt(reader: Reader, store: Store):
    driver = Ledger(Database(ledger_at(None, store)))
    driver.open(a_sweep())
    with pytest.raises(SweepInUse, match="nothing was rebuilt"):
        rebuild(str(store.folder), None, a_sweep().id)
    driver.close()


def test_what_was_never_told_is_not_read_from_the_mirror(store: Store, tmp_path: Path):
    untold = Ledger(Database(ledger_at(None, store)))
    answer(begun(untold))
    untold.close()
    assert Reader(str(store.folder), str(tmp_path / "lost.db")).sweeps() == []
