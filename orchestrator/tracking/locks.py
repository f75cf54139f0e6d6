"""One driver per sweep. A lock that the operating system or the database frees when a driver dies.

Beside a SQLite ledger it is a locked file; in PostgreSQL an advisory lock on a connection of its
own. Neither is trusted alone: `drivers.epoch` counts the openings of a sweep and is checked inside
every writing transaction, so a driver that lost its lock without noticing cannot write.
"""

import fcntl
import hashlib
import os
import time
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.failpoints import at
from orchestrator.tracking.database import Database

PATIENCE_S = 1.0
"""How long to try: someone who only asks whether the lock is held has it for an instant."""


class Lock(Protocol):
    """Held from `take` to `release`."""

    def take(self, patience_s: float = PATIENCE_S) -> bool:
        """Whether the lock is ours now, after trying for so many seconds."""

    def release(self) -> None:
        """Give it back; harmless when it is not ours."""


def lock_for(database: Database, sweep: str) -> Lock:
    """The lock of one sweep in that ledger."""
    if database.path is not None:
        return FileLock(database.path.with_name(f"{database.path.name}-{sweep}.lock"))
    return AdvisoryLock(database, sweep)


def telling_lock(database: Database, sweep: str) -> Lock:
    """The lock of whoever tells MLflow of that sweep; it keeps no driver out."""
    return lock_for(database, f"{sweep}.mirror")


def is_held(database: Database, sweep: str) -> bool:
    """Whether some driver, this process included, holds the sweep now."""
    if database.path is not None:
        path = database.path.with_name(f"{database.path.name}-{sweep}.lock")
        if not path.exists():
            return False
    lock = lock_for(database, sweep)
    if not lock.take(patience_s=0.0):
        return True
    lock.release()
    return False


class FileLock:
    """A locked file that is removed when it is released; a killed process leaves it, unlocked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self, patience_s: float = PATIENCE_S) -> bool:
        """See `Lock.take`."""
        deadline = time.monotonic() + patience_s
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def release(self) -> None:
        """Remove the file, then let go, so that nobody can take a file that is about to vanish."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            at("lock.release.within")
            os.close(self._file)
            self._file = None

    def _try(self) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino == os.stat(self._path).st_ino:
                self._file = file
                return True
        except (BlockingIOError, FileNotFoundError):
            pass  # held, or removed by its last holder between our two calls
        os.close(file)
        return False


class AdvisoryLock:
    """PostgreSQL's session lock, on a connection that is kept for it."""

    def __init__(self, database: Database, sweep: str) -> None:
        self._database = database
        digest = hashlib.blake2b(f"phasefront/{sweep}".encode(), digest_size=8).digest()
        self._number = int.from_bytes(digest, "big", signed=True)
        self._connection: Connection | None = None

    def take(self, patience_s: float = PATIENCE_S) -> bool:
        """See `Lock.take`."""
        connection = self._database.connect()
        deadline = time.monotonic() + patience_s
        while not self._ask(connection, "pg_try_advisory_lock"):
            if time.monotonic() >= deadline:
                connection.close()
                return False
            time.sleep(0.05)
        self._connection = connection
        return True

    def release(self) -> None:
        """Unlock; a connection that was lost has done so already."""
        if self._connection is None:
            return
        try:
            self._ask(self._connection, "pg_advisory_unlock")
        except SQLAlchemyError:
            self._connection.invalidate()
        finally:
            self._connection.close()
            self._connection = None

    def _ask(self, connection: Connection, function: str) -> bool:
        query = text(f"SELECT {function}(:number)")
        return bool(connection.execute(query, {"number": self._number}).scalar_one())
