"""Drivers killed (kill -9) at random moments: nothing acknowledged is lost, nothing doubled."""

import multiprocessing
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from tests.tracking.values import a_result, a_sweep, some_trials

COUNT, PACK, KILLS = 4000, 4, 30


def drive(path: str, acknowledged: str) -> None:
    """Commit what is not settled yet, pack by pack; write each pack's keys down once it is safe.

    Ends when nothing is left, which a fast machine may reach before the last kill.
    """
    ledger = Ledger(Database(f"sqlite:///{path}"))
    ledger.open(a_sweep())
    trials = some_trials(COUNT)
    ledger.record_round(0, [], [(0, trial) for trial in trials])
    safe = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    left = trials
    while left:
        done = ledger.settled([trial.key for trial in trials])
        left = [trial for trial in trials if trial.key not in done]
        for start in range(0, len(left), PACK):
            pack = left[start : start + PACK]
            attempts = ledger.begin([trial.key for trial in pack])
            results = [a_result(trial, repeat=float(trial.repeat)) for trial in pack]
            if not ledger.commit(results, attempts):
                os.write(safe, "".join(f"{trial.key}\n" for trial in pack).encode())


@pytest.fixture(scope="module")
def nursery() -> Iterator[ForkServerContext]:
    """Processes that start in milliseconds, because their parent has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tracking.test_kills"])
    return context


def test_thirty_kills_lose_and_double_nothing(tmp_path: Path, nursery: ForkServerContext):
    path, acknowledged, dice = tmp_path / "ledger.db", tmp_path / "acknowledged", random.Random(3)
    for _ in range(KILLS):
        driver = nursery.Process(target=drive, args=(str(path), str(acknowledged)))
        driver.start()
        wait_for_more(acknowledged, driver)
        time.sleep(dice.uniform(0.0, 0.05))
        driver.kill()
        driver.join()
        driver.close()
    keys = acknowledged.read_text().split()
    assert len(keys) > KILLS * PACK
    assert len(set(keys)) == len(keys)
    ledger = Ledger(Database(f"sqlite:///{path}"))  # checks the file's integrity
    settled = ledger.settled(keys)
    assert set(settled) == set(keys)
    assert all(one.result.measures == {"repeat": one.trial.repeat} for one in settled.values())
    ledger.database.close()
    assert_committed_once(path)


def wait_for_more(acknowledged: Path, driver, within_s: float = 60.0) -> None:
    before = acknowledged.stat().st_size if acknowledged.exists() else 0
    deadline = time.monotonic() + within_s
    while not acknowledged.exists() or acknowledged.stat().st_size == before:
        if driver.exitcode == 0:  # everything is settled
            return
        assert driver.is_alive(), "the driver ended by itself"
        assert time.monotonic() < deadline, "the driver committed nothing"
        time.sleep(0.002)


def assert_committed_once(path: Path) -> None:
    """Done, committed by its newest attempt, and queued: all three or none, for every trial."""
    connection = sqlite3.connect(path)
    done = connection.execute("SELECT key, attempt FROM trials WHERE state = 'done'").fetchall()
    committed = "SELECT key, attempt FROM attempts WHERE reason = 'committed'"
    queued = "SELECT subject FROM outbox WHERE kind = 'trial'"
    assert sorted(connection.execute(committed).fetchall()) == sorted(done)
    assert sorted(connection.execute(queued).fetchall()) == sorted((key,) for key, _ in done)
    connection.close()
