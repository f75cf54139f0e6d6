"""Ctrl-C and SIGTERM, whatever the driver is busy with: an end in time, and a way to go on."""

import os
import signal
import time

import psutil
import pytest

from tests.faults import history
from tests.faults.driver import a_question, begin_typed

PROMISE_S = 10.0
ASKED = 130


@pytest.fixture
def started(tmp_path):
    """Starts a driver whose trials misbehave as told, and waits until one of them does."""
    processes = []

    def start(how, *words):
        question = a_question(how=how, one_in=1)
        process = begin_typed(tmp_path, question, *words)
        processes.append(process)
        until = time.monotonic() + 240.0
        while not (tmp_path / "exec.log").exists():
            assert process.is_alive(), (tmp_path / "said").read_text()
            assert time.monotonic() < until
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


def seconds_to_end(process, *signals):
    """How long a driver takes to end when it gets those signals a tenth of a second apart."""
    asked = time.monotonic()
    for number in signals:
        os.kill(process.pid, number)
        time.sleep(0.1)
    process.join(60.0)
    assert process.exitcode == ASKED
    return time.monotonic() - asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pack_that_trains_in_the_driver_is_cut_short(tmp_path, started, number):
    driver = started("sleep", "--in-process")
    assert seconds_to_end(driver, number) < PROMISE_S
    (status,) = history.rows(tmp_path / "store" / "ledger.db", "SELECT status FROM sweeps")
    assert status["status"] == "interrupted"
    assert_nothing_is_held(tmp_path)
    assert "go on with: phasefront resume" in (tmp_path / "said").read_text()


def test_a_second_ctrl_c_ends_at_once_even_inside_a_library(tmp_path, started):
    driver = started("call", "--in-process")
    assert seconds_to_end(driver, signal.SIGINT, signal.SIGINT) < 2.0
    assert "go on with: phasefront resume" in (tmp_path / "said").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["call", "swallow"])
def test_a_pack_that_does_not_listen_ends_with_its_driver(tmp_path, started, how):
    driver = started(how, "--in-process")
    assert seconds_to_end(driver, signal.SIGINT) < PROMISE_S
    assert "go on with: phasefront resume" in (tmp_path / "said").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_workers_that_do_not_listen_end_with_their_driver(tmp_path, started, times):
    driver = started("hold", "--slots", "1")
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert len(workers) > 2
    limit_s = PROMISE_S if times == 1 else 2.0
    assert seconds_to_end(driver, *[signal.SIGINT] * times) < limit_s
    psutil.wait_procs(workers, timeout=1.0)
    assert not [one for one in workers if one.is_running() and one.status() != "zombie"]
    if times == 1:
        assert_nothing_is_held(tmp_path)


def assert_nothing_is_held(folder):
    ledger = folder / "store" / "ledger.db"
    assert history.rows(ledger, "SELECT key FROM attempts WHERE ended IS NULL") == []
    assert not list(ledger.parent.glob(f"ledger.db-{16 * '?'}.lock"))
