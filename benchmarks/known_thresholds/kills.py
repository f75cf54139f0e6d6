"""Drivers killed at random moments: what they leave, gone on with, equals a run left alone."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks.known_thresholds.systems import EXPERIMENTS
from orchestrator import api
from orchestrator.answer import Answer, as_json


def kills(times: int) -> bool:
    """Kill the driver (`kill -9`) at random moments and run again; compare with one left alone."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as store, tempfile.TemporaryDirectory() as alone:
        for number in range(times):
            delay_s = chance.uniform(0.0, 4.0)
            print(f"kill {number + 1}, {delay_s:.1f} s into training: {_killed(store, delay_s)}")
        first = _finished(store)
        second = _finished(alone)
        return _compare(first, second)


def _command(store: str) -> list[str]:
    file = str(EXPERIMENTS / "two_layer_parity.yaml")
    program = "from orchestrator.cli import main; main()"
    return [sys.executable, "-c", program, "run", file, "--store", store]


def _killed(store: str, delay_s: float) -> str:
    """Start a driver, wait until it commits something new, then `delay_s`, then kill it."""
    before = _committed(store)
    driver = subprocess.Popen(_command(store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and _committed(store) <= before:
        time.sleep(0.2)
    time.sleep(delay_s)
    if driver.poll() is not None:
        return f"had ended with {driver.returncode}"
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    return f"{_committed(store)} trials committed"


def _committed(store: str) -> int:
    return sum(
        member.state == "done"
        for record in api.sweeps(api.Place(store))
        for member in api.sweep_and_members(record.id, api.Place(store))[1]
    )


def _finished(store: str) -> Answer:
    done = subprocess.run(_command(store), capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"the last run failed with {done.returncode}: {done.stderr}")
    (record,) = api.sweeps(api.Place(store))
    return api.open_sweep(record.id, api.Place(store))


def _compare(first: Answer, second: Answer) -> bool:
    same_trials = _results(first) == _results(second)
    same_thresholds = as_json(first)["arms"] == as_json(second)["arms"]
    keys = [row.key for row in first.rows]
    once = len(keys) == len(set(keys))
    checks: dict[str, bool] = {
        f"every trial committed once ({len(keys)} of them)": once,
        "trials equal to the uninterrupted run, bit for bit": same_trials,
        "thresholds equal to the uninterrupted run": same_thresholds,
        "nothing waiting or lost": first.gaps == 0 and first.status == "finished",
    }
    for words, held in checks.items():
        print(f"{'yes' if held else 'NO '}  {words}")
    return all(checks.values())


def _results(found: Answer) -> dict[str, object]:
    return {row.key: (row.outcome, dict(row.measures)) for row in found.rows}
