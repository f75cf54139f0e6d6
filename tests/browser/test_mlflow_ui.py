"""`phasefront ui` as a browser shows it: the sweep, its cells, its page and its pictures."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.spec import loads
from orchestrator.tracking import cells_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium; on Debian: apt-get install -y chromium"
)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1600,1200", "--virtual-time-budget=20000", "--dump-dom",
)  # fmt: skip

SPEC = """\
# How many random labels fit in three dimensions?
format: 1
name: browsed
target: {kind: random_labels}
learner: {kind: linear_separator}
axes: {d: [3, 6], n: {low: 2, high: 60}}
success: {measure: train_error, above: 0}
search: {kind: grid}
repeats: 2
"""


@dataclass(frozen=True)
class Ui:
    """The UI on loopback: the address it opens on, and its root."""

    opens: str
    root: str
    store: Path

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.root}/{path}", timeout=30) as reply:
            return bytes(reply.read())


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI of a store in which one small grid was answered."""
    store = tmp_path_factory.mktemp("browsed") / "store"
    api.run(
        loads(SPEC, ".yaml"),
        source=SPEC,
        place=api.Place(str(store)),
        machine=api.Machine(in_process=True),
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "ui"]
    server = subprocess.Popen(
        [*command, "--store", str(store), "--port", str(port)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert server.stderr is not None
    opens = re.findall(r"http\S+", server.stderr.readline())
    root = f"http://127.0.0.1:{port}"
    _wait_for(f"{root}/health", server)
    yield Ui(opens[0], root, store)
    os.kill(server.pid, signal.SIGTERM)
    with server.stderr:
        server.stderr.read()
    server.wait(timeout=60)


def _wait_for(address: str, server: "subprocess.Popen[str]") -> None:
    for _ in range(600):
        assert server.poll() is None, "the UI ended before it answered"
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{address} does not answer")


def shown(address: str, folder: Path) -> str:
    """The document of a page after its scripts ran."""
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder}/profile", address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def runs(ui: Ui, role: str) -> list[str]:
    request = urllib.request.Request(
        f"{ui.root}/api/2.0/mlflow/runs/search",
        data=json.dumps(
            {"experiment_ids": ["1"], "filter": f"tags.`phasefront.role` = '{role}'"}
        ).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return [run["info"]["run_id"] for run in json.load(reply)["runs"]]


def test_it_opens_on_the_sweeps(ui: Ui, tmp_path: Path):
    page = shown(ui.opens, tmp_path)
    assert "browsed" in page
    assert "1 matching run" in re.sub(r"<[^>]+>|&nbsp;", "", page)


def test_the_cells_of_a_sweep_are_listed_one_by_one(ui: Ui, tmp_path: Path):
    (sweep,) = runs(ui, "sweep")
    answered = api.sweeps(api.Place(str(ui.store)))[0].id
    page = re.sub(r"<[^>]+>|&nbsp;", "", shown(f"{ui.root}/{cells_page('1', answered)}", tmp_path))
    assert f"{len(runs(ui, 'cell'))} matching runs" in page
    assert sweep not in page


def test_a_cell_shows_its_point_and_its_success_rate(ui: Ui, tmp_path: Path):
    page = shown(f"{ui.root}/#/experiments/1/runs/{runs(ui, 'cell')[0]}", tmp_path)
    text = re.sub(r"<[^>]+>", " ", page)
    for word in ("target.kind", "random_labels", "success_rate", "linear_separator"):
        assert word in text


def test_the_sweep_carries_its_page_and_pictures(ui: Ui, tmp_path: Path):
    (sweep,) = runs(ui, "sweep")
    report = ui.get(f"get-artifact?path=report.html&run_uuid={sweep}").decode()
    assert "How many random labels fit in three dimensions?" in report
    picture = ui.get(f"get-artifact?path=figures/success_curves.png&run_uuid={sweep}")
    assert picture.startswith(b"\x89PNG")
    page = shown(f"{ui.root}/#/experiments/1/runs/{sweep}/artifacts", tmp_path)
    text = re.sub(r"<[^>]+>", " ", page)
    assert "report.html" in text
    assert "trials.parquet" in text
