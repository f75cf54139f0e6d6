"""Addresses of stores and ledgers, and the command that serves the UI."""

import itertools
import logging
from pathlib import Path

import pytest

from orchestrator.api import Place
from orchestrator.errors import LedgerUnreachable, RequestError
from orchestrator.tracking import ui_command
from orchestrator.tracking.database import Database
from orchestrator.tracking.places import Store, ledger_at, store_at, without_password
from orchestrator.tracking.ui import sweeps_page
from orchestrator.tracking.writer import Writer
from tests.tracking.values import a_sweep


@pytest.mark.parametrize("form", ["{}", "{}/", "sqlite:///{}/mlflow.db", "file://{}"])
def test_a_local_store_is_known_by_every_form_of_its_address(form: str, tmp_path: Path):
    store = store_at(form.format(tmp_path))
    assert store == Store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    assert store.artifacts == f"file://{tmp_path}/artifacts"
    assert ledger_at(None, store) == f"sqlite:///{tmp_path}/ledger.db"


def test_a_server_is_a_store_without_a_folder():
    assert store_at("http://127.0.0.1:5000/") == Store("http://127.0.0.1:5000")


def test_a_remote_store_without_a_ledger_says_where_it_is_kept(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        url = ledger_at(None, store_at("http://127.0.0.1:5000"))
    assert url == f"sqlite:///{tmp_path}/mlflow_store/ledger.db"
    assert "mlflow_store/ledger.db" in caplog.text


def test_a_named_ledger_goes_first(tmp_path: Path):
    store = store_at(str(tmp_path))
    assert ledger_at(f"{tmp_path}/a.db", store) == f"sqlite:///{tmp_path}/a.db"
    assert ledger_at(str(tmp_path), store) == f"sqlite:///{tmp_path}/ledger.db"
    assert ledger_at("postgresql://me@db/x", store) == "postgresql+psycopg://me@db/x"


@pytest.mark.parametrize("text", ["ftp://x", "", "sqlite://", "sqlite:///:memory:", "s3://x/y"])
def test_other_stores_are_refused(text: str):
    with pytest.raises(RequestError):
        store_at(text)


@pytest.mark.parametrize("text", ["http://me:hush@host", "https://me@host/", "s3://me:hush@x"])
def test_a_store_whose_address_holds_a_password_is_refused_without_repeating_it(text: str):
    with pytest.raises(RequestError) as refused:
        store_at(text)
    assert "hush" not in str(refused.value)


def test_a_password_of_the_ledger_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PHASEFRONT_LEDGER", raising=False)
    words = Place.chosen("x", "postgresql://me:hush@db/x").words
    assert words == " --store x --ledger postgresql://me:***@db/x"
    with pytest.raises(RequestError) as refused:
        ledger_at("mysql://me:hush@db/x", store_at("x"))
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://db/x?user=me&password=hush", "postgresql://db/x?user=me&password=***"),
        ("postgresql://db/x?sslpassword=hush&user=me", "postgresql://db/x?sslpassword=***&user=me"),
        (
            "postgresql://me:a@hush/h@db:1/x?Password=hush",
            "postgresql://me:***@db:1/x?Password=***",
        ),
        ("postgresql://me@[::1]:1/x?user=me", "postgresql://me@[::1]:1/x?user=me"),
        ("http://db:5000/x", "http://db:5000/x"),
        ("folder/me:a@b", "folder/me:a@b"),
    ],
)
def test_a_password_is_hidden_wherever_an_address_holds_it(address: str, shown: str):
    assert without_password(address) == shown


def test_a_password_in_the_query_is_not_in_the_ledgers_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("PHASEFRONT_LEDGER", raising=False)
    text = "postgresql://127.0.0.1:1/x?user=me&password=hush"
    with pytest.raises(LedgerUnreachable) as refused:
        Database(ledger_at(text, store_at(str(tmp_path))))
    assert "password=***" in str(refused.value)
    assert "hush" not in str(refused.value) + Place.chosen("x", text).words
    with pytest.raises(RequestError, match="%40") as unreadable:
        Database("postgresql+psycopg://me:a@hush:hush@db/x")
    assert "hush" not in str(unreadable.value)


@pytest.mark.parametrize("text", ["mysql://x", "http://x"])
def test_other_ledgers_are_refused(text: str, tmp_path: Path):
    with pytest.raises(RequestError):
        ledger_at(text, store_at(str(tmp_path)))


def test_the_ui_listens_on_loopback_and_names_its_hosts(tmp_path: Path):
    command, address = ui_command(str(tmp_path), 5055)
    options = dict(itertools.pairwise(command))
    assert options["--host"] == "127.0.0.1"
    assert options["--allowed-hosts"] == "127.0.0.1:5055,localhost:5055"
    assert "*" not in " ".join(command)
    assert address == "http://127.0.0.1:5055/"


def test_the_ui_opens_on_the_sweeps(store: Store):
    writer = Writer(store)
    first = writer.experiment("first")
    writer.new_sweep(first, a_sweep(), "")
    query = (
        "searchFilter=tags.%60phasefront.role%60%20%3D%20%27sweep%27&workflowType=machine_learning"
    )
    database = store.folder / "mlflow.db"
    assert sweeps_page(database) == f"#/experiments/{first}/runs?{query}"
    second = writer.experiment("second")
    writer.new_sweep(second, a_sweep("f" * 16, started=2000.0), "")
    both = f"%5B%22{second}%22%2C%22{first}%22%5D"
    assert sweeps_page(database) == f"#/compare-experiments/s?experiments={both}&{query}"
