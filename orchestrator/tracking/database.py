"""The ledger's database: SQLite (WAL, synchronous=FULL) or PostgreSQL, and what its errors mean.

Every transaction is opened here. A writing one takes SQLite's write lock at its first statement
(BEGIN IMMEDIATE), so that it can wait for its turn but never fail half-way for want of the lock.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from orchestrator.errors import LedgerDamaged, LedgerUnreachable, NoLedger, RequestError
from orchestrator.failpoints import at
from orchestrator.tracking.places import without_password
from orchestrator.tracking.schema import ADDED, SCHEMA_VERSION, ledger_schema, metadata

BUSY_S = 5.0
"""How long a transaction waits for another process before it gives up; chosen by hand."""

GENEROUS = ("cache_size=-16384", "wal_autocheckpoint=8000")
"""Kilobytes of pages kept, and pages written before they are moved into the file. Keys are hashes,
so a pack of a large sweep touches a page of every index for each of its trials: with SQLite's
defaults (2 MB, 1,000 pages) the 100,000th cost 1.9 times the first, with these 1.6. By hand."""

POSTGRES_SCHEMA = "phasefront"
"""A schema of our own, because a team's database may hold MLflow's and Optuna's tables too."""


_TABLES_LOCK = 0x7068617365  # "phase"; the locks of sweeps are 64-bit hashes


