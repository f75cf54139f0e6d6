"""Cells written straight into the tables of MLflow's own database, where that is a local file.

Through MLflow's client a cell of 64 trials takes six transactions and 74 ms of CPU: every figure is
an object, checked and compared. A sweep of fast trials would wait for its mirror, and a sweep of
slow ones would give it a tenth of a core. Here a hundred cells are one transaction of plain rows,
the same that the client would have written (a test compares them).

The tables are MLflow's, so they are looked at first: `tables_of` gives None where they are not
those of the versions known here, and cells are then told through the client, as to any server.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Table, bindparam, select, update
from sqlalchemy.dialects import sqlite

from orchestrator.tracking.cell_metrics import Figure
from orchestrator.tracking.statements import Bulk, among

COLUMNS = {
    "runs": "artifact_uri deleted_time end_time entry_point_name experiment_id lifecycle_stage name"
    " run_uuid source_name source_type source_version start_time status user_id",
    "metrics": "is_nan key run_uuid step timestamp value",
    "latest_metrics": "is_nan key run_uuid step timestamp value",
    "params": "key run_uuid value",
    "tags": "key run_uuid value",
}
"""The tables written here, as MLflow 3.17 has them."""


@dataclass(frozen=True)
class CellEntry:
    """What is to be told of a cell's run; without `run` it is made, with `name`, `started` (seconds
    since the epoch) and `tags`. Each of `figures` is a group that is not torn apart; `commit` are
    tags that make them true and come last; `ended` closes the run.
    """

    run: str | None
    name: str
    started: float
    tags: dict[str, str]
    figures: Sequence[Sequence[Figure]]
    params: dict[str, str]
    commit: dict[str, str]
    ended: float | None = None

    @classmethod
    def more(cls, run: str, figures: Sequence[Sequence[Figure]]) -> "CellEntry":
        """Figures for a run that is there, and nothing else."""
        return cls(run, name="", started=0.0, tags={}, figures=figures, params={}, commit={})


@dataclass
class _Rows:
    """Rows by table, gathered before anything is written."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    latest_metrics: list[dict[str, Any]] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)


class Tables:
    """MLflow's tables in the database of `engine`, an SQLite file."""

    def __init__(self, engine: Engine, tables: dict[str, Table]) -> None:
        self._engine = engine
        self._runs, self._metrics = tables["runs"], tables["metrics"]
        self._writes = {
            "runs": Bulk(sqlite.insert(tables["runs"])),
            "metrics": Bulk(sqlite.insert(tables["metrics"]).on_conflict_do_nothing()),
            "latest_metrics": Bulk(_latest(tables["latest_metrics"])),
            "params": Bulk(sqlite.insert(tables["params"]).on_conflict_do_nothing()),
            "tags": Bulk(_newest(tables["tags"])),
            "ended": Bulk(
                update(self._runs)
                .where(self._runs.c.run_uuid == bindparam("at_run"))
                .values(status="FINISHED", end_time=bindparam("new_end"))
            ),
        }

    def write(self, experiment: str, artifacts: str, entries: Sequence[CellEntry]) -> list[str]:
        """Write all of it or nothing; the runs, in order. Writing it again changes nothing.

        `artifacts` is the experiment's place for them. Raises `LookupError` when a run is gone.
        """
        runs = [entry.run or uuid.uuid4().hex for entry in entries]
        rows = _Rows()
        for run, entry in zip(runs, entries, strict=True):
            if entry.run is None:
                rows.runs.append(_run_row(run, experiment, artifacts, entry))
            _add(rows, run, entry)
        with self._engine.begin() as connection:
            self._refuse_gone(connection, [entry.run for entry in entries if entry.run])
            for name, statement in self._writes.items():
                statement.run(connection, getattr(rows, name))
        return runs

    def figures_of(self, runs: Sequence[str]) -> list[tuple[str, Figure]]:
        """Every figure that was ever written to those runs, with the run."""
        table = self._metrics
        query = select(
            *(table.c.run_uuid, table.c.key, table.c.value, table.c.timestamp, table.c.step)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(among(connection, table.c.run_uuid, runs)))
            return [(run, Figure(name, value, at, step)) for run, name, value, at, step in rows]

    def _refuse_gone(self, connection: Connection, runs: Sequence[str]) -> None:
        wanted = among(connection, self._runs.c.run_uuid, runs)
        query = select(self._runs.c.run_uuid).where(
            wanted, self._runs.c.lifecycle_stage == "active"
        )
        gone = set(runs) - set(connection.execute(query).scalars())
        if gone:
            raise LookupError(f"run {min(gone)} is not active in MLflow any more")


