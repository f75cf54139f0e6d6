"""Packs of stand-in plug-ins, and collecting what an executor says of them."""

import itertools
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import load_file
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.facts import Finished, Lost, Pack

PLUGINS = [load_file(Path(__file__).with_name("standin_plugins.py"))]

_numbers = itertools.count()


def a_pack(count=3, deadline_s=120.0, n=20, **learner):
    """A pack of `count` trials whose learner behaves as told; every pack has its own id."""
    target = Target.from_settings({"kind": "slope"})
    patient = Learner.from_settings({"kind": "patient", **learner})
    cell = Cell(target, patient, Point(d=5, n=n))
    trials = tuple(Trial(cell, repeat) for repeat in range(count))
    attempts = {trial.key: 1 for trial in trials}
    return Pack(f"pack-{next(_numbers)}", trials, attempts, deadline_s)


def students_and_teachers(count=3, n=20, **lecturer):
    """A pack of trials that learn from others, and the pack of those."""
    students = a_pack(count, n=n, kind="listener", lecturer=lecturer)
    trials = tuple(trial.teacher for trial in students.trials)
    attempts = {trial.key: 1 for trial in trials}
    return students, replace(
        students, id=f"{students.id}/teachers", trials=trials, attempts=attempts
    )


def facts_of(executor, *packs, patience_s=240.0):
    """Every fact about those packs until each has one, by pack id; fails when time runs out."""
    found = {pack.id: [] for pack in packs}
    until = time.monotonic() + patience_s
    while not all(found.values()):
        assert time.monotonic() < until, f"unanswered: {[i for i, f in found.items() if not f]}"
        for fact in executor.wait(1.0):
            if isinstance(fact, Finished | Lost) and fact.pack_id in found:
                found[fact.pack_id].append(fact)
    return found


def fact_of(executor, pack):
    """The one fact about a pack that has been started; facts of others are passed over."""
    (fact,) = facts_of(executor, pack)[pack.id]
    return fact
