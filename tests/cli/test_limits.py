"""Limits of time with real workers, and what `explain` tells meanwhile from another process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import api
from orchestrator.errors import LedgerUnreachable, TrackerUnreachable, UnknownSweep

PLUGINS = Path(__file__).parents[1] / "engine" / "standin_plugins.py"

SPEC = """\
# How long does it take?
format: 1
name: limits
target: {{kind: slope}}
learner: {learner}
axes: {{d: 5, n: {n}}}
success: {{measure: {measure}, above: 0}}
search: {search}
repeats: {repeats}
resources: {{minutes_per_trial: {minutes}}}
"""


def a_driver(folder: Path, slots: int = 2, **words: object) -> "subprocess.Popen[str]":
    usual = {"measure": "norm", "minutes": 5, "search": "{kind: grid}", "repeats": 4, "n": [10]}
    (folder / "limits.yaml").write_text(SPEC.format(**(usual | words)))
    program = "from orchestrator.cli import main; main()"
    options = ["--store", folder / "store", "--plugins", PLUGINS, "--slots", slots]
    command = [program, "run", folder / "limits.yaml", *options, "--format", "json"]
    return subprocess.Popen(
        [sys.executable, "-c", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def explained(folder: Path, trial: str | None = None, **at: int) -> dict[str, Any]:
    return api.explain("limits", trial, at, api.Place(str(folder / "store")))[0]


def test_max_hours_ends_a_sweep_with_status_3_and_explain_tells_the_truth_meanwhile(tmp_path: Path):
    learner = "{kind: patient, how: sleep, seconds: 1}"
    search = "{kind: grid, max_hours: 0.003}"  # 11 s
    driver = a_driver(tmp_path, slots=1, learner=learner, search=search, repeats=4000)
    found: dict[str, Any] = {"trials": {"running": 0}}
    api.load_plugins([PLUGINS])
    while driver.poll() is None:
        if (tmp_path / "store" / "ledger.db").exists():
            try:
                found = explained(tmp_path)
            except (
                UnknownSweep,
                LedgerUnreachable,
                TrackerUnreachable,
            ):  # the sweep is not written yet
                found = {}
            if any(pack["since"] for pack in found.get("packs", ())):
                break
        time.sleep(0.2)
    now = time.time()
    (training, *_) = [pack for pack in found["packs"] if pack["since"]]
    assert now - 30 < training["since"] < found["noted"] + 1 <= now + 1
    assert training["deadline"] == pytest.approx(training["since"] + 300)
    assert training["lease"] > found["noted"]
    assert found["status"] == "running"
    assert found["waiting_for"].startswith("for a free slot")
    host, _, pid = training["where"].rpartition("/")
    assert host
    assert f"{driver.pid}" != pid
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 3, err
    answer = json.loads(out)
    assert (answer["status"], answer["stopped_by"]) == ("finished", "max_hours")
    after = explained(tmp_path)
    assert after["packs"] == []
    assert after["trials"]["running"] == 0
    assert after["trials"]["waiting"] > 0 < after["trials"]["done"]
    assert "stopped by max_hours: phasefront resume" in after["waiting_for"]


@pytest.mark.slow
def test_a_trial_past_its_limit_alone_three_times_is_a_gap_and_its_mates_are_answered(
    tmp_path: Path,
):
    learner = "{kind: patient, how: sleep, seconds: 600, at_n: 13}"
    driver = a_driver(tmp_path, learner=learner, n=[10, 13], minutes=0.03, repeats=1)
    out, err = driver.communicate(timeout=500)
    assert driver.returncode == 3, err
    assert json.loads(out)["trials"] == {"finished": 1, "gaps": 1}
    api.load_plugins([PLUGINS])
    (gap,) = explained(tmp_path, n=13)["cells"][0]["members"]
    assert gap["why"].startswith("lost: given up after 3 charges: timed out: past its deadline")
    fates = [(one["reason"], one["charged"]) for one in gap["attempts"]]
    late = "timed out: past its deadline of 1.8 s"
    assert fates[-3:] == [(late, 1)] * 3
    assert set(fates[:-3]) <= {(late, 0)}, "with mates in the pack nobody was charged"
    for one in gap["attempts"]:
        assert 1.8 <= one["ended"] - one["started"] < 20
        assert one["where"]
    (mate,) = explained(tmp_path, n=10)["cells"][0]["members"]
    assert mate["state"] == "done"
    (lost,) = [one for one in explained(tmp_path)["lost"] if one["reason"] == "timed out"]
    assert lost["charged"] == 3


@pytest.mark.slow
def test_checkpoints_of_settled_trials_are_removed(tmp_path: Path):
    learner = f"{{kind: counting, log: {tmp_path / 'log'}, steps: 350}}"
    driver = a_driver(tmp_path, learner=learner, measure="sum", repeats=2, slots=1)
    folder, seen = tmp_path / "store" / "artifacts" / ".checkpoints", 0
    while driver.poll() is None:
        seen = max(seen, len(list(folder.glob("*/*.npz"))))
        time.sleep(0.1)
    assert driver.returncode == 0, driver.communicate()[1]
    assert seen == 2, "both trials of the pack were saved"
    assert list(folder.iterdir()) == []
    driver.communicate()
