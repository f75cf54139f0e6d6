"""A real MLflow server over HTTP, served by the very command that `phasefront ui` runs."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orchestrator.errors import RequestError, TrackerUnreachable
from orchestrator.tracking import Reader, histories, open_tracker, probe, ui_command
from orchestrator.tracking.cell_metrics import Figure
from orchestrator.tracking.client import client_of, runs_of
from orchestrator.tracking.places import Store, store_at
from tests.tracking.test_mirror import answer, begun, runs
from tests.tracking.values import a_result, a_sweep, some_trials


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def status_of(url: str, host: str | None = None, timeout_s: float = 5.0) -> int:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.fixture(scope="module")
def server(
    fresh_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, int]]:
    """A server's store and process id; it answers."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(fresh_mlflow, folder / "mlflow.db")
    port = free_port()
    command, address = ui_command(str(folder), port)
    url = f"http://127.0.0.1:{port}"
    assert address.startswith(url)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120.0
        while True:
            try:
                assert status_of(f"{url}/health") == 200
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.3)
        yield Store(url), process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the session holds the server's own workers
        process.wait()


def test_only_the_named_hosts_are_served(server: tuple[Store, int]):
    url = f"{server[0].uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    assert status_of(url) == 200
    assert status_of(url, host="10.evil.example") == 403
    assert status_of(url, host="evil.example") == 403


def test_a_sweep_is_mirrored_over_http_and_read_back(server: tuple[Store, int], tmp_path: Path):
    store = server[0]
    tracker = begun(open_tracker(store.uri, str(tmp_path / "ledger.db")))
    answer(tracker)
    tracker.publish({"n_star": 20.5}, {"report.html": b"<p>x</p>"})
    tracker.finish("finished", "tolerance")
    assert tracker.close(60.0)
    (parent,), cells = runs(store, "sweep"), runs(store, "cell")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["phasefront.commit"] == a_sweep().id
    assert sorted(cell.data.metrics["trials"] for cell in cells) == [2.0, 3.0]
    with_ledger = Reader(store.uri, str(tmp_path / "ledger.db"))
    without = Reader(store.uri, str(tmp_path / "lost.db"))
    assert (with_ledger.source, without.source) == ("ledger", "mlflow")
    results = [
        {member.trial.key: member.settled.result for member in reader.members(a_sweep().id)}
        for reader in (with_ledger, without)
    ]
    assert results[0] == results[1]
    assert len(results[0]) == 6
    with_ledger.close()


@pytest.mark.parametrize("most", [25_000, 3])
def test_many_histories_at_once_are_those_that_the_client_tells_one_by_one(
    server: tuple[Store, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
):
    """At a limit of three values the runs are asked for in halves, and one by one in the end."""
    monkeypatch.setattr(histories, "POINTS", most)
    tracker = begun(open_tracker(server[0].uri, str(tmp_path / "ledger.db")))
    answer(tracker)
    tracker.finish("finished", "tolerance")
    assert tracker.close(60.0)
    client = client_of(server[0])
    found = runs_of(client, ["0", "1", "2"], "tags.`phasefront.role` = 'cell'")
    assert len(found) >= 2
    assert histories.histories(client, found, connections=4) == {
        run.id: {
            Figure(name, one.value, one.timestamp, one.step)
            for name in run.metrics
            for one in client.get_metric_history(run.id, name)
        }
        for run in found
    }
    told = histories.histories(client, found, prefix="trial.")
    assert {one.name.split(".")[0] for own in told.values() for one in own} == {"trial"}


def test_a_frozen_server_stops_neither_commits_nor_the_driver(
    server: tuple[Store, int], tmp_path: Path
):
    store, pid = server
    trials = some_trials(40, n=30)
    tracker = open_tracker(store.uri, str(tmp_path / "ledger.db"))
    tracker.open(a_sweep("f" * 16, "frozen"))
    os.killpg(pid, signal.SIGSTOP)
    try:
        tracker.record_round(0, [], [(0, trial) for trial in trials])
        keys = [trial.key for trial in trials]
        started = time.monotonic()
        assert tracker.commit([a_result(trial) for trial in trials], tracker.begin(keys)) == []
        tracker.finish("finished", None)
        assert tracker.close(0.5) is False
        assert time.monotonic() - started < 5.0
    finally:
        os.killpg(pid, signal.SIGCONT)
    again = open_tracker(store.uri, str(tmp_path / "ledger.db"))
    again.open(a_sweep("f" * 16, "frozen"))
    again.finish("finished", None)
    assert again.close(60.0)
    (cell,) = [run for run in runs(store, "cell") if run.data.tags["phasefront.sweep"] == "f" * 16]
    assert cell.data.metrics["trials"] == 40.0


def test_the_ui_of_a_served_store_is_not_served_again(server: tuple[Store, int]):
    with pytest.raises(RequestError, match="open it in a browser"):
        ui_command(server[0].uri, 5000)


def test_a_store_that_does_not_answer_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(TrackerUnreachable, match="no MLflow server answers"):
        open_tracker(f"http://127.0.0.1:{free_port()}", str(tmp_path / "ledger.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_silent_store_is_refused_within_seconds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "ANSWER_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackerUnreachable):
            probe.probe(Store(f"http://127.0.0.1:{silent.getsockname()[1]}"))


@pytest.mark.parametrize(("code", "words"), [(401, "MLFLOW_TRACKING_USERNAME"), (500, "HTTP 500")])
def test_a_server_that_refuses_is_told_apart(code: int, words: str):
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(code)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as httpd:
        thread = threading.Thread(target=httpd.handle_request)
        thread.start()
        with pytest.raises(TrackerUnreachable, match=words):
            probe.probe(Store(f"http://127.0.0.1:{httpd.server_port}"))
        thread.join()


def test_a_folder_that_cannot_hold_a_store_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackerUnreachable, match="cannot write here"):
        open_tracker(str(tmp_path / "file" / "store"))
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be read as one" * 50)
    with pytest.raises(TrackerUnreachable, match="not an MLflow database"):
        probe.probe(store_at(str(tmp_path)))
    assert not (tmp_path / "ledger.db").exists()
