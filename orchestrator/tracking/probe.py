"""Whether an MLflow store answers, asked without loading mlflow and within seconds."""

import os
import sqlite3
from pathlib import Path

from orchestrator.errors import TrackerUnreachable
from orchestrator.tracking.places import Store
from orchestrator.tracking.server import EXPERIMENTS, ask

ANSWER_S = 5.0
"""How long a server may take to answer when a tracker is opened."""


def probe(store: Store) -> None:
    """Return where the store answers or could be made. Raises `TrackerUnreachable`."""
    if store.folder is None:
        _probe_server(store.uri)
    else:
        _probe_folder(store.folder)


def _probe_server(uri: str) -> None:
    complaint = ask(uri, EXPERIMENTS, ANSWER_S).complaint(uri)
    if complaint:
        raise TrackerUnreachable(f"{uri}: {complaint}")


def _probe_folder(folder: Path) -> None:
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise TrackerUnreachable(f"{folder}: cannot write here ({nearest}); give another --store")
    database = folder / "mlflow.db"
    if not database.exists():
        return
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0.0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        finally:
            connection.close()
    except sqlite3.OperationalError:
        pass  # somebody writes to it: the mirror waits its turn
    except sqlite3.DatabaseError as error:
        raise TrackerUnreachable(f"{database}: not an MLflow database ({error})") from error
