"""Drivers killed (kill -9) at random moments, frozen, doubled, and out of disk."""

import ctypes
import os
import random
import signal
import time
from dataclasses import replace

import pytest

from orchestrator import api
from orchestrator.errors import LedgerUnreachable, SweepInUse
from tests.faults import history
from tests.faults.driver import (
    KILLED,
    Life,
    a_question,
    begin,
    exit_of,
    live,
    nursery,
    running,
)

NEW_MOUNTS, PRIVATE, RECURSIVE, REMOUNT = 0x20000, 1 << 18, 1 << 14, 1 << 5  # of Linux
NOT_PERMITTED = 77

SEED = 20
"""Of the moments of the kills; a failure names the history that it left."""


def test_twenty_random_kills_lose_and_double_nothing(tmp_path):
    killed_at_random(tmp_path, kills=20, rounds=15)


@pytest.mark.slow
def test_two_hundred_random_kills_lose_and_double_nothing_and_mlflow_has_it_all(tmp_path):
    killed_at_random(tmp_path, kills=200, rounds=30, is_mirrored=True)
    history.check_mirror(tmp_path / "ledger.db", tmp_path / "store")


@pytest.mark.slow
def test_drivers_killed_with_a_ray_of_their_own_lose_and_double_nothing(tmp_path):
    """Each leaves workers behind that may run for some seconds more, and nobody hears of it."""
    killed_at_random(tmp_path, kills=10, rounds=15, slots=2, strays=True)


def killed_at_random(folder, kills, strays=False, **more):
    """So many drivers die while they work; each sweep ends as it does when left alone."""
    dice, seed, killed = random.Random(SEED), 0, 0
    life = Life(folder, a_question(seed), **more)
    while killed < kills:
        driver = begin(life)
        wait_for_more(life.log, driver)
        time.sleep(dice.uniform(0.0, 0.05))
        driver.kill()
        if exit_of(driver) == KILLED:
            killed += 1
        else:  # it had finished
            seed += 1
            life = replace(life, question=a_question(seed))
    calm = replace(life, folder=folder / "calm", is_mirrored=False, slots=0)
    calm.folder.mkdir()
    for one in range(seed + 1):
        question = a_question(one)
        assert exit_of(begin(replace(life, question=question))) == 0
        assert exit_of(begin(replace(calm, question=question))) == 0
    history.check(life.ledger, life.log, strays=strays)
    assert history.results(life.ledger) == history.results(calm.ledger)
    assert history.asked(life.ledger) == history.asked(calm.ledger)


def wait_for_more(log, driver, within_s=120.0):
    """Until the driver has begun a trial, or has ended."""
    before = log.stat().st_size if log.exists() else 0
    until = time.monotonic() + within_s
    while driver.is_alive() and (not log.exists() or log.stat().st_size == before):
        assert time.monotonic() < until, "the driver does nothing"
        time.sleep(0.002)


@pytest.mark.parametrize("place", ["ledger.begin.after", "ledger.commit.within"])
def test_while_a_driver_hangs_a_second_one_is_refused_and_readers_are_not(tmp_path, place):
    hanging = Life(tmp_path, a_question(), failpoint=f"{place}=hang")
    with running(hanging) as driver:
        until = time.monotonic() + 120.0
        while not hanging.mark.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(SweepInUse, match=f"by pid {driver.pid}"):
            live(replace(hanging, failpoint=""))
        started = time.monotonic()
        (record,) = api.sweeps(api.Place(str(tmp_path / "store"), str(hanging.ledger)))
        assert record.status == "running"
        assert time.monotonic() - started < 4.0, "a reader waited for a writer"
    live(replace(hanging, failpoint=""))
    history.check(hanging.ledger, hanging.log)


def test_a_driver_that_was_frozen_while_another_took_over_writes_nothing(tmp_path):
    """Its lock is taken from under it, as a network file system or an operator may do."""
    life = Life(tmp_path, a_question(seconds=0.01), rounds=20)
    with running(life) as frozen:
        wait_for_more(life.log, frozen)
        os.kill(frozen.pid, signal.SIGSTOP)
        for lock in tmp_path.glob("*.lock"):
            lock.unlink()
        live(life)
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.join(60.0)
        assert frozen.exitcode == 1
        history.check(life.ledger, life.log, zombie=frozen.pid)


@pytest.mark.parametrize("what", ["enter", "round", "begin", "commit", "finish"])
def test_a_full_disk_is_called_that_and_the_sweep_goes_on_when_there_is_room(tmp_path, what):
    life = Life(tmp_path, a_question(), failpoint=f"ledger.{what}.within=enospc")
    with pytest.raises(LedgerUnreachable, match="the disk is full; everything committed is kept"):
        live(life)
    live(replace(life, failpoint=""))
    history.check(life.ledger, life.log)


def test_a_disk_that_really_fills_up_loses_nothing_and_the_sweep_goes_on_once_it_is_larger(
    tmp_path,
):
    process = nursery.Process(target=fill_a_small_disk, args=(tmp_path,))
    process.start()
    if exit_of(process) == NOT_PERMITTED:
        pytest.skip("mounting a small disk is not permitted here")
    assert (tmp_path / "verdict").read_text() == "nothing was lost"


def fill_a_small_disk(folder):
    """In a process of its own, whose mounts nobody else sees."""
    libc, disk = ctypes.CDLL(None, use_errno=True), folder / "disk"
    disk.mkdir()

    def mount(kilobytes, flags=0):
        options = f"size={kilobytes}k".encode()
        return libc.mount(b"small", bytes(disk), b"tmpfs", flags, options)

    private = libc.unshare(NEW_MOUNTS) or libc.mount(None, b"/", None, PRIVATE | RECURSIVE, None)
    if private or mount(400):
        os._exit(NOT_PERMITTED)
    life = Life(disk, a_question(), rounds=80)
    with pytest.raises(LedgerUnreachable, match="the disk is full; everything committed is kept"):
        live(life)
    before = len(history.results(life.ledger))
    assert before > 0
    assert mount(60_000, REMOUNT) == 0
    live(life)
    history.check(life.ledger, life.log)
    assert len(history.results(life.ledger)) > before
    (folder / "verdict").write_text("nothing was lost")
