"""How many trials a second MLflow is told, 64 a cell, from a ledger that has them all."""

import tempfile
import time
from pathlib import Path

from benchmarks.engine.sweeps import nothing_words, staged
from benchmarks.mirror.served import Served
from orchestrator.tracking.places import Store, store_at
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer

PER_CELL = 64


def direct(trials: int) -> float:
    """Trials a second into MLflow's SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        return _rate(store_at(folder), trials, Path(folder))


def over_http(trials: int) -> float:
    """Trials a second to a server on this machine."""
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder, "store")) as server:
        return _rate(Store(server.uri), trials, Path(folder))


def _rate(store: Store, trials: int, folder: Path) -> float:
    with staged(nothing_words(trials, PER_CELL), folder, mirrored=False) as stage:
        stage.answer()
        stage.ledger.finish("finished", None)
        teller = Teller(stage.ledger.database, Writer(store), stage.spec.id)
        teller.prepare()
        began = time.perf_counter()
        while teller.tell():
            pass
        return trials / (time.perf_counter() - began)
