"""Every value that MLflow ever had of the metrics of many runs, a hundred runs a call.

MLflow's client asks for one metric of one run at a time, 12 ms each from a server on the same
machine (3.17): a quarter of an hour for ten thousand cells. Its stores, and its servers to their
own pages, tell one metric of a hundred runs at once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.tracking.cell_metrics import Figure
from orchestrator.tracking.client import RunFound

RUNS = 100
"""Runs of a call; a server refuses more."""

POINTS = 25_000
"""Values that a server tells at most, leaving the others out in silence."""

ROUTE = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

_Points = list[tuple[str, Figure]]
_Ask = Callable[[Sequence[str], str], _Points]


def histories(
    client: Any, runs: Sequence[RunFound], connections: int = 1, prefix: str = ""
) -> dict[str, set[Figure]]:
    """Every value of the metrics whose names begin with `prefix`, by run; no run is left out.

    Metrics that a run got since it was found are not looked for. Raises what MLflow does.
    """
    ask = _asking(client)
    found: dict[str, set[Figure]] = {run.id: set() for run in runs}
    with ThreadPoolExecutor(connections) as pool:
        for points in pool.map(lambda one: _whole(client, ask, *one), _questions(runs, prefix)):
            for run, figure in points:
                found[run].add(figure)
    return found


def _questions(runs: Sequence[RunFound], prefix: str) -> Iterator[tuple[list[str], str]]:
    """Runs and the metric to ask them for."""
    for start in range(0, len(runs), RUNS):
        chunk = runs[start : start + RUNS]
        for name in sorted({name for run in chunk for name in run.metrics}):
            if name.startswith(prefix):
                yield [run.id for run in chunk if name in run.metrics], name


def _whole(client: Any, ask: _Ask, runs: Sequence[str], name: str) -> _Points:
    """All values of one metric of those runs, however many there are."""
    points = ask(runs, name)
    if len(points) < POINTS:
        return points
    if len(runs) == 1:  # the client turns pages
        history = client.get_metric_history(runs[0], name)
        return [(runs[0], Figure(name, one.value, one.timestamp, one.step)) for one in history]
    half = len(runs) // 2
    return [
        point for part in (runs[:half], runs[half:]) for point in _whole(client, ask, part, name)
    ]


def _asking(client: Any) -> _Ask:
    store = client._tracking_client.store
    if hasattr(store, "get_metric_history_bulk"):
        return lambda runs, name: _of_store(store, runs, name)
    return lambda runs, name: _of_server(store, runs, name)


def _of_store(store: Any, runs: Sequence[str], name: str) -> _Points:
    told = store.get_metric_history_bulk(list(runs), name, POINTS)
    return [(one.run_id, Figure(name, one.value, one.timestamp, one.step)) for one in told]


def _of_server(store: Any, runs: Sequence[str], name: str) -> _Points:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    words = {"run_id": list(runs), "metric_key": name, "max_results": POINTS}
    reply = http_request(store.get_host_creds(), ROUTE, "GET", params=words)
    told = verify_rest_response(reply, ROUTE).json()["metrics"]
    return [
        (one["run_id"], Figure(name, float(one["value"]), int(one["timestamp"]), int(one["step"])))
        for one in told
    ]
