"""What is done to a team's store in tests: people use it, strangers knock, all of it is lost."""

import base64
import hashlib
import http.client
import json
import shutil
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from orchestrator import api
from orchestrator.answer import as_json
from orchestrator.cli import main
from tests.tracking.team import NAME, Team

SPEC = """\
# How many random labels fit in three dimensions?
format: 1
name: shared
target: {kind: random_labels}
learner: {kind: linear_separator}
axes: {d: 3, n: [3, 6, 9]}
success: {measure: train_error, above: 0}
search: {kind: grid}
repeats: 16
"""


class Person:
    """Somebody at a machine of their own: commands are run there, with what they were given."""

    def __init__(self, team: Team, home: Path, patch: pytest.MonkeyPatch) -> None:
        self._team, self.home, self._patch = team, home, patch
        self.place = api.Place(team.url, team.ledger)
        (home / "shared.yaml").write_text(SPEC)
        patch.chdir(home)
        patch.setenv("HOME", str(home))
        patch.setenv("PGPASSFILE", str(team.store / "pgpass"))
        patch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
        self.is_called(None)

    def is_called(self, name: str | None, password: str = "") -> None:
        """Requests are signed with this name and this password."""
        for word, value in (("USERNAME", name), ("PASSWORD", password)):
            if name is None:
                self._patch.delenv(f"MLFLOW_TRACKING_{word}", raising=False)
            else:
                self._patch.setenv(f"MLFLOW_TRACKING_{word}", value or "")

    def runs(self) -> int:
        """Run the sweep; the status of the command."""
        place = ["--store", self.place.store, "--ledger", str(self.place.ledger)]
        words = ["phasefront", "run", "shared.yaml", "--in-process", *place]
        self._patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    def reads(self, ledger: Path | None = None) -> tuple[dict, dict]:
        """The answer and every trial by key: of the ledger, or of MLflow where there is none."""
        place = api.Place(self.place.store, str(ledger)) if ledger else self.place
        record, members = api.sweep_and_members("shared", place)
        rows = api.rows_of(api.spec_of(record), members)
        trials = {row.key: (row.outcome, dict(row.measures), row.seconds) for row in rows}
        return as_json(api.open_sweep("shared", place)), trials


def asked(
    team: Team, path: str, headers: Mapping[str, str], password: str | None, change: bool = False
) -> int:
    """The status of a request; with `change` it asks for something to be made."""
    body = json.dumps({"name": "intruder"}).encode() if change else None
    request = urllib.request.Request(team.url + path, body, dict(headers))
    if change:
        request.add_header("Content-Type", "application/json")
    if password is not None:
        words = base64.b64encode(f"alice:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {words}")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def through(port: int, root: Path, path: str, headers: Mapping[str, str], method: str) -> int:
    """The status of a request to the proxy, which is known by its certificate."""
    context = ssl.create_default_context(cafile=root)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        connection = http.client.HTTPConnection(NAME)
        connection.sock = context.wrap_socket(plain, server_hostname=NAME)
        connection.request(method, path, headers=dict(headers))
        status = connection.getresponse().status
        connection.close()
    return status


def in_database(team: Team, database: str, query: str) -> list[tuple]:
    url = team.superuser.replace("/postgres?", f"/{database}?")
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Copy:
    """All that a store holds: rows and their hash by table, hashes of files."""

    tables: dict[str, tuple[int, str]]
    files: dict[str, str]


def copy_of(team: Team) -> Copy:
    tables = {}
    for database in ("mlflow", "mlflow_auth", "phasefront"):
        named = in_database(
            team,
            database,
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        )
        for (table,) in named:
            rows = sorted(
                row[0] for row in in_database(team, database, f"SELECT t::text FROM {table} t")
            )
            tables[f"{database}.{table}"] = (len(rows), digest("\n".join(rows).encode()))
    root = team.store / "artifacts"
    files = [file for file in root.rglob("*") if file.is_file()]
    return Copy(tables, {str(file.relative_to(root)): digest(file.read_bytes()) for file in files})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def destroyed_and_brought_back(team: Team, backup: str, elsewhere: Path) -> Copy:
    """What the store holds when all of it was lost but a copy and its two files of secrets."""
    shutil.copytree(backup, elsewhere)
    secrets = {name: (team.store / name).read_text() for name in ("server.env", "pgpass")}
    team.stop_server()
    team.stop_postgres()
    shutil.rmtree(team.store)

    team.store.mkdir()
    for name, text in secrets.items():
        (team.store / name).touch(mode=0o600)
        (team.store / name).write_text(text)
    team.start_postgres()
    team.say("Databases")
    team.say("Restore", BACKUP=str(elsewhere))
    found = copy_of(team)
    team.start_server()
    return found
