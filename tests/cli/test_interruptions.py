"""Drivers that are stopped or killed, as processes of their own; the next one goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.answer import Answer, as_json
from orchestrator.spec import loads

SPEC = """\
# A sweep that takes some seconds.
format: 1
name: slow-cover
target: {kind: random_labels}
learner: {kind: linear_separator}
axes:
  d: [10, 30]
  n: {low: 2, high: 200}
success: {measure: train_error, above: 0}
search: {kind: threshold, tolerance: 0.03, max_trials: 3000}
"""

SWEEP = loads(SPEC, ".yaml").id


def a_driver(folder: Path, *words: str) -> "subprocess.Popen[str]":
    (folder / "slow.yaml").write_text(SPEC)
    program = "from orchestrator.cli import main; main()"
    place = ["--store", str(folder / "store"), "--in-process"]
    return subprocess.Popen(
        [sys.executable, "-c", program, *(words or ("run", str(folder / "slow.yaml"))), *place],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def committed(folder: Path) -> int:
    place = api.Place(str(folder / "store"))
    return sum(
        member.state == "done"
        for record in api.sweeps(place)
        for member in api.sweep_and_members(record.id, place)[1]
    )


def wait_for_commits(driver: "subprocess.Popen[str]", folder: Path, more_than: int) -> None:
    while driver.poll() is None and committed(folder) <= more_than:
        time.sleep(0.1)


def found(folder: Path) -> Answer:
    return api.open_sweep("slow-cover", api.Place(str(folder / "store")))


def trials(answer: Answer) -> dict[str, object]:
    return {row.key: (row.outcome, dict(row.measures)) for row in answer.rows}


def answer_of_a_driver_left_alone(folder: Path) -> Answer:
    driver = a_driver(folder)
    _, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, err
    return found(folder)


def test_stopped_and_killed_drivers_lose_nothing_and_the_next_goes_on_to_the_same_answer(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    assert f"phasefront resume {SWEEP} --store" in stopped(tmp_path, signal.SIGINT)
    for _ in range(2):
        driver = a_driver(tmp_path)
        wait_for_commits(driver, tmp_path, more_than=committed(tmp_path))
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()
    assert committed(tmp_path) > 0
    driver = a_driver(tmp_path, "resume", "slow-cover", "--format", "json")
    out, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, err
    calm = answer_of_a_driver_left_alone(tmp_path_factory.mktemp("calm"))
    assert json.loads(out)["arms"] == as_json(calm)["arms"]
    assert trials(found(tmp_path)) == trials(calm)


def test_sigterm_is_ctrl_c(tmp_path: Path):
    assert f"phasefront resume {SWEEP} --store" in stopped(tmp_path, signal.SIGTERM)


def stopped(folder: Path, number: int) -> str:
    """What a driver says when it is asked to stop after its first commit."""
    driver = a_driver(folder)
    wait_for_commits(driver, folder, more_than=0)
    asked = time.monotonic()
    driver.send_signal(number)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert time.monotonic() - asked < 10, "the promise is to end within ten seconds"
    assert out == ""
    assert found(folder).status == "interrupted"
    return err


def test_a_second_driver_of_one_sweep_is_refused(tmp_path: Path):
    first = a_driver(tmp_path)
    wait_for_commits(first, tmp_path, more_than=0)
    second = a_driver(tmp_path)
    _, err = second.communicate(timeout=60)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.returncode == 2
    assert str(first.pid) in err
