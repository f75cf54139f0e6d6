"""What `phasefront store check` says of stores that something is wrong with, and of sound ones."""

import configparser
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow.utils.credentials import read_mlflow_creds

from orchestrator.errors import TrackerUnreachable
from orchestrator.tracking.database import Database
from orchestrator.tracking.server import Credentials, Reply
from orchestrator.tracking.store_check import Finding, check_store, compared
from tests.tracking.test_server import free_port

NOW = 1.8e9

Answer = tuple[int, Mapping[str, str], bytes]


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of whoever runs the tests stay out of them."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@contextmanager
def answering(answer: Callable[[str, Mapping[str, str]], Answer]) -> Iterator[str]:
    """The address of a server that answers what `answer` makes of a path and headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path, dict(self.headers.items()))
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def looked_at(store: object, ledger: object = None) -> dict[str, Finding]:
    return {one.check: one for one in check_store(str(store), ledger and str(ledger))}


def wrong(found: dict[str, Finding]) -> set[str]:
    return {one.check for one in found.values() if one.verdict == "wrong"}


def test_a_sound_folder_is_found_sound_and_left_as_it_was(fresh_mlflow: Path, tmp_path: Path):
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(fresh_mlflow, folder / "mlflow.db")
    Database(f"sqlite:///{folder}/ledger.db").close()
    found = looked_at(folder)
    assert list(found) == ["answer", "schema", "artifacts", "ledger"]
    assert {one.verdict for one in found.values()} == {"ok"}
    assert f"file://{folder}/artifacts" in found["artifacts"].words
    assert [file for file in (folder / "artifacts").rglob("*") if file.is_file()] == []
    with sqlite3.connect(folder / "mlflow.db") as database:
        stages = database.execute("SELECT DISTINCT lifecycle_stage FROM runs").fetchall()
        active = database.execute(
            "SELECT name FROM experiments WHERE lifecycle_stage = 'active'"
        ).fetchall()
    database.close()
    assert (stages, active) == ([("deleted",)], [("Default",)])


def test_a_folder_without_a_store_is_fine_and_none_is_made(tmp_path: Path):
    assert wrong(looked_at(tmp_path / "store")) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_mlflow_is_named_with_what_to_do(fresh_mlflow: Path, tmp_path: Path):
    shutil.copy(fresh_mlflow, tmp_path / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0c779009ac13'")
    database.close()
    found = looked_at(tmp_path)
    assert "schema" in wrong(found)
    assert "has revision 0c779009ac13" in found["schema"].words
    assert f"mlflow db upgrade sqlite:///{tmp_path}/mlflow.db" in found["schema"].words


def test_a_ledger_that_cannot_be_read_is_wrong(tmp_path: Path):
    (tmp_path / "ledger.db").write_text("not a ledger, but long enough to be read as one" * 99)
    assert wrong(looked_at(tmp_path)) == {"ledger"}
    nowhere = f"postgresql://me@127.0.0.1:{free_port()}/x"
    found = looked_at(tmp_path, nowhere)
    assert wrong(found) == {"ledger"}
    assert "refused" in found["ledger"].words


def test_where_nothing_answers_only_the_ledger_is_looked_at_besides(tmp_path: Path):
    found = looked_at(f"http://127.0.0.1:{free_port()}", tmp_path / "ledger.db")
    assert wrong(found) == {"answer"}
    assert "no MLflow server answers" in found["answer"].words
    assert found["artifacts"].verdict == "not checked"
    assert found["ledger"].verdict == "ok"


def test_what_a_server_does_not_tell_is_not_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def behind_a_gate(path: str, headers: Mapping[str, str]) -> Answer:
        known = "Authorization" in headers or "search" not in path
        return (200, {}, b"") if known else (int((tmp_path / "gate").read_text()), {}, b"")

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush")
    said = {}
    with answering(behind_a_gate) as url:
        for status in (401, 403, 302, 503):
            (tmp_path / "gate").write_text(str(status))
            found = looked_at(url, tmp_path / "ledger.db")
            said[status] = found["auth"].verdict
    assert said == {401: "ok", 403: "ok", 302: "not checked", 503: "not checked"}
    assert "is answered HTTP 503" in found["auth"].words
    assert found["schema"].verdict == "not checked"
    assert "does not tell" in found["schema"].words


def test_an_old_careless_server_with_a_slow_clock_is_told_off_point_by_point(tmp_path: Path):
    def careless(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/version":
            return 200, {}, b"2.9.1"
        if path == "/health":
            return 200, {"Date": formatdate(NOW, usegmt=True)}, b"OK"
        return (200, {}, b'{"experiments": []}') if "experiments" in path else (500, {}, b"")

    with answering(careless) as url:
        found = looked_at(url, tmp_path / "ledger.db")
    assert wrong(found) >= {"hosts", "version", "clock"}
    assert "10.evil.example" in found["hosts"].words
    assert "--allowed-hosts" in found["hosts"].words
    assert found["version"].words.startswith("MLflow 2.9.1 there, ")
    assert "whoever reaches it may read and delete" in found["auth"].words


@pytest.mark.parametrize(("ahead", "is_wrong"), [(0, False), (29, False), (31, True), (-31, True)])
def test_a_clock_is_wrong_from_half_a_minute_on(ahead: float, is_wrong: bool):
    reply = Reply(200, b"", {"date": formatdate(NOW + ahead, usegmt=True)})
    if is_wrong:
        with pytest.raises(Exception, match=r"clock is 3\d s (ahead of|behind) ours.*NTP"):
            compared(reply, NOW + 0.5)
    else:
        assert f"{ahead} s" in compared(reply, NOW + 0.5)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "asks for credentials and none are set"),
        (403, b"Invalid Host header - possible", "add 127.0.0.1:"),
        (403, b"Permission denied", "refuses nobody"),
        (404, b"", "no MLflow server"),
        (502, b"", "HTTP 502"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, body: bytes, words: str, tmp_path: Path):
    with answering(lambda path, headers: (status, {}, body)) as url:
        found = looked_at(url, tmp_path / "ledger.db")
    assert wrong(found) == {"answer"}
    assert words in found["answer"].words


def test_credentials_do_not_follow_a_redirection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush")
    seen: list[Mapping[str, str]] = []

    def elsewhere(path: str, headers: Mapping[str, str]) -> Answer:
        seen.append(headers)
        return 200, {}, b""

    with (
        answering(elsewhere) as other,
        answering(lambda path, headers: (301, {"Location": other + path}, b"")) as url,
    ):
        found = looked_at(url, tmp_path / "ledger.db")
    assert seen == []
    assert f"sends on to {other}; give that as --store" in found["answer"].words


def test_credentials_are_found_where_mlflow_finds_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert Credentials.found().header is None
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = alice\nmlflow_tracking_password = hush\n"
    )
    assert Credentials.found().header == "Basic YWxpY2U6aHVzaA=="
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
    assert Credentials.found().who == "user 'bob'"
    assert "hush" not in repr(Credentials.found())
    (tmp_path / ".mlflow" / "credentials").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok")
    assert Credentials.found().header == "Bearer tok", "half a user is none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mlflow]\nmlflow_tracking_password = hu%sh", "write every % in mlflow_tracking_password"),
        ("mlflow_tracking_password = hush", r"below \[mlflow\]"),
        ("[mlflow]\nmlflow_tracking_password: a\nhu%sh sh", r"below \[mlflow\]"),
    ],
)
def test_a_file_that_mlflow_cannot_read_is_refused_without_repeating_it(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "alice")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "known")
    file = tmp_path / ".mlflow" / "credentials"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(configparser.Error):
        read_mlflow_creds()
    with pytest.raises(TrackerUnreachable, match=words) as refused:
        Credentials.found()
    assert not [part for part in ("hu", "sh") if part in str(refused.value).partition(";")[2]]


def test_a_percent_sign_is_read_as_mlflow_reads_it(tmp_path: Path):
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = alice\nmlflow_tracking_password = hu%%sh\n"
    )
    assert Credentials.found().password == read_mlflow_creds().password == "hu%sh"
