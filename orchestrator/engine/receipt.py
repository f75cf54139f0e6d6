"""How packs and their results travel between processes: plain values, no pickled classes.

A receipt stays under 100 kB: Ray hands such a reply back inline, so that it survives the loss of
the node that made it. Pickled, a trial with four measures takes about 60 bytes of it, and a curve
of ten steps 95 more.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.domain.curves import Curve, Curves
from orchestrator.domain.learner import Outcome
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.pack import run_pack
from orchestrator.domain.trial import Result, Trial
from orchestrator.engine.blame import detail_of, reason_of
from orchestrator.errors import LessonsMissing
from orchestrator.failpoints import at
from orchestrator.plan.facts import Finished, Lost, Pack, Reason

Receipt = dict[str, Any]

_KEYS_TOLD = 128  # packs of trials that take their time hold at most 64


def request_of(pack: Pack) -> dict[str, Any]:
    """What a worker has to know of a pack, as plain values; each cell is described once.

    `trials` are [place of the cell, repeat, seed]; lists, because Ray takes 5 µs for a tuple.
    """
    places: dict[int, int] = {}
    cells: list[dict[str, Any]] = []
    for trial in pack.trials:
        if id(trial.cell) not in places:
            places[id(trial.cell)] = len(cells)
            cells.append(trial.as_json())
    trials = [[places[id(trial.cell)], trial.repeat, trial.seed] for trial in pack.trials]
    return {
        "id": pack.id,
        "gpus": pack.gpus,
        "deadline_s": pack.deadline_s,
        "cells": cells,
        "trials": trials,
    }


def trials_of(request: Mapping[str, Any]) -> list[Trial]:
    """The trials of a request. Raises `PluginError` when a plug-in is not known here."""
    cells = [Trial.from_json(value).cell for value in request["cells"]]
    return [Trial(cells[place], repeat, seed) for place, repeat, seed in request["trials"]]


def work_off(
    request: Mapping[str, Any],
    checkpoints: Checkpoints | None = None,
    lessons: Lessons | None = None,
) -> Receipt:
    """Train a requested pack in this process and give its receipt; see `train`."""
    try:
        trials = trials_of(request)
    except Exception as error:
        return _failed(error)
    return train(trials, request["gpus"], checkpoints, lessons)


def train(
    trials: Sequence[Trial],
    gpus: float,
    checkpoints: Checkpoints | None = None,
    lessons: Lessons | None = None,
) -> Receipt:
    """Train trials in this process with one torch thread and give their receipt.

    One thread because the order of a reduction, and with it the last bits, follows the number of
    threads. Raises nothing but `KeyboardInterrupt`: even a plug-in's `sys.exit` is caught.

    What the trials teach stays in `lessons`; the receipt says under which names.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        at("pack.train.before")
        device = "cuda" if gpus and torch.cuda.is_available() else "cpu"
        results = run_pack(trials, device, checkpoints, lessons)
        at("pack.train.after")
    except LessonsMissing as error:
        reason = str(Reason.TEACHER_MISSING)
        return {**_lost(reason, str(error)), "missing": list(error.keys)}
    except (Exception, SystemExit) as error:
        return _failed(error)
    finally:
        torch.set_num_threads(threads)
    elapsed_s = time.perf_counter() - started
    steps: dict[tuple[int, ...], int] = {}
    return {
        "seconds": max(elapsed_s, sum(one.seconds for one in results)),  # as if never cut short
        "where": place(),
        "results": [
            [str(one.outcome), dict(one.measures), one.seconds, _packed(one.curves, steps)]
            for one in results
        ],
        "steps": [list(one) for one in steps],
        "lessons": lessons.names(one.key for one in results) if lessons else {},
    }


def fact_of(pack: Pack, receipt: Receipt) -> Finished | Lost:
    """The fact that a pack's receipt states."""
    if "results" not in receipt:
        missing = tuple(receipt.get("missing", ()))
        reason = Reason(receipt["reason"])
        return Lost(pack.id, reason, receipt["detail"], receipt["where"], missing)
    results = tuple(
        Result(trial.key, Outcome(outcome), measures, seconds, _unpacked(curves, receipt["steps"]))
        for trial, (outcome, measures, seconds, curves) in zip(
            pack.trials, receipt["results"], strict=True
        )
    )
    return Finished(
        pack.id, results, receipt["seconds"], receipt["where"], receipt.get("lessons", {})
    )


def _packed(curves: Curves, steps: dict[tuple[int, ...], int]) -> dict[str, list[float]]:
    """Curves as [place among `steps`, values …]: trials of a pack are logged at the same steps."""
    found = {}
    for name, curve in curves.items():
        own = tuple(step for step, _ in curve)
        found[name] = [steps.setdefault(own, len(steps)), *(value for _, value in curve)]
    return found


def _unpacked(
    curves: Mapping[str, Sequence[float]], steps: Sequence[Sequence[int]]
) -> dict[str, Curve]:
    return {
        name: tuple(zip(steps[int(place)], values, strict=True))
        for name, (place, *values) in curves.items()
    }


def keys_of(pack: Pack) -> tuple[str, ...]:
    """The keys of a pack's trials, for people; of those that are over in no time not all."""
    return tuple(trial.key for trial in pack.trials[:_KEYS_TOLD])


def place() -> str:
    """Where this process is: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _failed(error: BaseException) -> Receipt:
    return _lost(str(reason_of(error)), detail_of(error))


def _lost(reason: str, detail: str) -> Receipt:
    return {"reason": reason, "detail": detail, "where": place()}
