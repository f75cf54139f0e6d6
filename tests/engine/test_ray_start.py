"""The time before a first slot is up: plug-ins that do not load, interruptions, early ends."""

import time

import pytest

from orchestrator.engine import RayExecutor, ray_executor
from orchestrator.errors import ClusterUnreachable, PluginError
from tests.engine.standins import a_pack

BROKEN = ("broken", "import a_module_that_nobody_has\n")
SLOW = ("slow", "import time\ntime.sleep(600)\n")


def test_a_plug_in_that_workers_cannot_load_is_told_in_its_words():
    executor = RayExecutor(None, 1, 0.0, [BROKEN])
    try:
        executor.start(a_pack())
        with pytest.raises(PluginError) as refused:
            wait_long(executor)
    finally:
        executor.close()
    words = "<plug-in broken.py>: ModuleNotFoundError: No module named 'a_module_that_nobody_has'"
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_while_no_slot_is_up_a_wait_ends_in_time_and_so_does_a_close(monkeypatch):
    executor = RayExecutor(None, 2, 0.0, [SLOW])
    try:
        executor.start(a_pack())
        for timeout_s in (0.0, 0.5, 2.0):
            assert seconds_of(lambda t=timeout_s: executor.wait(t)) < timeout_s + 1.0
        monkeypatch.setattr(ray_executor, "_PATIENCE_S", 1.0)
        with pytest.raises(ClusterUnreachable, match="no worker could be started for 1 s"):
            wait_long(executor)
    finally:
        ended_s = seconds_of(executor.close)
    assert ended_s < 10.0


def wait_long(executor):
    for _ in range(60):
        assert executor.wait(1.0) == []


def seconds_of(act):
    started = time.monotonic()
    act()
    return time.monotonic() - started
