"""What `explain` says of trials that learn from others, and of those."""

import pytest

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.distilled_student import DistilledStudent
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Result
from orchestrator.plan.explain import (
    Attempt,
    Scene,
    Story,
    Whereabouts,
    explain_sweep,
    explain_trial,
    sweep_lines,
    trial_lines,
)
from tests.builders import a_trial

STUDENT = a_trial(SparseParity(), DistilledStudent(), d=30, n=4000, k=4)
TEACHER = STUDENT.teacher
NAME = "0" * 32 + ".npz"


def scene(status: str = "running") -> Scene:
    return Scene("a" * 16, status, 100.0, "phasefront resume aaaa")


def a_teacher(state: str, times: int = 0) -> Story:
    result = Result(TEACHER.key, Outcome.FITTED, {}) if state == "done" else None
    attempt = Attempt(TEACHER.key, 1, "b" * 16, 90.0, 95.0, "committed", 0, "gpu-03/41")
    history = [attempt] if state == "done" else []
    return Story(TEACHER, state, history, result, (), NAME if times else "", times)


@pytest.mark.parametrize(
    ("state", "words"), [("running", "which is trained now"), ("waiting", "which waits")]
)
def test_a_student_waits_for_its_teacher_by_name(state, words):
    story = Story(STUDENT, "waiting", teacher=a_teacher(state))
    found = explain_trial(scene(), story)
    assert found["why"] == f"waiting: for its teacher {TEACHER.key[:8]}, {words}"
    assert found["teacher"]["trial"] == TEACHER.key


def test_a_student_whose_teacher_has_taught_waits_for_a_slot():
    story = Story(STUDENT, "waiting", teacher=a_teacher("done", 1))
    lines = list(trial_lines(explain_trial(scene(), story)))
    assert "  waiting: for a free slot" in lines
    assert any(line.startswith(f"  learns from {TEACHER.key}: done: ") for line in lines)


def test_a_student_waits_for_a_teacher_whose_lesson_is_made_again():
    pack = Whereabouts("pack-7", (TEACHER.key,), "gpu-03/41")
    now = Scene("a" * 16, "running", 100.0, "", packs=[pack], noted=99.0)
    found = explain_trial(now, Story(STUDENT, "waiting", teacher=a_teacher("done", 1)))
    assert found["why"] == f"waiting: for its teacher {TEACHER.key[:8]}, which is trained again now"


def test_a_teacher_says_where_its_lesson_is_and_how_often_it_was_made():
    lines = list(trial_lines(explain_trial(scene(), a_teacher("done", 2))))
    assert f"  what it taught is in {NAME}, made 2 times" in lines


def test_a_sweep_counts_its_teachers_apart_from_its_trials():
    teachers = [a_teacher("done", 2), a_teacher("done", 1), a_teacher("running")]
    found = explain_sweep(scene(), ["waiting"], 1, [], teachers)
    assert found["trials"]["waiting"] == 1
    assert found["trials"]["done"] == 0
    line = "3 teachers of these trials: 2 done, 1 running; trained 3 times, 1 of them again"
    assert line in list(sweep_lines(found))
    assert explain_sweep(scene(), [], 1, [])["teachers"] is None
