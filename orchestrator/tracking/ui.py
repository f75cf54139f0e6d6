"""The MLflow UI on a store: the command that serves it and the address that opens on the sweeps.

MLflow's own host check takes globs (`10.*` lets `10.evil.example` in), so the exact
names are given. The address filters by role: unfiltered, newer cells would push older sweeps off
the list.
"""

import json
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from orchestrator.errors import RequestError
from orchestrator.tracking import names
from orchestrator.tracking.places import store_at

MOST_EXPERIMENTS = 20
"""How many experiments the opening page compares; the newest."""


def ui_command(
    store: str, port: int, host: str = "127.0.0.1", workers: int = 1
) -> tuple[list[str], str]:
    """The command that serves the UI of a local store, and the address to open.

    One of its `workers` is enough for a person; each takes 300 MB.

    Raises `RequestError` for a remote store, which is served already.
    """
    place = store_at(store)
    if place.folder is None:
        raise RequestError(f"{place.uri} is an MLflow server already; open it in a browser")
    hosts = sorted({f"{host}:{port}", f"127.0.0.1:{port}", f"localhost:{port}"})
    command = [
        *("env", "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"),
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", place.uri),
        *("--artifacts-destination", str(place.artifacts)),
        *("--host", host, "--port", str(port), "--workers", str(workers)),
        *("--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{name}" for name in hosts)),
    ]
    return command, f"http://{host}:{port}/{sweeps_page(place.folder / 'mlflow.db')}"


def sweeps_page(database: Path) -> str:
    """The page that lists the sweeps of an MLflow database; the front page while it has none."""
    found = _experiments(database)
    if not found:
        return ""
    query = _chosen(f"tags.`{names.ROLE}` = 'sweep'")
    if len(found) == 1:
        return f"#/experiments/{found[0]}/runs?{query}"
    every = quote(json.dumps(found, separators=(",", ":")), safe="")
    return f"#/compare-experiments/s?experiments={every}&{query}"


def cells_page(experiment: str, sweep: str) -> str:
    """The page that lists the cells of a sweep in an MLflow experiment, by name.

    Sorted by time, as it does unasked, MLflow would fold them away under their sweep.
    """
    of_sweep = f"tags.`{names.ROLE}` = 'cell' and tags.`{names.SWEEP}` = '{sweep}'"
    by_name = "orderByKey=attributes.run_name&orderByAsc=true"
    return f"#/experiments/{experiment}/runs?{_chosen(of_sweep)}&{by_name}"


def _chosen(runs: str) -> str:
    """Query for a page of runs; told what they are, it does not look through them to find out."""
    return f"searchFilter={quote(runs, safe='')}&workflowType=machine_learning"


def _experiments(database: Path) -> list[str]:
    """Experiments that hold sweeps, newest first. Read directly: loading mlflow takes seconds."""
    if not database.exists():
        return []
    query = (
        "SELECT runs.experiment_id FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE tags.key = ? AND tags.value = 'sweep' AND runs.lifecycle_stage = 'active' "
        "GROUP BY runs.experiment_id ORDER BY max(runs.start_time) DESC LIMIT ?"
    )
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1.0)
        try:
            rows = connection.execute(query, (names.ROLE, MOST_EXPERIMENTS)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:  # being made or busy; the front page will do
        return []
    return [str(row[0]) for row in rows]
