"""`open_tracker`: from what a person typed to a tracker, refusing at once what cannot work."""

from orchestrator.ports import Tracker
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.mirror import OutboxMirror
from orchestrator.tracking.places import ledger_at, store_at
from orchestrator.tracking.probe import probe


def open_tracker(store: str, ledger: str | None = None) -> Tracker:
    """A tracker on a ledger, which is made where there is none, mirrored to an MLflow store.

    Raises `RequestError` for an address that cannot be used, `TrackerUnreachable`,
    `LedgerUnreachable` and `LedgerDamaged`; the store is looked at first, and nothing is written
    when it does not answer.
    """
    place = store_at(store)
    url = ledger_at(ledger, place)
    probe(place)
    database = Database(url)
    return Ledger(database, OutboxMirror(database, place))
