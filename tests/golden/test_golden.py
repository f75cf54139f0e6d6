"""What must stay put stays put: keys, ids, explanations. `make golden` rewrites; review a diff."""

import json
import os
from pathlib import Path

import pytest

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import scan
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.explain import Attempt, explain_sweep, explain_trial
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
    """A changed key means that every stored result is computed again: raise a revision instead."""
    keys = {
        f"{target} · {learner}": a_trial(target, learner).key
        for target in built_in(Target)
        for learner in built_in(Learner)
    }
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


def test_explanations_of_a_sweep_and_of_its_trials():
    trial = a_trial("sparse_parity", "kernel_ridge")

    def an_attempt(number: int, started: float, ended: float | None, *rest: object) -> Attempt:
        return Attempt(trial.key, number, "a sweep", started, ended, *rest)  # type: ignore[arg-type]

    lines = explain_sweep(["done", "done", "cached", "running", "waiting", "gap"], newest_round=2)
    histories = {
        "done": [an_attempt(1, 10.0, 12.5, "committed", 0, "slot-1")],
        "running": [
            an_attempt(1, 10.0, 11.0, "node lost", 0, "gpu-03"),
            an_attempt(2, 12.0, None, None, 0, "slot-2"),
        ],
        "waiting": [],
        "cached": [],
        "gap": [
            an_attempt(n, 10.0 * n, 10.0 * n + 1, "out of memory", 1, "slot-1") for n in (1, 2)
        ],
    }
    for state, history in histories.items():
        reasons = ("out of memory", "out of memory") if state == "gap" else ()
        lines.extend(["", *explain_trial(trial, state, "fitted", reasons, history)])
    holds("explain.txt", "\n".join(lines) + "\n")
