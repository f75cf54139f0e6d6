"""How packs and their results travel between processes: plain values, no pickled classes.

A receipt stays under 100 kB (Ray hands such a reply back inline, so it survives the loss of the
node that made it): a pack of 64 trials with ten measures makes one of about 30 kB.
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
    """Train a requested pack in this process and give its receipt. Raises nothing a pack raises.

    A plug-in's `sys.exit` is caught too; only the person's Ctrl-C passes through.
    """
    try:
        trials = [Trial.from_json(value) for value in request["trials"]]
        return train(trials, request["gpus"])
    except (Exception, SystemExit) as error:
        return _failed(error)


def train(trials: Sequence[Trial], gpus: float) -> Receipt:
    """Train trials in this process with one torch thread and give their receipt.

    One thread because the order of a reduction, and with it the last bits, follows the number of
    threads. Raises nothing but `KeyboardInterrupt`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        results = run_pack(trials, "cuda" if gpus and torch.cuda.is_available() else "cpu")
    except (Exception, SystemExit) as error:
        return _failed(error)
    finally:
        torch.set_num_threads(threads)
    return {
        "seconds": time.perf_counter() - started,
        "where": place(),
        "results": [
            [result.key, str(result.outcome), dict(result.measures), result.seconds]
            for result in results
        ],
    }


def fact_of(pack_id: str, receipt: Receipt) -> Finished | Lost:
    """The fact a receipt states."""
    if "results" not in receipt:
        return Lost(pack_id, Reason(receipt["reason"]), receipt["detail"], receipt["where"])
    results = tuple(
        Result(key, Outcome(outcome), measures, seconds)
        for key, outcome, measures, seconds in receipt["results"]
    )
    return Finished(pack_id, results, receipt["seconds"], receipt["where"])


def place() -> str:
    """This process in words: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _failed(error: BaseException) -> Receipt:
    return {"reason": str(reason_of(error)), "detail": detail_of(error), "where": place()}
