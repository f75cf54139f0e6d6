"""What tests of tracking are made of: trials, results, sweeps, a PostgreSQL server to borrow."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.point import Point
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.ports import SweepRecord
from orchestrator.spec import ExperimentSpec

A_SPEC = ExperimentSpec(  # type: ignore[call-arg]
    name="cover",
    target={"kind": "random_labels"},
    learner={"kind": "linear_separator"},
    axes={"d": [10], "n": {"low": 5, "high": 50}},
    success={"measure": "train_error", "above": 0},
)


def a_cell(n: int = 20, d: int = 10) -> Cell:
    return Cell(RandomLabels(), LinearSeparator(), Point(d=d, n=n, k=1))


def a_trial(repeat: int = 0, n: int = 20, seed: int = 0) -> Trial:
    return Trial(a_cell(n), repeat=repeat, seed=seed)


def some_trials(count: int, n: int = 20) -> list[Trial]:
    return [a_trial(repeat, n) for repeat in range(count)]


def a_result(trial: Trial, outcome: Outcome = Outcome.FITTED, **measures: float) -> Result:
    return Result(trial.key, outcome, measures or {"train_error": 0.25}, seconds=0.5)


def a_sweep(sweep: str = "0123456789abcdef", name: str = "cover", **changes: object) -> SweepRecord:
    values = {
        "id": sweep,
        "name": name,
        "spec_json": A_SPEC.canonical,
        "spec_source": "# How many points?\nname: cover\n",
        "status": "running",
        "started": 1000.0,
    }
    return SweepRecord(**(values | changes))  # type: ignore[arg-type]


def borrowed_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL database: the one in PHASEFRONT_TEST_POSTGRES, else a server of ours.

    Ours listens on a socket file only and ends with the test. Skips where neither can be had.
    """
    given = os.environ.get("PHASEFRONT_TEST_POSTGRES")
    if given:
        yield given
        return
    with own_postgres() as url:
        yield url


@contextmanager
def own_postgres(port: int | None = None) -> Iterator[str]:
    """The superuser's URL of a server of ours, which ends with the block, and its files with it.

    It listens on a socket file, and with `port` also on loopback, where it asks for passwords.
    Skips where it cannot be had.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL: install Debian's postgresql or set PHASEFRONT_TEST_POSTGRES")
    user = _server_user()
    home = Path(tempfile.mkdtemp(prefix="phasefront-postgres-"))
    if user is not None:
        shutil.chown(home, user)
    data, tools = str(home / "data"), folders[-1]
    asks = ("--auth-local=trust", "--auth-host=scram-sha-256")
    where = ["-h", ""] if port is None else ["-h", "127.0.0.1", "-p", str(port)]
    try:
        _initdb(user, tools / "initdb", "-D", data, *asks, "-U", "tester", "--no-sync")
        command = [tools / "postgres", "-D", data, "-k", home, "-c", "fsync=off", *where]
        with (home / "log").open("w") as log:
            server = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log)
        try:
            yield _once_it_answers(f"postgresql://tester@/postgres?host={home}&port={port or 5432}")
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def empty_postgres(url: str) -> None:
    """Remove the ledger from a borrowed database."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS phasefront CASCADE"))
    engine.dispose()


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")


def _initdb(user: str | None, *command: object) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, user=user, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"PostgreSQL cannot be started here: {done.stderr.strip()[-200:]}")


def _once_it_answers(url: str, within_s: float = 30.0) -> str:
    deadline = time.monotonic() + within_s
    while True:
        try:
            psycopg.connect(url).close()
            return url
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
