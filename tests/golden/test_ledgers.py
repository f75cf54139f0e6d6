"""Ledgers that older versions wrote: opened and brought up to date, or refused in words."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.schema import CreateSchema

from orchestrator.errors import LedgerDamaged
from orchestrator.tracking.database import POSTGRES_SCHEMA, Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.reader import LedgerReader
from orchestrator.tracking.schema import ADDED, SCHEMA_VERSION, metadata
from tests.golden.old_ledgers import CURVES, EXACT, LESSON, STATES, file_of, restored, written
from tests.tracking.values import a_result, a_sweep, a_trial, borrowed_postgres, empty_postgres

VERSIONS = range(1, SCHEMA_VERSION + 1)

Restore = Callable[[int], str]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    yield from borrowed_postgres()


@pytest.fixture(params=["sqlite", "postgres"])
def restore(request: pytest.FixtureRequest, tmp_path: Path) -> Restore:
    """Put a kept ledger into a database; its URL."""

    def restore(version: int) -> str:
        path = restored(version, tmp_path / "ledger.db")
        if request.param == "sqlite":
            return f"sqlite:///{path}"
        url = request.getfixturevalue("postgres")
        empty_postgres(url)
        return copied(path, version, url.replace("postgresql:", "postgresql+psycopg:", 1))

    return restore


def copied(path: Path, version: int, url: str) -> str:
    """The same rows in PostgreSQL, in the tables that there were at that version."""
    younger = {table.name for of, tables in ADDED.items() if of > version for table in tables}
    tables = [table for table in metadata.sorted_tables if table.name not in younger]
    source, target = create_engine(f"sqlite:///{path}"), create_engine(url)
    with source.connect() as here, target.begin() as there:
        there.execute(CreateSchema(POSTGRES_SCHEMA))
        there = there.execution_options(schema_translate_map={None: POSTGRES_SCHEMA})
        metadata.create_all(there, tables)
        for table in tables:
            rows = [dict(row._mapping) for row in here.execute(select(table))]
            if rows:
                there.execute(insert(table), rows)
        there.execute(
            text("SELECT setval('phasefront.outbox_id_seq', max(id)) FROM phasefront.outbox")
        )
    source.dispose()
    target.dispose()
    return url


def test_a_ledger_of_every_version_is_kept(tmp_path: Path):
    """`make golden` keeps one of a new version; those that are kept are never written again."""
    if os.environ.get("PHASEFRONT_GOLDEN") == "write" and not file_of(SCHEMA_VERSION).exists():
        file_of(SCHEMA_VERSION).write_text(written(tmp_path / "new.db"), encoding="utf-8")
    assert [version for version in VERSIONS if not file_of(version).exists()] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_looking_at_an_old_ledger_tells_what_it_holds_and_changes_nothing(
    restore: Restore, version: int
):
    reader = LedgerReader(restore(version))
    members = reader.members(a_sweep().id)
    assert [member.state for member in members] == STATES
    assert dict(members[0].settled.result.measures) == EXACT
    assert reader.sweeps()[0].status == "interrupted", "its driver is gone"
    assert reader.whereabouts(a_sweep().id) is None
    keys = [member.trial.key for member in members]
    assert [len(history) for history in reader.attempts(keys).values()] == [1, 1, 3, 1, 1]
    assert reader.curves(a_sweep().id, keys) == ({keys[0]: CURVES} if version >= 4 else {})
    teachers = reader.teachers(a_sweep().id, [member.trial for member in members])
    assert [one.lesson for one in teachers.values()] == [LESSON if version >= 5 else "", *[""] * 4]
    assert [one.state for one in teachers.values()] == STATES
    assert reader._database.schema_version() == version
    reader.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sweep_goes_on_in_an_old_ledger(restore: Restore, version: int):
    ledger = Ledger(Database(restore(version)))
    assert ledger.open(a_sweep()).started == 1000.0
    assert ledger.database.schema_version() == SCHEMA_VERSION
    trials = [a_trial(repeat) for repeat in range(5)]
    keys = [trial.key for trial in trials]
    assert len(ledger.rounds()) == 1
    assert [one.is_gap for one in ledger.settled(keys).values()] == [False, False, True]
    assert ledger.charges(keys[3:]) == {keys[3]: ("worker died",)}
    assert ledger.reusable([], 0) == []
    attempts = ledger.begin(keys)
    assert attempts == {keys[3]: 2, keys[4]: 2}
    assert ledger.commit([a_result(trial) for trial in trials[3:]], attempts) == []
    ledger.note_whereabouts([])
    assert [member.state for member in ledger.members()] == [*STATES[:3], "done", "done"]
    ledger.close()


def test_a_ledger_of_tomorrow_is_refused_in_words_and_left_untouched(tmp_path: Path):
    path = restored(SCHEMA_VERSION, tmp_path / "ledger.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO ledger_schema VALUES (?)", [SCHEMA_VERSION + 1])
        connection.commit()
    before = path.read_bytes()
    words = (
        f"schema version {SCHEMA_VERSION + 1}, this version of phasefront reads {SCHEMA_VERSION}"
    )
    with pytest.raises(LedgerDamaged, match=words):
        Database(f"sqlite:///{path}")
    assert path.read_bytes() == before
