"""A method plays a problem: it asks, is told, and is looked at on the way."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.problems import Problem, Trials
from orchestrator.inference.threshold import Status

Array = NDArray[np.float64]

CHECKPOINTS = (8, 12, 16, 20, 24, 30, 40, 50, 75, 100, 150, 200)
"""Outcomes after which a method is asked what it knows; the goals name 30, 75 and 200."""


@dataclass(frozen=True)
class Estimate:
    """What a method says: log n_star of every threshold, nan where it cannot tell.

    `low` and `high` are ends of 95% intervals in log n, None from methods without. `readings` are
    further ways to read log n_star off the same outcomes, by name. `informed` and `oracle` are the
    intervals (2, C) of readers shown the same outcomes who know the curves, and the oracle the law.
    """

    log_n_star: Array
    low: Array | None = None
    high: Array | None = None
    status: tuple[Status, ...] | None = None
    readings: dict[str, Array] = field(default_factory=dict)
    informed: Array | None = None
    oracle: Array | None = None


class Session(Protocol):
    """One method at work on one problem."""

    def ask(self) -> Sequence[tuple[int, int]]:
        """The next (threshold, n) to try, at least one; empty when the method is done."""

    def tell(self, i: int, n: int, success: bool) -> None:
        """An outcome; those of one `ask` come in its order."""

    def estimate(self) -> Estimate:
        """What is known now."""


Version = Callable[[], str | None]
"""Names what would change a method's results; None where the method cannot run."""


@dataclass(frozen=True)
class Plan:
    """What a method runs: families, problems of each, and outcomes at most.

    With `each` the outcomes are per threshold; `designed` gives those of a fixed design instead.
    """

    families: tuple[str, ...]
    problems: int
    outcomes: int
    each: bool = False
    designed: Callable[[Problem], int] | None = None

    def budget(self, problem: Problem, most: int | None) -> int:
        """Outcomes to spend on a problem, `most` at most save for designs."""
        if self.designed is not None:
            return self.designed(problem)
        whole = self.outcomes * (len(problem.asked) if self.each else 1)
        return whole if most is None else min(most, whole)


@dataclass(frozen=True)
class Method:
    """A method by name. `start` begins a session on the trials of a problem.

    `kept` marks slow peers, whose results the repository keeps.
    """

    name: str
    start: Callable[[Trials], Session]
    version: Version
    plan: Plan
    kept: bool = False


def play(method: Method, problem: Problem, budget: int) -> dict[str, Any]:
    """The record of one problem, as JSON has it: snapshots by outcomes, and seconds per ask.

    A method that is done early keeps what it said. Arrays are rounded to 1e-4 nats; seconds are
    those of the wall, as some peers work in another process.
    """
    trials = Trials(problem)
    session = method.start(trials)
    early = () if method.plan.designed else CHECKPOINTS
    marks = [*(mark for mark in early if mark < budget), budget]
    snapshots: dict[str, Any] = {}
    seconds, asks = 0.0, 0
    while marks:
        started = time.perf_counter()
        asked = session.ask()
        seconds, asks = seconds + time.perf_counter() - started, asks + 1
        for i, n in asked:
            if marks:
                session.tell(i, n, trials.run(i, n))
                if trials.spent == marks[0]:
                    snapshots[str(marks.pop(0))] = _snapshot(trials, session.estimate())
        if not asked:
            last = _snapshot(trials, session.estimate())
            snapshots.update({str(mark): last for mark in marks})
            break
    return {"problem": problem.number, "seconds": round(seconds / asks, 5), "at": snapshots}


def _snapshot(trials: Trials, estimate: Estimate) -> dict[str, Any]:
    row: dict[str, Any] = {"spent": trials.spent, "work": round(trials.work)}
    row["x"] = _rounded(estimate.log_n_star)
    if estimate.low is not None and estimate.high is not None:
        row["low"], row["high"] = _rounded(estimate.low), _rounded(estimate.high)
    if estimate.status is not None:
        row["status"] = list(estimate.status)
    if estimate.readings:
        row["readings"] = {name: _rounded(x) for name, x in estimate.readings.items()}
    for name, ends in (("informed", estimate.informed), ("oracle", estimate.oracle)):
        if ends is not None:
            row[name] = [_rounded(end) for end in ends]
    return row


def _rounded(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
