"""Making MLflow equal to the ledger again, whatever became of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from orchestrator.errors import PhasefrontError, SweepInUse, TrackerUnreachable
from orchestrator.ports import SweepRecord
from orchestrator.tracking import outbox, queries, writes
from orchestrator.tracking.compare import Compared, compare
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import lock_for, telling_lock
from orchestrator.tracking.mirror import bury
from orchestrator.tracking.places import Store, ledger_at, store_at
from orchestrator.tracking.probe import probe
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer

Artifacts = Callable[[SweepRecord], tuple[Mapping[str, bytes], str]]
"""Makes the files and the note of a finished sweep again."""


def compared(store: str, ledger: str | None, sweep: str) -> Compared:
    """How MLflow stands beside the ledger for one sweep (its whole id).

    Raises `TrackerUnreachable`, `LedgerUnreachable`, `RequestError`.
    """
    place = store_at(store)
    probe(place)
    database = Database(ledger_at(ledger, place), create=False)
    try:
        with _answering(place):
            return compare(database, Writer(place), _record(database, sweep))
    finally:
        database.close()


def repair(store: str, ledger: str | None, sweep: str, artifacts: Artifacts) -> Compared:
    """Tell MLflow all that it lacks of a sweep and remove what is not the ledger's; how it stands
    then. Doing it again changes nothing. Raises `SweepInUse` while a driver answers the sweep: its
    mirror is at work, and what `compared` does.
    """
    place = store_at(store)
    probe(place)
    database = Database(ledger_at(ledger, place))
    driver, turn = lock_for(database, sweep), telling_lock(database, sweep)
    try:
        if not driver.take() or not turn.take():
            raise SweepInUse(f"sweep {sweep} is being answered; its driver tells MLflow")
        bury(database, sweep)
        with _answering(place):
            writer = Writer(place)
            _queue_again(database, writer, sweep, artifacts)
            teller = Teller(database, writer, sweep)
            teller.prepare()
            while teller.tell():
                pass
            teller.settle_up()
            return compare(database, writer, _record(database, sweep))
    finally:
        turn.release()
        driver.release()
        database.close()


@contextmanager
def _answering(store: Store) -> Iterator[None]:
    try:
        yield
    except PhasefrontError:
        raise
    except Exception as error:  # whatever SQLAlchemy, requests or MLflow make of it
        raise TrackerUnreachable(f"{store.uri}: {error}") from error


def _queue_again(database: Database, writer: Writer, sweep: str, artifacts: Artifacts) -> None:
    record = _record(database, sweep)
    before = compare(database, writer, record)
    for one in before.differences:
        for run in one.wrong:
            writer.delete(run)
    with database.writing() as connection:
        outbox.tell_cells_again(connection, sweep, [one.cell for one in before.differences])
        if before.parent:
            outbox.tell_sweep_again(connection, sweep)
    if before.parent and record.status == "finished":
        files, note = artifacts(record)
        now = time.time()
        with database.writing() as connection:
            for path, content in files.items():
                writes.put_artifact(connection, sweep, path, content, now)
            writes.queue(connection, sweep, "note", now, payload=note)


def _record(database: Database, sweep: str) -> SweepRecord:
    with database.reading() as connection:
        record = queries.sweep_record(connection, sweep)
    assert record is not None, "asked for by its whole id"
    return record
