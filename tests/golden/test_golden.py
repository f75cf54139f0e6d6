"""What must stay put stays put: keys, ids, explanations. `make golden` rewrites; review a diff."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.plugin import scan
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.plan.explain import (
    Attempt,
    Scene,
    Story,
    Whereabouts,
    cell_lines,
    explain_cell,
    explain_sweep,
    explain_trial,
    sweep_lines,
    trial_lines,
)
from orchestrator.spec import load

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def holds(name: str, found: str) -> None:
    """Compare with the file, or write it when PHASEFRONT_GOLDEN says so."""
    path = HERE / name
    if os.environ.get("PHASEFRONT_GOLDEN") == "write":
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def built_in(root: type[Target] | type[Learner]) -> list[str]:
    scan()
    return sorted(
        kind
        for kind, one in root.kinds.items()
        if one.__module__.startswith("orchestrator.domain.")
    )


def a_trial(target: str, learner: str) -> Trial:
    cell = Cell(
        Target.from_settings({"kind": target}),
        Learner.from_settings({"kind": learner}),
        Point(d=16, n=40, k=2),
    )
    return Trial(cell, repeat=3, seed=7)


def test_keys_of_trials_with_default_settings():
    """A changed key means that every stored result is computed again: raise a revision instead.

    Every target with one learner and every learner with one target: a key hashes both side by side.
    """
    pairs = [
        *((target, "least_squares") for target in built_in(Target)),
        *(("linear", learner) for learner in built_in(Learner)),
    ]
    keys = {f"{target} · {learner}": a_trial(target, learner).key for target, learner in pairs}
    holds("keys.json", json.dumps(keys, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_experiments_as_understood(path: Path):
    spec = load(path)
    asked = [
        {"arm": arm.label, "d": one.d, "k": one.k, "n": [one.low, one.high]}
        for arm in spec.arms
        for one in spec.asked(arm)
    ]
    found = {"id": spec.id, "asked": asked, "spec": json.loads(spec.canonical)}
    holds(f"{path.stem}.json", json.dumps(found, indent=1) + "\n")


def test_explanations_of_a_sweep_of_a_cell_and_of_trials():
    trial = a_trial("sparse_parity", "kernel_ridge")
    result = Result(trial.key, Outcome.FITTED, {"test_error": 0.25, "test_accuracy": 0.75})
    packs = [
        Whereabouts("pack-7", (trial.key,), "gpu-03/41", 990.0, 1290.0, 1058.5),
        Whereabouts("pack-8", ("f" * 32,), "gpu-03/41", lease=1058.5),
        Whereabouts("pack-9", ("e" * 32,)),
    ]
    names = {"a" * 16: "parity", "b" * 16: "cover"}
    here = Scene("a" * 16, "running", 1000.0, "phasefront resume aaaa", None, 998.8, packs, names)
    ended = replace(here, status="finished", stopped_by="max_hours", noted=None, packs=())
    dead = replace(here, status="interrupted", noted=None, packs=())

    def an_attempt(number: int, started: float, ended: float | None, *rest: object) -> Attempt:
        reason, charge, where = rest or (None, 0, "")
        return Attempt(trial.key, number, "a" * 16, started, ended, reason, charge, where)  # type: ignore[arg-type]

    def lost(number: int, reason: str = "node lost", charge: int = 0) -> Attempt:
        return an_attempt(number, 900.0, 901.0, reason, charge, "gpu-03/40")

    won = an_attempt(1, 10.0, 12.5, "committed", 0, "gpu-03/40")
    raised = "raised an error: Traceback (most recent call last):\n  File …\nValueError: no"
    stories = [
        (here, Story(trial, "done", [won], result)),
        (here, Story(trial, "done", [replace(won, sweep="b" * 16)], result)),
        (here, Story(trial, "cached", [replace(won, sweep="b" * 16)], result)),
        (here, Story(trial, "running", [lost(1), an_attempt(2, 990.0, None)])),
        (replace(here, packs=()), Story(trial, "running", [an_attempt(1, 999.5, None)])),
        (here, Story(trial, "waiting")),
        (here, Story(trial, "waiting", [lost(1, "timed out: past its deadline of 300 s", 1)])),
        (dead, Story(trial, "waiting", [an_attempt(1, 990.0, None)])),
        (ended, Story(trial, "waiting")),
        (here, Story(trial, "gap", [lost(1, raised, 1)], reasons=(raised,))),
    ]
    states = ["done", "done", "cached", "running", "waiting", "gap"]
    losses = [("node lost", 3, 0), ("timed out: no pulse", 2, 1), ("timed out: late", 2, 2)]
    lines = list(sweep_lines(explain_sweep(here, states, 3, losses)))
    lines += ["", *cell_lines(explain_cell(here, [story for _, story in stories]))]
    for scene, story in stories:
        lines += ["", *trial_lines(explain_trial(scene, story))]
    holds("explain.txt", "\n".join(lines) + "\n")