def tables_of(store: Any) -> Tables | None:
    """The tables of an MLflow store; None for one that is no SQLite file with the known tables."""
    engine = getattr(store, "engine", None)
    if engine is None or engine.dialect.name != "sqlite":
        return None
    from mlflow.store.tracking.dbmodels.models import Base

    found = {name: Base.metadata.tables.get(name) for name in COLUMNS}
    tables = {name: table for name, table in found.items() if table is not None}
    known = {name: " ".join(sorted(table.c.keys())) for name, table in tables.items()}
    return Tables(engine, tables) if known == COLUMNS else None


def _run_row(run: str, experiment: str, artifacts: str, entry: CellEntry) -> dict[str, Any]:
    return {
        "run_uuid": run,
        "name": entry.name,
        "experiment_id": int(experiment),
        "artifact_uri": f"{artifacts}/{run}/artifacts",
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "unknown",
        "status": "RUNNING",
        "start_time": round(entry.started * 1e3),
        "end_time": None,
        "deleted_time": None,
        "lifecycle_stage": "active",
    }


def _add(rows: _Rows, run: str, entry: CellEntry) -> None:
    new = {"mlflow.runName": entry.name, **entry.tags} if entry.run is None else {}
    for name, value in {**new, **entry.commit}.items():
        rows.tags.append({"run_uuid": run, "key": name, "value": value})
    for name, value in entry.params.items():
        rows.params.append({"run_uuid": run, "key": name, "value": value})
    figures = [figure for group in entry.figures for figure in group]
    rows.metrics.extend(_metric_rows(run, figures))
    newest: dict[str, Figure] = {}
    for figure in sorted(figures, key=lambda one: (one.step, one.time_ms, one.value)):
        newest[figure.name] = figure
    rows.latest_metrics.extend(_metric_rows(run, newest.values()))
    if entry.ended is not None:
        rows.ended.append({"at_run": run, "new_end": round(entry.ended * 1e3)})


def _metric_rows(run: str, figures: Iterable[Figure]) -> list[dict[str, Any]]:
    return [
        {
            "run_uuid": run,
            "key": name,
            "value": value,
            "timestamp": time_ms,
            "step": step,
            "is_nan": False,
        }
        for name, value, time_ms, step in figures
    ]


def _latest(table: Table) -> Any:
    """Insert a newest figure, or overwrite one that is older by step, time and value."""
    insert = sqlite.insert(table)
    new, old = insert.excluded, table.c
    is_newer = (
        (new.step > old.step)
        | ((new.step == old.step) & (new.timestamp > old.timestamp))
        | ((new.step == old.step) & (new.timestamp == old.timestamp) & (new.value > old.value))
    )
    changed = {name: new[name] for name in ("value", "timestamp", "step", "is_nan")}
    return insert.on_conflict_do_update(
        index_elements=[old.key, old.run_uuid], set_=changed, where=is_newer
    )


def _newest(table: Table) -> Any:
    insert = sqlite.insert(table)
    return insert.on_conflict_do_update(
        index_elements=[table.c.key, table.c.run_uuid], set_={"value": insert.excluded.value}
    )
