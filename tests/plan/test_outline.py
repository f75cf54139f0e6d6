"""What `plan` says of trials that learn from others."""

import pytest

from orchestrator.domain.point import Point
from orchestrator.plan.cost import FIRST_GUESS_S
from orchestrator.plan.outline import outline
from orchestrator.spec import ExperimentSpec


def a_spec(**changes: object) -> ExperimentSpec:
    words = {
        "name": "taught",
        "target": {"kind": "sparse_parity"},
        "learner": [
            {"kind": "distilled_student", "method": ["one_shot", "progressive"]},
            {"kind": "two_layer"},
        ],
        "axes": {"d": [8, 10], "k": 2, "n": [32, 64, 128]},
        "success": {"measure": "test_accuracy", "above": 0.9},
        "search": {"kind": "grid"},
        "repeats": 5,
        **changes,
    }
    return ExperimentSpec.from_words(words)


def test_teachers_are_counted_once_per_d_and_repeat_and_are_part_of_the_total():
    spec = a_spec()
    plan = outline(spec, slots=2)
    assert plan.trials == 3 * 2 * 3 * 5
    assert plan.teachers.trials == 2 * 5
    student = spec.arms[0].learner
    teachers = [student.teacher(Point(d=d, n=32, k=2)) for d in (8, 10)]
    works = [learner.work(point) for learner, point in teachers]
    assert plan.teachers.seconds == pytest.approx(FIRST_GUESS_S * 5 * sum(works))
    students = plan.trials * sum(arm.seconds for arm in plan.arms) / len(plan.arms)
    assert plan.seconds == pytest.approx((students + plan.teachers.seconds) / 2)


def test_without_students_there_are_no_teachers():
    assert outline(a_spec(learner={"kind": "two_layer"}), slots=2).teachers is None
