"""A sweep that never ran: trials drawn from known curves, laid where a search would lay them."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from orchestrator.answer import Answer, Heading, TrialRow, answer
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.spec import ExperimentSpec, loads

SPEC = """\
# Does a network that learns features need fewer examples than a kernel, and fewer still as the
# dimension grows?
format: 1
name: simulated
target: {{kind: sparse_parity}}
learner:
  - {{kind: two_layer, steps: 800}}
  - {{kind: kernel_ridge}}
axes:
  d: {ds}
  k: {ks}
  n: {{low: d, high: "400*d**2"}}
success: {{measure: test_accuracy, above: 0.95}}
search: {{kind: threshold, tolerance: 0.03, max_trials: {trials}}}
{tune}
"""
TUNE = """\
tune:
  learning_rate: [0.003, 0.01, 0.03]
  width: [32, 128]
"""
ROUND = 32
GAPS = 0.004
LOGGED = (0, 1, 2, 5, 10, 20, 50, 100, 200, 400, 800)
CURVES_OF = 0.3
"""Share of the network's trials that keep the curve of their learning."""


def simulated(
    trials: int = 100_000, dimensions: int = 6, *, tuned: bool = False, status: str = "finished"
) -> Answer:
    """The answer of such a sweep; equal arguments give equal answers. `dimensions` is the number of
    d, from 10 in steps of sqrt 2, each with k = 2 and 3.
    """
    ds = [round(10 * 2 ** (step / 2)) for step in range(dimensions)]
    source = SPEC.format(ds=ds, ks=[2, 3], trials=trials, tune=TUNE if tuned else "")
    spec = loads(source, ".yaml")
    stopped_by = "max_trials" if status == "finished" else None
    began = 1_760_000_000.0
    heading = Heading(
        sweep=spec.id,
        status=status,
        stopped_by=stopped_by,
        spec_source=source,
        started=began,
        ended=began + 4321.0 if status == "finished" else None,
    )
    return answer(spec, heading, list(_rows(spec, trials)))


def n_star(arm: int, d: int, k: int, tuned: Mapping[str, Any]) -> float:
    """The law of the simulated learners, and what a setting costs."""
    worse = 1.0
    for name, value in tuned.items():
        best = {"learning_rate": 0.01, "width": 128}[name]
        worse *= math.exp(0.35 * abs(math.log(value / best)))
    return worse * (2.2 * math.pow(d, 0.9) * k if arm == 0 else 0.6 * d**2 * math.pow(k - 1, 1.5))


def _rows(spec: ExperimentSpec, trials: int) -> Iterator[TrialRow]:
    rng = np.random.default_rng(7)
    places = [
        (arm.index, one, setting)
        for arm in spec.arms
        for one in spec.asked(arm)
        for setting in (spec.candidates(arm) if spec.tune else ({},))
    ]
    for index in range(trials):
        number, (arm, one, tuned) = index // ROUND, places[index % len(places)]
        centre = n_star(arm, one.d, one.k, tuned)
        # A search looks widely at first and ever nearer n_star; a share of trials stays wide.
        width = 1.6 / math.sqrt(1 + number / 4) if rng.random() < 0.9 else 1.6
        n = _on_ladder(centre * math.exp(rng.normal(0, width + 0.06)), one.low, one.high)
        success = bool(rng.random() < 1 / (1 + (centre / n) ** 8))
        gap = bool(rng.random() < GAPS)
        logs = arm == 0 and not gap and rng.random() < CURVES_OF
        yield TrialRow(
            key=hashlib.sha256(f"{arm} {one} {index}".encode()).hexdigest()[:32],
            arm=arm,
            round=number,
            point=Point(d=one.d, n=n, k=one.k),
            repeat=index,
            seed=0,
            outcome=None if gap else Outcome.FITTED,
            success=None if gap else success,
            measures={} if gap else {"test_accuracy": 0.99 if success else 0.6},
            seconds=0.4,
            attempt=3 if gap else 1,
            cached=False,
            reasons=("worker died: out of memory",) if gap else (),
            tuned=tuned,
            curves={"test_accuracy": _curve(rng, success)} if logs else {},
        )


def _on_ladder(n: float, low: int, high: int) -> int:
    """The nearest n that a search asks for: every integer to 32, then sixteen to an octave."""
    rung = n if n < 32 else 32 * 2 ** (round(16 * math.log2(n / 32)) / 16)
    return max(low, min(high, round(rung)))


def _curve(rng: np.random.Generator, success: bool) -> tuple[tuple[int, float], ...]:
    """Accuracy from chance to its end, with the late rise of parity."""
    end, rise = (0.99 if success else 0.6), 60 * math.exp(rng.normal(0, 0.4))
    return tuple(
        (step, 0.5 + (end - 0.5) / (1 + (rise / max(step, 0.1)) ** 2) + rng.normal(0, 0.01))
        for step in LOGGED
    )
