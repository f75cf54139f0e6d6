"""What is wrong with a store, in plain words: `phasefront store check`.

Each look at the store is a function that returns what it saw, or raises with what to do about it,
or with why it could not see. Nothing is left behind but MLflow's own trace of a deleted run.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from orchestrator.errors import LedgerDamaged, NoLedger, Unreachable
from orchestrator.tracking.client import client_of, quiet_mlflow
from orchestrator.tracking.database import Database
from orchestrator.tracking.places import Store, ledger_at, store_at
from orchestrator.tracking.probe import ANSWER_S, probe
from orchestrator.tracking.schema import SCHEMA_VERSION
from orchestrator.tracking.server import (
    EXPERIMENTS,
    Credentials,
    Reply,
    ask,
    credentials_file,
)
from orchestrator.tracking.writer import Writer

SKEW_S = 30.0
"""From how many seconds on two clocks differ too much. Times in MLflow and in the ledger are those
of the driver's machine, so sweeps of two machines are listed in a wrong order, and `explain` is
wrong about how long ago something was, by as much; no result depends on it. By hand."""

SCRATCH = "phasefront-store-check"
"""The experiment that holds the scratch run; deleted when the check ends."""

STRANGER = "10.evil.example"
"""A name that MLflow's default pattern `10.*` lets in, as an attacker's page may call a server."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Finding:
    """One look at a store: whether all is well, and what was seen or what to do."""

    check: str
    verdict: Literal["ok", "wrong", "not checked"]
    words: str


class _Wrong(Exception):
    """What is wrong and what to do."""


class _Untold(Exception):
    """Why nothing can be said of it."""


Look = Callable[[Store], str]


def check_store(store: str, ledger: str | None = None) -> list[Finding]:
    """Every check of a store and its ledger, in the order in which they matter.

    Raises `RequestError` for addresses that cannot be used.
    """
    place = store_at(store)
    url = ledger_at(ledger, place)
    first, *others = (SERVER if place.folder is None else FOLDER).items()
    found = [_looked(*first, place)]
    for check, look in others:
        if found[0].verdict == "ok":
            found.append(_looked(check, look, place))
        else:
            found.append(Finding(check, "not checked", "the store has to answer first"))
    return [*found, _looked("ledger", lambda _: _ledger(url), place)]


def _looked(check: str, look: Look, place: Store) -> Finding:
    try:
        return Finding(check, "ok", look(place))
    except _Untold as why:
        return Finding(check, "not checked", str(why))
    except (_Wrong, Unreachable, LedgerDamaged) as error:
        return Finding(check, "wrong", str(error))


def _answers(place: Store) -> str:
    probe(place)
    if place.folder is None:
        return f"{place.uri} answers"
    if not (place.folder / "mlflow.db").exists():
        return f"{place.folder}: nothing here yet; the first `phasefront run` makes it"
    return f"{place.folder} can be written to"


def _auth(place: Store) -> str:
    """A server should ask who comes, and hear it where nobody else does."""
    file = credentials_file()
    if file.exists() and file.stat().st_mode & 0o077:
        raise _Wrong(f"{file} can be read by others; run: chmod 600 {file}")
    address, asking = urlsplit(place.uri), Credentials.found()
    is_near = address.hostname in LOOPBACK
    if asking.header and address.scheme == "http" and not is_near:
        raise _Wrong(
            "the password travels unencrypted; put a proxy with TLS in front, use https://"
        )
    status = ask(place.uri, EXPERIMENTS, ANSWER_S, signed=False).status
    if status in (401, 403):
        return f"let in as {asking.who}, and nobody without credentials"
    if status != 200:
        raise _Untold(
            f"let in as {asking.who}; somebody without credentials is answered HTTP {status}, "
            "neither let in (200) nor refused (401, 403)"
        )
    words = "asks nobody who they are: whoever reaches it may read and delete everything"
    if is_near:
        return f"{words}; for more than one person see mlflow_store/README.md"
    raise _Wrong(f"{words}; start it with --app-name basic-auth (mlflow_store/README.md)")


def _hosts(place: Store) -> str:
    reply = ask(place.uri, EXPERIMENTS, ANSWER_S, headers={"Host": STRANGER})
    if reply.status == 200 and b'"experiments"' in reply.body:
        raise _Wrong(
            f"it also answers to the name {STRANGER}, so a page in anybody's browser can read it; "
            f"start it with --allowed-hosts {urlsplit(place.uri).netloc}"
        )
    return f"refuses the name {STRANGER}"


