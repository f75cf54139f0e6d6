"""What must be true of every history: the real ledger, the log of what ran, and MLflow's runs.

The names are those of the invariants that the simulator checks.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.tracking import names
from orchestrator.tracking.client import client_of, runs_of
from orchestrator.tracking.places import store_at

Row = sqlite3.Row
Line = tuple[str, str, int]


def rows(ledger: Path, query: str) -> list[Row]:
    """What the ledger's file says, read without the product."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def results(ledger: Path) -> dict[str, tuple[Any, ...]]:
    """What came of each trial, by key: outcome and measures, or the reasons of a gap."""
    done = rows(ledger, "SELECT key, outcome, measures FROM trials WHERE state = 'done'")
    gaps = rows(ledger, "SELECT key, reasons FROM gaps")
    kinds = {row["key"]: (first_words(row["reasons"]),) for row in gaps}
    return {**kinds, **{row["key"]: (row["outcome"], row["measures"]) for row in done}}


def asked(ledger: Path) -> list[tuple[Any, ...]]:
    """Every round with what it asked for, in order."""
    return [
        tuple(row) for row in rows(ledger, "SELECT sweep, number, asks FROM rounds ORDER BY 1, 2")
    ]


def first_words(reasons: str) -> str:
    """The kinds of a gap's reasons; the rest of each names processes."""
    return "; ".join(reason.split(":")[0] for reason in json.loads(reasons))


def check(ledger: Path, log: Path, zombie: int = 0, strays: bool = False) -> None:
    """Raise `AssertionError` where a promise was broken, after every sweep has finished.

    `zombie` is a process that was cut off while it ran: it may go on, and nothing comes of it.
    `strays` says that any worker may be one.
    """
    done = {row["key"]: row for row in rows(ledger, "SELECT * FROM trials WHERE state = 'done'")}
    attempts = rows(ledger, "SELECT * FROM attempts")
    _i1_one_commit_of_each(done, attempts)
    _i3_nothing_starts_after_its_commit(done, attempts, [] if strays else lines(log), zombie)
    _i2_what_was_acknowledged_is_there(done, log)
    _i4_all_or_nothing(ledger, done)
    _i9_nothing_is_left_behind(ledger, attempts)
    assert rows(ledger, "PRAGMA integrity_check")[0][0] == "ok"


def _i1_one_commit_of_each(done: Mapping[str, Row], attempts: list[Row]) -> None:
    committed = [(row["key"], row["attempt"]) for row in attempts if row["reason"] == "committed"]
    assert sorted(committed) == sorted((key, row["attempt"]) for key, row in done.items())


def _i2_what_was_acknowledged_is_there(done: Mapping[str, Row], log: Path) -> None:
    acknowledged = Counter(key for what, key, _ in lines(log) if what == "acked")
    assert acknowledged.keys() <= done.keys()
    assert set(acknowledged.values()) <= {1}


def _i3_nothing_starts_after_its_commit(
    done: Mapping[str, Row], attempts: list[Row], history: list[Line], zombie: int
) -> None:
    """By the log, for what was acknowledged; by the numbers of attempts, for all."""
    safe = set()
    for what, key, pid in history:
        assert what != "begin" or key not in safe or pid == zombie, f"{key} after its commit"
        if what == "acked":
            safe.add(key)
    newest: Counter[str] = Counter()
    for row in attempts:
        newest[row["key"]] = max(newest[row["key"]], row["attempt"])
    assert {key: newest[key] for key in done} == {key: row["attempt"] for key, row in done.items()}


def _i4_all_or_nothing(ledger: Path, done: Mapping[str, Row]) -> None:
    assert all(row["checksum"] and row["measures"] for row in done.values())
    query = (
        "SELECT sweep, key FROM members WHERE key IN (SELECT key FROM trials WHERE state='done')"
    )
    owed = Counter(tuple(row) for row in rows(ledger, query))
    queued = rows(ledger, "SELECT sweep, subject FROM outbox WHERE kind = 'trial'")
    assert Counter(tuple(row) for row in queued) == owed


def _i9_nothing_is_left_behind(ledger: Path, attempts: list[Row]) -> None:
    assert not [row["key"] for row in attempts if row["ended"] is None], "a lease is still held"
    ended = [row["id"] for row in rows(ledger, "SELECT id FROM sweeps")]
    held = [one for one in ended if (ledger.parent / f"{ledger.name}-{one}.lock").exists()]
    assert not held, "a lock is still held"
    assert {row["status"] for row in rows(ledger, "SELECT status FROM sweeps")} == {"finished"}


def lines(log: Path) -> list[Line]:
    """What happened to which trial in which process, in order."""
    parts = [line.split() for line in log.read_text().splitlines()]
    return [(what, key, int(pid)) for what, key, pid in parts]


def check_mirror(ledger: Path, store: Path) -> None:
    """I6: MLflow has each trial of the ledger once, and no run goes on."""
    assert not rows(ledger, "SELECT id FROM outbox WHERE sent = 0"), "not everything was told"
    client = client_of(store_at(str(store)))
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = runs_of(client, experiments, "")
    assert {run.status for run in found} <= {"FINISHED"}
    cells = [run for run in found if run.is_cell]
    parents = Counter(run.tags[names.SWEEP] for run in found if not run.is_cell)
    assert set(parents.values()) <= {1}
    told = Counter(
        (run.tags[names.SWEEP], run.tags[names.CELL], metric.step)
        for run in cells
        for metric in client.get_metric_history(run.id, "trial.outcome")
    )
    query = "SELECT m.sweep, t.cell, t.repeat FROM members m JOIN trials t ON m.key = t.key"
    assert told == Counter(tuple(row) for row in rows(ledger, query))
