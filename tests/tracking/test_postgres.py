"""The ledger on PostgreSQL with real drivers: competing, cut off, killed. The port's promises are
held in contracts/; here is what only processes and a server can show.
"""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest

from orchestrator import failpoints
from orchestrator.errors import LedgerDamaged, SweepInUse
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.schema import SCHEMA_VERSION
from tests.tracking.values import (
    a_result,
    a_sweep,
    a_trial,
    borrowed_postgres,
    empty_postgres,
    some_trials,
)

COUNT, PACK, KILLS = 800, 4, 6


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    yield from borrowed_postgres()


@pytest.fixture
def url(server: str) -> str:
    """Of an empty database."""
    empty_postgres(server)
    return server.replace("postgresql:", "postgresql+psycopg:", 1)


@pytest.fixture(scope="module")
def nursery() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tracking.test_postgres"])
    return context


def asked(server: str, query: str) -> list[tuple]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SET search_path TO phasefront")
        return connection.execute(query).fetchall()


def opened(url: str, sweep: str = a_sweep().id, name: str = "cover") -> Ledger:
    ledger = Ledger(Database(url))
    try:
        ledger.open(a_sweep(sweep, name))
    except SweepInUse:
        ledger.database.close()
        raise
    return ledger


def let_go(*ledgers: Ledger) -> None:
    for ledger in ledgers:
        ledger.close()
        ledger.database.close()


def drive(url: str, acknowledged: str, sweep: str, backwards: bool, failing: str = "") -> None:
    """Commit what is not settled yet, pack by pack; write each pack's keys down once it is safe.

    A driver that finds the other's results leaves them; with `failing` it dies at that failpoint.
    """
    failpoints.tell(failing or None)
    ledger = opened(url, sweep, sweep)
    trials = some_trials(COUNT)
    ledger.record_round(0, [], [(0, trial) for trial in trials])
    safe = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    left = trials[::-1] if backwards else trials
    for start in range(0, len(left), PACK):
        pack = {trial.key: trial for trial in left[start : start + PACK]}
        attempts = ledger.begin(list(pack))
        results = [a_result(pack[key], repeat=float(pack[key].repeat)) for key in attempts]
        refused = set(ledger.commit(results, attempts))
        os.write(safe, "".join(f"{key}\n" for key in attempts if key not in refused).encode())
    let_go(ledger)


def assert_committed_once(server: str) -> None:
    """Done, committed by its newest attempt or one before, and queued: all three or none."""
    done = asked(server, "SELECT key, attempt FROM trials WHERE state = 'done'")
    committed = asked(server, "SELECT key, attempt FROM attempts WHERE reason = 'committed'")
    assert sorted(committed) == sorted(done)
    queued = asked(server, "SELECT sweep, subject FROM outbox WHERE kind = 'trial'")
    known = asked(
        server, "SELECT sweep, key FROM members JOIN trials USING (key) WHERE state = 'done'"
    )
    assert sorted(queued) == sorted(known)


def test_drivers_killed_at_random_lose_and_double_nothing_and_the_next_gets_their_lock_at_once(
    server: str, url: str, tmp_path: Path, nursery: ForkServerContext
):
    acknowledged, dice = tmp_path / "acknowledged", random.Random(11)
    for _ in range(KILLS):
        words = (url, str(acknowledged), a_sweep().id, False)
        driver = nursery.Process(target=drive, args=words)
        driver.start()
        before, deadline = size(acknowledged), time.monotonic() + 60.0
        while size(acknowledged) == before:
            assert driver.exitcode in (None, 0), "the driver before held its lock still"
            assert time.monotonic() < deadline
            if driver.exitcode == 0:
                break
            time.sleep(0.002)
        time.sleep(dice.uniform(0.0, 0.05))
        driver.kill()
        driver.join()
    keys = acknowledged.read_text().split()
    assert len(keys) == len(set(keys)) >= KILLS * PACK
    settled = {row[0] for row in asked(server, "SELECT key FROM trials WHERE state = 'done'")}
    assert set(keys) <= settled
    assert_committed_once(server)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_two_drivers_at_the_same_trials_settle_each_once_and_never_wait_for_each_other(
    server: str, url: str, tmp_path: Path, nursery: ForkServerContext
):
    Database(url).close()
    notes = [tmp_path / "one", tmp_path / "two"]
    drivers = [
        nursery.Process(target=drive, args=(url, str(note), letter * 16, letter == "b"))
        for letter, note in zip("ab", notes, strict=True)
    ]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(120)
    assert [driver.exitcode for driver in drivers] == [0, 0]
    keys = [note.read_text().split() for note in notes]
    assert sorted(keys[0] + keys[1]) == sorted(trial.key for trial in some_trials(COUNT))
    assert all(keys), "both had a share"
    assert_committed_once(server)


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_a_commit_and_what_mlflow_must_be_told_of_it_are_one(
    server: str, url: str, tmp_path: Path, nursery: ForkServerContext, when: str
):
    failing = f"ledger.commit.{when}=kill@3"
    words = (url, str(tmp_path / "acknowledged"), a_sweep().id, False, failing)
    driver = nursery.Process(target=drive, args=words)
    driver.start()
    driver.join(60)
    assert driver.exitcode == -signal.SIGKILL
    done = (3 if when == "after" else 2) * PACK
    assert asked(server, "SELECT count(*) FROM trials WHERE state = 'done'") == [(done,)]
    assert_committed_once(server)


def test_a_driver_that_was_cut_off_cannot_write_when_another_has_taken_over(server: str, url: str):
    first = opened(url)
    trial = a_trial()
    first.record_round(0, [], [(0, trial)])
    attempts = first.begin([trial.key])
    with pytest.raises(SweepInUse, match=f"by pid {os.getpid()} on "):
        opened(url)
    cut_off(server)
    second = opened(url)
    with pytest.raises(SweepInUse, match="taken over by another driver"):
        first.commit([a_result(trial, train_error=1.0)], attempts)
    newer = second.begin([trial.key])
    assert newer == {trial.key: 2}
    assert second.commit([a_result(trial, train_error=2.0)], newer) == []
    assert second.settled([trial.key])[trial.key].result.measures == {"train_error": 2.0}
    assert_committed_once(server)
    let_go(first, second)


def cut_off(server: str) -> None:
    """End the connections that hold locks of drivers, as a network or a server may."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    assert asked(server, query)
    deadline = time.monotonic() + 10.0
    while asked(server, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_ledger_of_another_version_is_refused(server: str, url: str):
    Database(url).close()
    with psycopg.connect(server) as connection:
        connection.execute("INSERT INTO phasefront.ledger_schema VALUES (99)")
    with pytest.raises(LedgerDamaged, match=f"schema version 99, .* reads {SCHEMA_VERSION}"):
        Database(url)


def test_two_that_make_the_ledger_at_once_make_one(
    server: str, url: str, tmp_path: Path, nursery: ForkServerContext
):
    makers = [nursery.Process(target=make, args=(url,)) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(60)
    assert [maker.exitcode for maker in makers] == [0] * 4
    assert asked(server, "SELECT version FROM ledger_schema") == [(SCHEMA_VERSION,)]


def make(url: str) -> None:
    Database(url).close()
