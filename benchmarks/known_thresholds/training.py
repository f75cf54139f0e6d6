"""A sweep trained in this process, with the CPU seconds of every trial."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from orchestrator import api
from orchestrator.answer import Answer, Heading, TrialRow, answer
from orchestrator.domain.point import Point
from orchestrator.domain.trial import Cell, Trial
from orchestrator.engine import InlineExecutor
from orchestrator.engine.receipt import train
from orchestrator.inference.threshold import Asked
from orchestrator.plan.facts import Finished, Lost, SlotsAre
from orchestrator.ports import StoppedBy, SweepRecord
from orchestrator.search import proposer_for
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.sweep import Sweep
from orchestrator.tracking import MemoryTracker

WARM_SEED, WARM_TRIALS = 2**31, 8
"""Trials that wake torch and its libraries and are not counted: of no sweep's seed."""


class Tried(BaseModel):
    """What was tried at one point, and the seconds that all its trials took together.

    `cpu_s` is measured here, `wall_s` is what the ledger has.
    """

    model_config = ConfigDict(frozen=True)

    arm: int
    d: int
    k: int
    n: int
    successes: int
    trials: int
    gaps: int
    cpu_s: float
    wall_s: float


class Found(BaseModel):
    """A threshold as a search left it. `n10_n90` are the n of 10% and 90% success."""

    model_config = ConfigDict(frozen=True)

    arm: int
    d: int
    k: int
    status: str
    n_star: float | None
    low: float | None
    high: float | None
    n10_n90: tuple[float, float] | None


class Trained(BaseModel):
    """A sweep that was trained. `deciding_s` are CPU seconds of everything but training."""

    model_config = ConfigDict(frozen=True)

    tried: tuple[Tried, ...]
    found: tuple[Found, ...]
    deciding_s: float


class MeteredExecutor(InlineExecutor):
    """Keeps what each trial took: the CPU seconds of its pack, shared as its receipt shares them.

    `wait` of an `InlineExecutor` trains one pack at most, in this process, and does nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cpu_s: dict[str, float] = {}

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        """See `InlineExecutor.wait`."""
        started = time.process_time()
        facts = super().wait(timeout_s)
        spent = time.process_time() - started
        for fact in facts:
            if isinstance(fact, Finished):
                share = spent / sum(result.seconds for result in fact.results)
                self.cpu_s |= {result.key: share * result.seconds for result in fact.results}
        return facts


def answered(spec: ExperimentSpec) -> Answer:
    """The answer to an experiment, trained in this process and kept in memory."""
    return _answer(spec, *_swept(spec, InlineExecutor()))


def trained(spec: ExperimentSpec) -> Trained:
    """What an experiment tried and cost; thresholds only of a threshold search."""
    for arm in spec.arms:
        _warm_up(arm, spec.asked(arm)[0])
    started, executor = time.process_time(), MeteredExecutor()
    stopped_by, rows = _swept(spec, executor)
    seconds = time.process_time() - started
    seeks = spec.search.kind == "threshold"
    return Trained(
        tried=_tried(rows, executor.cpu_s),
        found=_found(_answer(spec, stopped_by, rows)) if seeks else (),
        deciding_s=seconds - sum(executor.cpu_s.values()),
    )


def _warm_up(arm: Arm, asked: Asked) -> None:
    cell = Cell(arm.target, arm.learner, Point(d=asked.d, n=asked.high, k=asked.k))
    train([Trial(cell, repeat, WARM_SEED) for repeat in range(WARM_TRIALS)], gpus=0)


def _swept(
    spec: ExperimentSpec, executor: InlineExecutor
) -> tuple[StoppedBy | None, list[TrialRow]]:
    tracker = MemoryTracker()
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", time.time()))
    sweep = Sweep(spec, tracker=tracker, executor=executor, proposer=proposer_for(spec))
    return sweep.answer(), api.rows_of(spec, tracker.members())


def _answer(spec: ExperimentSpec, stopped_by: StoppedBy | None, rows: Sequence[TrialRow]) -> Answer:
    return answer(spec, Heading(spec.id, "finished", stopped_by), rows)


def _tried(rows: Sequence[TrialRow], cpu_s: Mapping[str, float]) -> tuple[Tried, ...]:
    points: dict[tuple[int, int, int, int], list[TrialRow]] = defaultdict(list)
    for row in rows:
        points[row.arm, row.point.d, row.point.k, row.point.n].append(row)
    return tuple(
        Tried(
            arm=arm,
            d=d,
            k=k,
            n=n,
            successes=sum(row.success is True for row in own),
            trials=sum(row.success is not None for row in own),
            gaps=sum(row.success is None for row in own),
            cpu_s=sum(cpu_s[row.key] for row in own),
            wall_s=sum(row.seconds for row in own),
        )
        for (arm, d, k, n), own in sorted(points.items())
    )


def _found(found: Answer) -> tuple[Found, ...]:
    return tuple(
        Found(
            arm=place,
            d=one.d,
            k=one.k,
            status=one.status,
            n_star=one.n_star,
            low=one.low,
            high=one.high,
            n10_n90=one.n10_n90,
        )
        for place, arm in enumerate(found.arms)
        for one in (threshold.threshold for threshold in arm.thresholds)
    )
