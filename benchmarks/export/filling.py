"""A ledger of settled trials, made through the tracker as a sweep would make it, but untrained."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.plan.asks import Ask
from orchestrator.ports import SweepRecord
from orchestrator.spec import ExperimentSpec
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.places import ledger_at, store_at

PER_CELL, DS, BATCH = 100, 10, 20_000


def filled(folder: Path, trials: int) -> str:
    """Commit that many trials to the ledger of a store in `folder`; the sweep's name."""
    ns = list(range(1, trials // PER_CELL // DS + 1))
    spec = ExperimentSpec.from_words(
        {
            "name": f"filled-{trials}",
            "target": {"kind": "random_labels"},
            "learner": {"kind": "linear_separator"},
            "axes": {"d": list(range(1, DS + 1)), "n": ns},
            "repeats": PER_CELL,
            "search": {"kind": "grid"},
            "success": {"measure": "train_error", "above": 0},
        }
    )
    ledger = Ledger(Database(ledger_at(None, store_at(str(folder)))))
    ledger.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", 0.0))
    everything = _trials(spec, trials)
    number = 0
    while batch := list(islice(everything, BATCH)):
        asks = [Ask(0, one.cell.point, PER_CELL) for one in batch[::PER_CELL]]
        ledger.record_round(number, asks, [(0, one) for one in batch])
        ledger.commit([_result(one) for one in batch], ledger.begin([one.key for one in batch]))
        number += 1
    ledger.finish("finished", None)
    ledger.close()
    return spec.name


def _trials(spec: ExperimentSpec, trials: int) -> Iterator[Trial]:
    (arm,) = spec.arms
    for n in range(1, trials // PER_CELL // DS + 1):
        for d in range(1, DS + 1):
            cell = Cell(arm.target, arm.learner, Point(d=d, n=n, k=1))
            yield from (Trial(cell, repeat, spec.seed) for repeat in range(PER_CELL))


def _result(trial: Trial) -> Result:
    share = trial.repeat / PER_CELL
    measures = {"train_error": share / 3, "test_error": 0.1 + share / 7, "margin": share / 11}
    return Result(trial.key, Outcome.FITTED, measures, seconds=share)
