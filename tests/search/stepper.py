"""A learner whose best step size depends on d, with known thresholds: what tuning is tested on."""

import math
from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, Learner, Outcome
from orchestrator.domain.target import Examples, Target
from orchestrator.engine import InlineExecutor
from orchestrator.ports import SweepRecord
from orchestrator.search import proposer_for
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Sweep
from orchestrator.tracking import Memory, MemoryTracker

SHARPNESS = 8.0


def need(d: int, step: float, bend: float = 1.0) -> float:
    """n_star = 4 d exp(bend log(step d)^2 / 2), least at step = 1 / d."""
    return 4 * d * math.exp(bend * math.log(step * d) ** 2 / 2)


class Blank(Target):
    kind: Literal["blank"] = "blank"
    test_count: ClassVar[int] = 0

    def draw(self, point, streams):
        return torch.zeros(len(streams), 1)

    def examples(self, concept, point, count, streams):
        return Examples(torch.zeros(len(streams), count, 1), torch.zeros(len(streams), count))


class Stepper(Learner):
    """Succeeds (margin above 0) with a logistic chance in log n, one half at `need`."""

    kind: Literal["stepper"] = "stepper"
    step: float = 1.0
    bend: float = 1.0
    predicts: ClassVar[bool] = False
    reports: ClassVar[tuple[str, ...]] = ("margin",)

    def fit(self, problem, streams):
        ratio = need(problem.point.d, self.step, self.bend) / problem.n
        chance = 1 / (1 + ratio**SHARPNESS)
        margin = chance - streams.uniforms(1)[:, 0]
        return Fit([Outcome.FITTED] * len(problem), {"margin": margin})

    def work(self, point):
        return float(point.n)


def a_spec(**changes):
    words = {
        "name": "steps",
        "target": {"kind": "blank"},
        "learner": {"kind": "stepper"},
        "axes": {"d": [10, 30], "n": {"low": "d", "high": "100*d"}},
        "success": {"measure": "margin", "above": 0.0},
        "search": {"kind": "threshold", "tolerance": 0.2},
        **changes,
    }
    return ExperimentSpec.from_words(words)


def answered(spec, memory=None, **more):
    """The store after the sweep was answered in process; raises what the loop raises."""
    memory = memory or Memory()
    tracker = MemoryTracker(memory)
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1.0))
    sweep = Sweep(
        spec,
        tracker=tracker,
        executor=InlineExecutor(),
        proposer=proposer_for(spec),
        **more,
    )
    try:
        sweep.answer()
    finally:
        tracker.close()
    return memory
