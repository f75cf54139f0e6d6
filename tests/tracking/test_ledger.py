"""What the SQLite ledger does when its file, its lock or its disk is not as it should be."""

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from orchestrator.errors import LedgerDamaged, LedgerUnreachable, PluginError, SweepInUse
from orchestrator.tracking import database as database_module
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.reader import LedgerReader
from orchestrator.tracking.schema import SCHEMA_VERSION
from tests.tracking.values import a_result, a_sweep, a_trial, some_trials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A ledger with a sweep open and twenty trials asked for."""
    ledger = Ledger(Database(f"sqlite:///{path}"))
    ledger.open(a_sweep())
    ledger.record_round(0, [], [(0, trial) for trial in some_trials(20)])
    yield ledger
    ledger.close()
    ledger.database.close()


def opened(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def commit(ledger: Ledger, *repeats: int) -> list[str]:
    results = [a_result(a_trial(repeat), train_error=0.123456789) for repeat in repeats]
    return ledger.commit(results, ledger.begin([result.key for result in results]))


def raw(path: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_new_ledger_is_durable_by_its_settings(ledger: Ledger, path: Path):
    with ledger.database.reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_ledger_of_another_version_is_refused_and_left_untouched(ledger: Ledger, path: Path):
    ledger.close()
    raw(path, "UPDATE ledger_schema SET version = 99")
    before = path.read_bytes()
    with pytest.raises(LedgerDamaged, match="schema version 99"):
        opened(path)
    assert path.read_bytes() == before


def test_an_older_ledger_is_read_as_it_is_and_gets_what_it_lacks_when_a_sweep_is_opened(
    ledger: Ledger, path: Path
):
    commit(ledger, 0)
    ledger.close()
    raw(path, "DROP TABLE reusable")
    raw(path, "UPDATE ledger_schema SET version = 1")
    reader = LedgerReader(f"sqlite:///{path}")
    assert reader.members(a_sweep().id)[0].state == "done"
    reader.close()
    assert raw(path, "SELECT version FROM ledger_schema") == [(1,)]
    again = Ledger(opened(path))
    again.open(a_sweep())
    assert again.reusable([], 0) == []
    assert raw(path, "SELECT max(version) FROM ledger_schema") == [(SCHEMA_VERSION,)]
    again.close()


def test_a_database_of_something_else_is_refused_and_left_untouched(path: Path):
    raw(path, "CREATE TABLE runs (id TEXT)")
    before = path.read_bytes()
    with pytest.raises(LedgerDamaged, match="no ledger"):
        opened(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_untouched(path: Path):
    path.write_bytes(b"name: cover\n" * 100)
    with pytest.raises(LedgerDamaged, match="not a database"):
        opened(path)
    assert path.read_bytes() == b"name: cover\n" * 100


def test_a_truncated_ledger_is_refused(ledger: Ledger, path: Path):
    commit(ledger, *range(20))
    ledger.close()
    path.write_bytes(path.read_bytes()[:-8192])
    with pytest.raises(LedgerDamaged, match=r"resume SWEEP --from-mlflow"):
        opened(path)


def test_a_flipped_digit_of_a_measure_is_noticed(ledger: Ledger, path: Path):
    commit(ledger, 0)
    ledger.close()
    assert path.read_bytes().count(b"0.123456789") == 1
    path.write_bytes(path.read_bytes().replace(b"0.123456789", b"0.123456788"))
    again = Ledger(opened(path))
    with pytest.raises(LedgerDamaged, match=a_trial(0).key[:8]):
        again.settled([a_trial(0).key])
    again.database.close()


def test_flipped_bits_never_give_another_result(ledger: Ledger, path: Path):
    """Every flip is noticed, or falls where nothing is kept and the results stay the same."""
    commit(ledger, *range(20))
    ledger.close()
    sound, dice, noticed = path.read_bytes(), random.Random(7), 0
    truth = read(path)
    for _ in range(60):
        place = dice.randrange(len(sound))
        flipped = bytes([sound[place] ^ (1 << dice.randrange(8))])
        path.write_bytes(sound[:place] + flipped + sound[place + 1 :])
        try:
            found = read(path)
        except (LedgerDamaged, LedgerUnreachable, PluginError):
            noticed += 1
            continue
        assert all(truth[key] == result for key, result in found.items())
    assert noticed > 0


def read(path: Path) -> dict[str, object]:
    ledger = Ledger(opened(path))
    try:
        keys = [trial.key for trial in some_trials(20)]
        return {key: settled.result for key, settled in ledger.settled(keys).items()}
    finally:
        ledger.database.close()


def test_a_locked_ledger_gives_up_after_the_busy_time_and_names_its_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database_module, "BUSY_S", 0.3)
    ledger = Ledger(opened(path))
    ledger.open(a_sweep())
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(LedgerUnreachable, match=r"ledger\.db: the ledger stayed locked"):
        ledger.publish({"n_star": 1.0}, {})
    assert time.monotonic() - started < 4.0
    holder.close()
    ledger.publish({"n_star": 1.0}, {})
    ledger.close()


def test_a_full_disk_loses_nothing_and_commits_go_on_when_there_is_room(ledger: Ledger):
    commit(ledger, 0)
    full = lambda connection, record: connection.execute("PRAGMA max_page_count = 1")
    ledger.database.close()
    event.listen(ledger.database._engine, "connect", full)
    with pytest.raises(LedgerUnreachable, match="disk is full"):
        ledger.publish({}, {"big": b"x" * 1_000_000})
    event.remove(ledger.database._engine, "connect", full)
    ledger.database.close()
    assert commit(ledger, 1) == []
    keys = [a_trial(0).key, a_trial(1).key]
    assert list(ledger.settled(keys)) == keys


def test_a_driver_that_lost_its_hold_unnoticed_cannot_write(ledger: Ledger, path: Path):
    attempts = ledger.begin([a_trial(0).key])
    raw(path, "UPDATE drivers SET epoch = epoch + 1")
    with pytest.raises(SweepInUse, match="taken over"):
        ledger.commit([a_result(a_trial(0))], attempts)
    assert ledger.settled([a_trial(0).key]) == {}


def test_the_second_driver_is_told_who_drives(ledger: Ledger, path: Path):
    second = Ledger(opened(path))
    with pytest.raises(SweepInUse, match=r"by pid \d+ on "):
        second.open(a_sweep())
    second.database.close()


def test_a_commit_that_fails_half_way_leaves_nothing(ledger: Ledger, path: Path):
    first, second, _ = some_trials(3)
    attempts = ledger.begin([first.key, second.key])
    with pytest.raises(ValueError, match="Out of range float"):
        ledger.commit([a_result(first), a_result(second, train_error=float("nan"))], attempts)
    assert ledger.settled([first.key, second.key]) == {}
    assert raw(path, "SELECT count(*) FROM outbox WHERE kind = 'trial'") == [(0,)]
    assert ledger.commit([a_result(first), a_result(second)], attempts) == []


def test_a_commit_queues_one_entry_per_sweep_that_asked(ledger: Ledger, path: Path):
    other = Ledger(opened(path))
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(0, a_trial(0))])
    commit(ledger, 0, 1)
    queued = "SELECT sweep, subject FROM outbox WHERE kind = 'trial' ORDER BY sweep, subject"
    keys = sorted([a_trial(0).key, a_trial(1).key])
    assert raw(path, queued) == [(a_sweep().id, key) for key in keys] + [("f" * 16, a_trial(0).key)]
    other.close()


def test_a_place_without_a_folder_is_unreachable(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnreachable, match="file"):
        Database(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")
    with pytest.raises(LedgerUnreachable, match="no ledger"):
        Database(f"sqlite:///{tmp_path / 'none.db'}", create=False)
    assert not (tmp_path / "none.db").exists()


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(LedgerUnreachable, match=r"postgresql.*127\.0\.0\.1:1/") as found:
        Database("postgresql+psycopg://me:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(found.value)


def test_trials_of_an_older_revision_are_not_run_as_todays(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    commit(ledger, 0)
    monkeypatch.setattr(type(a_trial().cell.learner), "revision", 99)
    with pytest.raises(PluginError, match="older revision"):
        ledger.members()
