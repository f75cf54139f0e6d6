"""A driver of its own process: what it prints, what it leaves, and what its death leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.engine.embedded import _base, _reap

HERE = Path(__file__).parent

DRIVER = """
import subprocess, sys, time
import psutil
from orchestrator.engine import RayExecutor
from orchestrator.engine.slot import Slot
from tests.engine.standins import PLUGINS, a_pack, fact_of, facts_of

def a_child():
    return subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

mine = [a_child()]
executor = RayExecutor(None, 1, 0.0, PLUGINS, pulse_s=0.5)
mine.append(a_child())
log = sys.argv[1]
if sys.argv[2] == "close":
    dying, after = a_pack(how="exit"), a_pack(how="sleep", seconds=1.0, log=log)
    for pack in (dying, after):
        executor.start(pack)
        print("FACT", type(fact_of(executor, pack)).__name__)
    own = {one.pid for one in mine}
    children = [one for one in psutil.Process().children(recursive=True) if one.pid not in own]
    executor.close()
    executor.close()
    print("MINE", [one.poll() for one in mine])
    print("LEFT", len([child for child in children if child.is_running()]), len(children) > 5)
    print("HOME", executor._ray.home.exists())
elif sys.argv[2] == "lose":
    lost = []
    receipt_of = Slot._receipt_of
    def watched(slot, handed):
        before, receipt = handed.reply, receipt_of(slot, handed)
        if before is not None and handed.reply is None and receipt is None:
            lost.append(handed)
        return receipt
    Slot._receipt_of = watched
    packs = [a_pack(log=f"{log}{number}") for number in range(16)]
    for pack in packs:
        executor.start(pack)
    found = facts_of(executor, *packs, patience_s=300.0)
    print("FACTS", {type(fact).__name__ for (fact,) in found.values()}, "LOST REPLIES", bool(lost))
    executor.close()
else:
    executor.start(a_pack(how="sleep", seconds=600.0, log=log))
    while True:
        executor.wait(1.0)
for one in mine:
    one.kill()
    one.wait()
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


def test_a_driver_prints_nothing_of_rays_and_leaves_its_own_children_and_none_of_rays(tmp_path):
    driver = a_driver(tmp_path / "log", "close")
    printed, complained = driver.communicate(timeout=120)
    assert printed.splitlines() == [
        *("FACT Lost", "FACT Finished"),
        "MINE [None, None]",
        *("LEFT 0 True", "HOME False"),
    ]
    assert complained == ""
    assert driver.returncode == 0


@pytest.mark.slow
def test_replies_lost_on_the_way_are_asked_for_and_nothing_is_trained_twice(tmp_path):
    """Half of the first forty replies are lost; that no pack is among them has chance 2e-5."""
    faults = {
        "CoreWorkerService.grpc_client.PushTask": {"num_failures": 20, "resp_failure_prob": 50}
    }
    driver = a_driver(tmp_path / "log", "lose", RAY_testing_rpc_failure=json.dumps(faults))
    printed, _ = driver.communicate(timeout=400)
    assert "FACTS {'Finished'} LOST REPLIES True" in printed.splitlines()
    logs = list(tmp_path.glob("log*"))
    assert len(logs) == 16
    assert {tuple(line.split()[0] for line in log.read_text().splitlines()) for log in logs} == {
        ("begin", "end")
    }


def test_what_a_killed_driver_left_of_ray_is_ended_by_the_next_one(tmp_path):
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
    survivors = [process for process in left if _is_at_work(process)]
    names = [process.name() for process in survivors]
    for process in survivors:
        process.kill()
    assert names == ["sleep", "sleep"]  # the driver's own, started before Ray and after


def _is_at_work(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
