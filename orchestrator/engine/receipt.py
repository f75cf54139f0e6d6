"""How packs and their results travel between processes: plain values, no pickled classes.

A receipt stays under 100 kB: Ray hands such a reply back inline, so that it survives the loss of
the node that made it. Pickled, a trial with four measures takes about 60 bytes of it.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from orchestrator.domain.learner import Outcome
from orchestrator.domain.pack import run_pack
from orchestrator.domain.trial import Result, Trial
from orchestrator.engine.blame import detail_of, reason_of
from orchestrator.failpoints import at
from orchestrator.plan.facts import Finished, Lost, Pack, Reason

Receipt = dict[str, Any]


def request_of(pack: Pack) -> dict[str, Any]:
    """What a worker has to know of a pack, as plain values."""
    return {
        "id": pack.id,
        "gpus": pack.gpus,
        "trials": [trial.as_json() for trial in pack.trials],
    }


def work_off(request: Mapping[str, Any]) -> Receipt:
    """Train a requested pack in this process and give its receipt; see `train`."""
    try:
        trials = [Trial.from_json(value) for value in request["trials"]]
    except Exception as error:
        return _failed(error)
    return train(trials, request["gpus"])


def train(trials: Sequence[Trial], gpus: float) -> Receipt:
    """Train trials in this process with one torch thread and give their receipt.

    One thread because the order of a reduction, and with it the last bits, follows the number of
    threads. Raises nothing but `KeyboardInterrupt`: even a plug-in's `sys.exit` is caught.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        at("pack.train.before")
        results = run_pack(trials, "cuda" if gpus and torch.cuda.is_available() else "cpu")
        at("pack.train.after")
    except (Exception, SystemExit) as error:
        return _failed(error)
    finally:
        torch.set_num_threads(threads)
    return {
        "seconds": time.perf_counter() - started,
        "where": place(),
        "results": [(str(one.outcome), dict(one.measures), one.seconds) for one in results],
    }


def fact_of(pack: Pack, receipt: Receipt) -> Finished | Lost:
    """The fact that a pack's receipt states."""
    if "results" not in receipt:
        return Lost(pack.id, Reason(receipt["reason"]), receipt["detail"], receipt["where"])
    results = tuple(
        Result(trial.key, Outcome(outcome), measures, seconds)
        for trial, (outcome, measures, seconds) in zip(pack.trials, receipt["results"], strict=True)
    )
    return Finished(pack.id, results, receipt["seconds"], receipt["where"])


def place() -> str:
    """Where this process is: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _failed(error: BaseException) -> Receipt:
    return {"reason": str(reason_of(error)), "detail": detail_of(error), "where": place()}
