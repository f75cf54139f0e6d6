"""A driver of its own process: what it prints, what it leaves, and what its death leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from orchestrator.engine.embedded import _base, _reap

HERE = Path(__file__).parent

DRIVER = """
import sys, time
import psutil
from orchestrator.engine import RayExecutor
from tests.engine.standins import PLUGINS, a_pack, fact_of

executor = RayExecutor(None, 1, 0.0, PLUGINS, pulse_s=0.5)
log = sys.argv[1]
if sys.argv[2] == "close":
    dying, after = a_pack(how="exit"), a_pack(how="sleep", seconds=1.0, log=log)
    for pack in (dying, after):
        executor.start(pack)
        print("FACT", type(fact_of(executor, pack)).__name__)
    children = psutil.Process().children(recursive=True)
    executor.close()
    executor.close()
    print("LEFT", len([child for child in children if child.is_running()]), len(children) > 5)
    print("HOME", executor._ray.home.exists())
else:
    executor.start(a_pack(how="sleep", seconds=600.0, log=log))
    while True:
        executor.wait(1.0)
"""


def a_driver(log, then, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(log), then],
        cwd=HERE.parents[1],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_driver_prints_nothing_of_rays_and_leaves_nothing_of_it(tmp_path):
    driver = a_driver(tmp_path / "log", "close")
    printed, complained = driver.communicate(timeout=120)
    assert printed.splitlines() == ["FACT Lost", "FACT Finished", "LEFT 0 True", "HOME False"]
    assert complained == ""
    assert driver.returncode == 0


def test_a_reply_lost_on_the_way_is_asked_for_and_not_trained_again(tmp_path):
    """The first call of a slot is its hello; the first to each worker loses its reply."""
    log = tmp_path / "log"
    faults = {
        "CoreWorkerService.grpc_client.PushTask": {"num_failures": 3, "resp_failure_prob": 100}
    }
    driver = a_driver(log, "close", RAY_testing_rpc_failure=json.dumps(faults))
    printed, _ = driver.communicate(timeout=120)
    assert [line for line in printed.splitlines() if line.startswith("FACT")] == [
        "FACT Lost",
        "FACT Finished",
    ]
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["begin", "end"]


def test_what_a_killed_driver_left_is_ended_by_the_next_one(tmp_path):
    log = tmp_path / "log"
    killed = a_driver(log, "hang")
    until = time.monotonic() + 90.0
    while not log.exists():
        assert killed.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    left = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    home = _base() / str(killed.pid)
    assert home.exists()
    _reap(_base())
    assert not home.exists()
    assert [process for process in left if _is_at_work(process)] == []


def _is_at_work(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
