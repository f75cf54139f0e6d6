"""`open_tracker`: from what a person typed to a tracker."""

from orchestrator.ports import Tracker
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.places import ledger_at, store_at


def open_tracker(store: str, ledger: str | None = None) -> Tracker:
    """A tracker on the ledger, which it creates where there is none.

    Raises `RequestError` for an address it cannot use, `LedgerUnreachable` and `LedgerDamaged`.
    """
    return Ledger(Database(ledger_at(ledger, store_at(store))))