def _version(place: Store) -> str:
    ours = version("mlflow")
    reply = ask(place.uri, "/version", ANSWER_S)
    theirs = reply.body.decode(errors="replace").strip()
    if reply.status != 200 or not theirs[:1].isdigit():
        raise _Wrong(
            f"does not tell its version (HTTP {reply.status}); it should run MLflow {ours}"
        )
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise _Wrong(f"MLflow {theirs} there, {ours} here; install one of them in both places")
    return f"MLflow {theirs}" if theirs == ours else f"MLflow {theirs} there, {ours} here"


def _clock(place: Store) -> str:
    asked = time.time()
    reply = ask(place.uri, "/health", ANSWER_S)
    return compared(reply, (asked + time.time()) / 2)


def compared(reply: Reply, now: float) -> str:
    """What the server's clock says beside ours, `now`, in seconds since the epoch.

    Its header has whole seconds, half of one is added. Raises when they differ by `SKEW_S`.
    """
    said = reply.headers.get("date")
    if said is None:
        return "the server does not tell the time"
    ahead = parsedate_to_datetime(said).timestamp() + 0.5 - now
    words = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) < SKEW_S:
        return f"{words}; it matters from {SKEW_S:.0f} s on"
    raise _Wrong(
        f"the server's clock is {words}: sweeps will be listed in a wrong order and times will be "
        "off by as much, though no result depends on it; let both machines keep time by NTP"
    )


def _server_schema(place: Store) -> str:
    raise _Untold(
        "an MLflow server does not tell its database's revision; its log does, where it refuses to "
        "start on another than its own"
    )


def _folder_schema(place: Store) -> str:
    """The revision of MLflow's database beside the one that this MLflow writes."""
    assert place.folder is not None
    database = place.folder / "mlflow.db"
    if not database.exists():
        return "none yet"
    quiet_mlflow()
    import sqlalchemy
    from mlflow.store.db.utils import _get_latest_schema_revision, _get_schema_version

    engine = sqlalchemy.create_engine(place.uri)
    try:
        found, ours = _get_schema_version(engine), _get_latest_schema_revision()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise _Wrong(f"{database}: cannot be read ({_first_line(error)})") from error
    finally:
        engine.dispose()
    if found == ours:
        return f"revision {found}"
    raise _Wrong(
        f"{database} has revision {found}, MLflow {version('mlflow')} needs {ours}; copy the file, "
        f"then: mlflow db upgrade {place.uri} (or install the MLflow that wrote it)"
    )


def _artifacts(place: Store) -> str:
    """A small file goes there, comes back and is removed, in a run that is deleted."""
    if place.folder is not None and not (place.folder / "mlflow.db").exists():
        return "none yet"
    content = f"{time.time()}\n".encode()
    try:
        with _scratch_run(place) as (writer, client, run):
            writer.put(run.info.run_id, "check.txt", content)
            with tempfile.TemporaryDirectory() as folder:
                back = client.download_artifacts(run.info.run_id, "check.txt", folder)
                whole = Path(back).read_bytes() == content
            _remove(run.info.artifact_uri, place)
    except (
        Exception
    ) as error:  # whatever SQLAlchemy, requests, the file system or MLflow make of it
        raise _Wrong(
            f"cannot write, read and remove a file there ({_first_line(error)}); the server's "
            "--artifacts-destination has to be a folder or bucket that it may change, and "
            f"{Credentials.found().who} has to be allowed to"
        ) from error
    if not whole:
        raise _Wrong(f"{run.info.artifact_uri}: what was written is not what comes back")
    return f"wrote, read and removed a file in {run.info.artifact_uri}"


@contextmanager
def _scratch_run(place: Store) -> Iterator[tuple[Writer, Any, Any]]:
    writer, client = Writer(place, at_once=False), client_of(place)
    experiment = writer.experiment(SCRATCH)
    try:
        run = client.create_run(experiment, run_name="store check")
        try:
            yield writer, client, run
        finally:
            client.delete_run(run.info.run_id)
    finally:
        client.delete_experiment(experiment)


def _remove(artifacts: str, place: Store) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(artifacts, tracking_uri=place.uri).delete_artifacts("check.txt")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _ledger(url: str) -> str:
    try:
        database = Database(url, create=False)
    except NoLedger as none:
        return f"{str(none).removesuffix(': there is no ledger here')}: none yet; a run makes it"
    try:
        found = database.schema_version()
    finally:
        database.close()
    older = "" if found == SCHEMA_VERSION else "; the next run adds what it lacks"
    return f"{database.name}: version {found}{older}"


SERVER: Mapping[str, Look] = {
    "answer": _answers,
    "auth": _auth,
    "hosts": _hosts,
    "version": _version,
    "schema": _server_schema,
    "clock": _clock,
    "artifacts": _artifacts,
}
FOLDER: Mapping[str, Look] = {
    "answer": _answers,
    "schema": _folder_schema,
    "artifacts": _artifacts,
}
