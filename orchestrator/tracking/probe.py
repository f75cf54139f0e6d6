"""Whether an MLflow store answers, asked without loading mlflow and within seconds."""

import base64
import os
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path

from orchestrator.errors import TrackerUnreachable
from orchestrator.tracking.places import Store

ANSWER_S = 5.0
"""How long a server may take to answer when a tracker is opened."""


def probe(store: Store) -> None:
    """Return where the store answers or could be made. Raises `TrackerUnreachable`."""
    if store.folder is None:
        _probe_server(store.uri)
    else:
        _probe_folder(store.folder)


def _probe_server(uri: str) -> None:
    """Ask for the default experiment: 200 or 404 from MLflow, 401 or 403 without the right."""
    address = f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    try:
        with urllib.request.urlopen(_authorised(address), timeout=ANSWER_S):
            return
    except urllib.error.HTTPError as error:
        code = error.code
        error.close()
        if code in (401, 403):
            raise TrackerUnreachable(
                f"{uri}: the MLflow server refuses these credentials (HTTP {code}); set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        if code != 404:
            raise TrackerUnreachable(f"{uri}: the MLflow server answers HTTP {code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackerUnreachable(
            f"{uri}: no MLflow server answers within {ANSWER_S:.0f} s ({reason}); start it, or "
            "give another --store"
        ) from error


def _authorised(address: str) -> urllib.request.Request:
    """The request as MLflow's own client would sign it."""
    request = urllib.request.Request(address)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if user:
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        words = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {words}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    return request


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