class Database:
    """One ledger database. Connections are opened when first needed; safe to share by threads.

    Opening checks integrity and the schema's version; `create` makes the tables where there are
    none, and those that an older version lacks. Raises `LedgerUnreachable` and `LedgerDamaged`, and
    `RequestError` for what is no address.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        self.url = _parsed(url)
        self.name = without_password(self.url.render_as_string(hide_password=True))
        self.path: Path | None = None
        if self.url.get_backend_name() == "sqlite":
            self.path = Path(self.url.database or "")
            self.name = str(self.path)
            self._engine = self._sqlite(self.path, create)
        else:
            self._engine = _postgres(self.url.render_as_string(hide_password=False))
        # Threads of one process queue here instead of in SQLite's busy wait, which sleeps.
        self._turn = threading.RLock() if self.path else nullcontext()
        self._writer = self._engine.execution_options(phasefront_write=True)
        try:
            self._check(create)
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file; otherwise it is PostgreSQL."""
        return self.path is not None

    @property
    def _schema(self) -> str | None:
        return None if self.is_sqlite else POSTGRES_SCHEMA

    def schema_version(self) -> int:
        """The version of the tables that are here."""
        with self.reading() as connection:
            return self._version(connection) or 0

    def has(self, table: Table) -> bool:
        """Whether this ledger has a table that older versions lack."""
        with self.reading() as connection:
            return bool(inspect(connection).has_table(table.name, schema=self._schema))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the ledger."""
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block has ended, and undone if it raises."""
        with self._errors(), self._turn, self._writer.begin() as connection:
            yield connection

    def connect(self) -> Connection:
        """A connection outside the pool's care, for a lock that lives as long as it does."""
        with self._errors():
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Close every connection; the next transaction opens fresh ones."""
        self._engine.dispose()

    def _sqlite(self, path: Path, create: bool) -> Engine:
        if create:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LedgerUnreachable(f"{path}: cannot make its folder: {error}") from error
        elif not path.exists():
            raise NoLedger(f"{path}: there is no ledger here")
        engine = create_engine(
            self.url, connect_args={"timeout": BUSY_S, "check_same_thread": False}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _check(self, create: bool) -> None:
        with self.reading() as connection:
            if self.is_sqlite:
                # Whoever writes has the indices compared too, 1 s for 1e5 trials: a key that an
                # index has lost would be asked for, trained and committed once more.
                check = "integrity_check" if create else "quick_check"
                verdict = connection.execute(text(f"PRAGMA {check}(1)")).scalar_one()
                if verdict != "ok":
                    raise LedgerDamaged(self._damage(f"integrity check: {verdict}"))
            found = self._version(connection)
        if found is None and create:
            self._create()
        elif found is None:
            raise NoLedger(f"{self.name}: there is no ledger here")
        elif not 1 <= found <= SCHEMA_VERSION:
            raise LedgerDamaged(
                f"{self.name}: the ledger has schema version {found}, this version of phasefront "
                f"reads {SCHEMA_VERSION}; use the version that wrote it, or another --ledger"
            )
        elif found < SCHEMA_VERSION and create:
            self._upgrade()
        if self.is_sqlite and create:  # only now: a database of something else stays as it is
            with self._errors(), closing(self._engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode=WAL")

    def _version(self, connection: Connection) -> int | None:
        """The schema's version; None for an empty database. Refuses one of something else."""
        tables = inspect(connection).get_table_names(schema=self._schema)
        if "ledger_schema" in tables:
            versions = connection.execute(select(ledger_schema.c.version)).scalars().all()
            return max(versions, default=-1)
        if tables:
            raise LedgerDamaged(
                f"{self.name}: this database is no ledger (it holds {', '.join(sorted(tables)[:3])}"
                "); give another --ledger"
            )
        return None

    @contextmanager
    def _changing_tables(self) -> Iterator[Connection]:
        """A transaction beside which no other changes tables; PostgreSQL has to be asked for it."""
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})"))
            yield connection

    def _create(self) -> None:
        with self._changing_tables() as connection:
            if self._version(connection) is not None:  # another process was faster
                return
            if not self.is_sqlite:
                connection.execute(CreateSchema(POSTGRES_SCHEMA, if_not_exists=True))
            metadata.create_all(connection)
            at("database.create.within")
            connection.execute(insert(ledger_schema).values(version=SCHEMA_VERSION))

    def _upgrade(self) -> None:
        """Add what newer versions brought. A driver of an older one goes on: nothing else moves."""
        with self._changing_tables() as connection:
            found = self._version(connection) or SCHEMA_VERSION
            if found == SCHEMA_VERSION:  # another process was faster
                return
            for version in range(found + 1, SCHEMA_VERSION + 1):
                metadata.create_all(connection, tables=ADDED[version])
            connection.execute(insert(ledger_schema).values(version=SCHEMA_VERSION))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._translated(error, error.orig) from error
        except sqlite3.Error as error:  # while a connection is being prepared
            raise self._translated(error, error) from error
        except UnicodeDecodeError as error:  # text that is no text any more
            raise LedgerDamaged(self._damage(str(error))) from error
        except SQLAlchemyError as error:  # a pool without connections
            raise LedgerUnreachable(f"{self.name}: {error}") from error
        except OSError as error:  # a file that SQLite was not the one to open
            raise self._translated(error, error) from error

    def _translated(self, error: Exception, cause: BaseException | None) -> Exception:
        words = str(cause).strip()
        if any(word in words for word in ("malformed", "not a database", "Could not decode")):
            return LedgerDamaged(self._damage(words))
        if "locked" in words or "lock timeout" in words:
            return LedgerUnreachable(
                f"{self.name}: the ledger stayed locked for {BUSY_S:.0f} s{self._holders()}; "
                "end whatever holds it and run the command again"
            )
        if "disk is full" in words or "No space left" in words:
            return LedgerUnreachable(
                f"{self.name}: the disk is full; everything committed is kept, free some space"
            )
        if isinstance(error, IntegrityError):  # ours, not the machine's
            return error
        return LedgerUnreachable(f"{self.name}: {words}")

    def _damage(self, words: str) -> str:
        return (
            f"{self.name}: the ledger is damaged ({words}); it is left untouched. Restore a copy, "
            "or move it away and rebuild it with: phasefront resume SWEEP --from-mlflow"
        )

    def _holders(self) -> str:
        """Who has the file open, as far as this user may see."""
        if self.path is None:
            return ""
        holders = [
            f"pid {process.pid} ({process.info['name']})"
            for process in psutil.process_iter(["name"])
            if process.pid != psutil.Process().pid and _has_open(process, self.path)
        ]
        return f" by {', '.join(holders)}" if holders else " by another process"


def _has_open(process: psutil.Process, path: Path) -> bool:
    try:
        return any(Path(file.path) == path for file in process.open_files())
    except (psutil.Error, OSError):
        return False


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # whose words may hold a part of the password
        raise RequestError(
            f"ledger {without_password(url)!r} is no address; in a password write : / @ % as %3A "
            "%2F %40 %25"
        ) from None


def _postgres(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": int(BUSY_S),
            "options": f"-c lock_timeout={int(BUSY_S * 1000)}",
        },
    )
    return engine.execution_options(schema_translate_map={None: POSTGRES_SCHEMA})


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    settings = ("synchronous=FULL", "foreign_keys=ON", *GENEROUS)
    for pragma in settings:
        cursor.execute(f"PRAGMA {pragma}")
    # Pages and pictures pass through: the file shrinks again when they have been told.
    if cursor.execute("PRAGMA auto_vacuum").fetchone() == (0,):  # setting it is a write
        cursor.execute("PRAGMA auto_vacuum=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("phasefront_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
