"""Making MLflow equal to the ledger again, whatever became of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.errors import PhasefrontError, SweepInUse, TrackerUnreachable
from orchestrator.ports import SweepRecord
from orchestrator.tracking import outbox, queries, writes
from orchestrator.tracking.compare import Compared, compare
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import is_held, lock_for, telling_lock
from orchestrator.tracking.mirror import bury
from orchestrator.tracking.places import Store, ledger_at, store_at
from orchestrator.tracking.probe import probe
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer


def compared(store: str, ledger: str | None, sweep: str) -> Compared:
    """How MLflow stands beside the ledger for one sweep (its whole id). Nothing is changed: a store
    that is not there is not made.

    Raises `TrackerUnreachable`, `LedgerUnreachable`, `RequestError`.
    """
    place = store_at(store)
    probe(place)
    database = Database(ledger_at(ledger, place), create=False)
    is_made = place.folder is None or (place.folder / "mlflow.db").exists()
    try:
        record = _record(database, sweep)
        if record.status == "running" and not is_held(database, sweep):
            record = replace(record, status="interrupted")
        with _answering(place):
            return compare(database, Writer(place) if is_made else None, record)
    finally:
        database.close()


def repair(
    store: str,
    ledger: str | None,
    sweep: str,
    before: Compared,
    files: Mapping[str, bytes],
    note: str,
) -> Compared:
    """Tell MLflow all that it lacks of a sweep and remove what is not the ledger's, `before` being
    what `compared` found; how it stands then. Trials that the ledger does not know stay. `files`
    and `note` are told where there are any. Doing it again changes nothing.

    Raises `SweepInUse` while a driver answers the sweep: its mirror is at work; and what `compared`
    does.
    """  # fmt: skip
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
            for one in before.differences:
                for run in one.wrong:
                    writer.delete(run)
            _queue_again(database, sweep, before, files, note)
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


def _queue_again(
    database: Database, sweep: str, before: Compared, files: Mapping[str, bytes], note: str
) -> None:
    now = time.time()
    with database.writing() as connection:
        outbox.tell_cells_again(connection, sweep, [one.cell for one in before.differences])
        if before.parent:
            outbox.tell_sweep_again(connection, sweep)
        for path, content in files.items():
            writes.put_artifact(connection, sweep, path, content, now)
        if note:
            writes.queue(connection, sweep, "note", now, payload=note)


@contextmanager
def _answering(store: Store) -> Iterator[None]:
    try:
        yield
    except PhasefrontError:
        raise
    except Exception as error:  # whatever SQLAlchemy, requests or MLflow make of it
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrackerUnreachable(f"{store.uri}: {first[:300]}") from error


def _record(database: Database, sweep: str) -> SweepRecord:
    with database.reading() as connection:
        record = queries.sweep_record(connection, sweep)
    assert record is not None, "asked for by its whole id"
    return record
