"""Where results are kept and where trials run, as someone says it."""

import os
from dataclasses import dataclass

DEFAULT_STORE = "mlflow_store"


@dataclass(frozen=True)
class Place:
    """Where results are kept: the MLflow store, and the ledger (None: beside a local store)."""

    store: str
    ledger: str | None = None

    @classmethod
    def chosen(cls, store: str | None = None, ledger: str | None = None) -> "Place":
        """What was said, else the environment, else the folder `mlflow_store/`."""
        return cls(
            store or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE,
            ledger or os.environ.get("PHASEFRONT_LEDGER") or None,
        )

    @property
    def words(self) -> str:
        """The options that name this place on a command line, with a space before each.

        For people to read: a password in the ledger's address is left out.
        """
        from orchestrator.tracking.places import without_password

        usual = Place.chosen()
        store = f" --store {self.store}" if self.store != usual.store else ""
        if self.ledger is None or self.ledger == usual.ledger:
            return store
        return f"{store} --ledger {without_password(self.ledger)}"


@dataclass(frozen=True)
class Machine:
    """Where trials run: this process, an embedded Ray (the default), or a Ray cluster's address."""

    address: str | None = None
    slots: int | None = None
    in_process: bool = False
