"""Ledgers of every version of the schema, as SQL that makes their SQLite files.

`written` makes one of today's version; each older one was made so by the code of its time.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from orchestrator.domain.learner import Outcome
from orchestrator.plan.asks import Ask
from orchestrator.ports import Whereabouts
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from tests.tracking.values import a_result, a_sweep, a_trial

HERE = Path(__file__).parent

EXACT = {"train_error": 0.1, "r_squared": 1 / 3, "smallest": 5e-324, "zero": -0.0}
"""Measures of the first trial, which have to read back bit for bit."""

CURVES = {"train_loss": ((1, 0.693147), (2, 0.5), (5, 1e-12))}
"""Learning curves of the first trial, from version 4 on."""

LESSON = "0" * 32 + ".npz"
"""Where what the first trial taught was written, from version 5 on."""

STATES = ["done", "done", "gap", "waiting", "waiting"]
"""Of the trials in order: fitted, diverged, given up, charged once, and begun by a dead driver."""


def written(path: Path) -> str:
    """Make the ledger at `path`; the SQL that makes it again."""
    ledger = Ledger(Database(f"sqlite:///{path}"), clock=lambda: 1000.0)
    ledger.open(a_sweep())
    first, second, gap, charged, begun = trials = [a_trial(repeat) for repeat in range(5)]
    asks = [Ask(0, trials[0].cell.point, 5, {})]
    ledger.record_round(0, asks, [(0, trial) for trial in trials])
    attempts = ledger.begin([trial.key for trial in (first, second)])
    fitted = replace(a_result(first, **EXACT), curves=CURVES)
    diverged = a_result(second, Outcome.DIVERGED)
    assert ledger.commit([fitted, diverged], attempts, "gpu-03/41", {first.key: LESSON}) == []
    for trial, count in ((gap, 3), (charged, 1)):
        for _ in range(count):
            attempt = ledger.begin([trial.key])[trial.key]
            ledger.charge({trial.key: attempt}, "worker died", 1, "gpu-03/41")
    ledger.give_up(gap.key, ["worker died"] * 3)
    ledger.publish({"n_star": 20.5}, {"report.html": b"<p>x</p>"})
    ledger.begin([begun.key])
    ledger.note_whereabouts(
        [Whereabouts("pack-7", (begun.key,), "gpu-03/41", 1000.0, 1300.0, 1060.0)]
    )
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE drivers SET host = 'gpu-03', pid = 40")
        connection.commit()
        return "\n".join(connection.iterdump()) + "\n"


def file_of(version: int) -> Path:
    """Where the ledger of a version is kept."""
    return HERE / f"ledger-{version}.sql"


def restored(version: int, path: Path) -> Path:
    """The SQLite file of a kept ledger."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(file_of(version).read_text(encoding="utf-8"))
    return path
