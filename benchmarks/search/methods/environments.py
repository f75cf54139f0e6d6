"""Peers that live in environments of their own, spoken to in JSON lines.

`NAME/requirements.txt` says what such an environment holds, `make bench-peers` makes it in
`NAME/.venv`, and the variable PHASEFRONT_BENCH_NAME may name a Python elsewhere. Its `worker.py`
reads one request a line on standard input and answers each with one line:

    {"do": "start", "cells": [[d, k, log low, log high], ...], "seed": 0, "variant": ""}  -> {}
    {"do": "ask"}                                          -> {"i": 3, "log_n": 6.2}
    {"do": "tell", "i": 3, "log_n": 6.2, "success": true}  -> {}
    {"do": "estimate"}                                     -> {"x": [...], "low": ..., "high": ...}
"""

import atexit
import json
import math
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.methods.readings import joint_fit, logistic_fits
from benchmarks.search.playing import Estimate
from benchmarks.search.problems import Trials

HERE = Path(__file__).parent.parent


def python_of(name: str) -> Path | None:
    """The Python of an environment, None where it has not been made."""
    own = os.environ.get(f"PHASEFRONT_BENCH_{name.upper()}")
    path = Path(own) if own else HERE / name / ".venv" / "bin" / "python"
    return path if path.exists() else None


@cache
def version_of(name: str) -> str | None:
    """The peer's version as installed, None where it is not."""
    python = python_of(name)
    if python is None:
        return None
    asked = f"import importlib.metadata as m; print({name!r}, m.version({name!r}))"
    done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


class _Worker:
    """A peer's process; it ends with ours."""

    def __init__(self, name: str) -> None:
        python = python_of(name)
        if python is None:
            raise RuntimeError(f"no environment for {name}; make it with: make bench-peers")
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(HERE / name / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.kill)

    def say(self, **request: Any) -> dict[str, Any]:
        """The answer to a request. Raises `RuntimeError` when the process has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a peer's worker died; it was asked {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@cache
def _worker(name: str) -> _Worker:
    return _Worker(name)


class Elsewhere:
    """A peer in its own environment; a session."""

    def __init__(self, trials: Trials, name: str, variant: str = "") -> None:
        self._trials, self._worker = trials, _worker(name)
        asked = trials.problem.asked
        cells = [[a.d, a.k, math.log(a.low), math.log(a.high)] for a in asked]
        seed = trials.problem.number
        self._worker.say(do="start", cells=cells, seed=seed, variant=variant)
        self._log_n = 0.0

    def ask(self) -> list[tuple[int, int]]:
        answer = self._worker.say(do="ask")
        i, self._log_n = int(answer["i"]), float(answer["log_n"])
        ask = self._trials.problem.asked[i]
        return [(i, min(max(round(math.exp(self._log_n)), ask.low), ask.high))]

    def tell(self, i: int, n: int, success: bool) -> None:
        """The peer is told the log n that it asked for; rounding to whole n is its noise."""
        self._worker.say(do="tell", i=i, log_n=self._log_n, success=success)

    def estimate(self) -> Estimate:
        answer = self._worker.say(do="estimate")
        x, low, high = (
            None if values is None else np.array(values, dtype=np.float64)
            for values in (answer["x"], answer.get("low"), answer.get("high"))
        )
        assert x is not None
        readings = {"fit": logistic_fits(self._trials), "joint": joint_fit(self._trials)}
        return Estimate(x, low, high, readings=readings)


def questplus(trials: Trials) -> Elsewhere:
    return Elsewhere(trials, "questplus")


def aepsych_eavc(trials: Trials) -> Elsewhere:
    return Elsewhere(trials, "aepsych", "EAVC")


def aepsych_mi(trials: Trials) -> Elsewhere:
    return Elsewhere(trials, "aepsych", "GlobalMI")
