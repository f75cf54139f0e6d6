"""Trials that learn from others, on the board: who waits for whom, who is taught again."""

from typing import Any, ClassVar

import pytest

from orchestrator.domain.learner import Fit, Learner
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.errors import PluginError
from orchestrator.plan.board import Board
from orchestrator.plan.facts import (
    Added,
    Charge,
    Finished,
    Found,
    GiveUp,
    Lost,
    Pack,
    Reason,
    Start,
    Teachers,
)


class Teaching(Learner):
    kind: str = "teaching-for-the-board"
    teaches: ClassVar[bool] = True

    def fit(self, problem: Any, streams: Any) -> Fit:
        raise AssertionError("the board trains nothing")

    def work(self, point: Point) -> float:
        return 1.0


class Learning(Teaching):
    kind: str = "learning-for-the-board"
    teaches: ClassVar[bool] = False

    def teacher(self, point: Point) -> tuple[Learner, Point]:
        return Teaching(), point.model_copy(update={"n": 100})


class Nothing(Target):
    kind: str = "nothing-for-the-classroom"


def students(count: int, n: int = 8) -> tuple[Trial, ...]:
    cell = Cell(Nothing(), Learning(), Point(d=4, n=n))
    return tuple(Trial(cell, repeat) for repeat in range(count))


def teachers_of(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    return tuple({one.teacher.key: one.teacher for one in trials}.values())


def keys(trials: tuple[Trial, ...]) -> frozenset[str]:
    return frozenset(trial.key for trial in trials)


def started(commands: list[Any]) -> list[Pack]:
    return [command.pack for command in commands if isinstance(command, Start)]


@pytest.fixture
def board() -> Board:
    return Board(slots=1, ahead=0)


def finish(board: Board, pack: Pack) -> list[Any]:
    return board.handle(Finished(pack.id, (), 1.0))


def finish_all(board: Board) -> set[Trial]:
    """Finish what runs until nothing is left; the trials, none of which is trained again."""
    trained: list[Trial] = []
    while board.running:
        assert not board.running[0].again
        trained.extend(board.running[0].trials)
        finish(board, board.running[0])
    assert board.is_idle
    assert len(set(trained)) == len(trained)
    return set(trained)


def taught(board: Board, trials: tuple[Trial, ...]) -> Pack:
    """The pack of those students, once their teachers have taught."""
    (first,) = started(board.handle(Added((*teachers_of(trials), *trials))))
    assert first.trials == teachers_of(trials)
    (second,) = started(finish(board, first))
    assert second.trials == trials
    return second


def test_students_at_every_n_share_one_teacher_of_their_repeat():
    (few,), (many,), (_, other) = students(1, 8), students(1, 80), students(2)
    assert few.teacher == many.teacher != other.teacher
    assert few.key != many.key


def test_students_start_when_their_teachers_have_finished(board: Board):
    taught(board, students(3))


def test_students_of_a_teacher_that_has_taught_before_start_at_once(board: Board):
    some = students(3)
    board.handle(Teachers(taught=keys(teachers_of(some))))
    (pack,) = started(board.handle(Added(some)))
    assert pack.trials == some


def test_students_that_come_after_their_teacher_has_finished_do_not_wait(board: Board):
    finish(board, taught(board, students(3)))
    (pack,) = started(board.handle(Added(students(3, n=9))))
    assert pack.trials == students(3, n=9)


def test_waiting_students_count_as_work_left(board: Board):
    some = students(3)
    (pack,) = started(board.handle(Added((*teachers_of(some), *some))))
    assert set(board.waiting()) == set(some)
    finish(board, pack)
    assert not board.is_idle


def test_a_teacher_that_another_sweep_settled_has_taught(board: Board):
    some = students(3)
    (pack,) = started(board.handle(Added((*teachers_of(some), *some))))
    (next_one,) = started(board.handle(Found(pack.id, keys(pack.trials))))
    assert next_one.trials == some


def test_a_missing_lesson_is_taught_again_and_charged_to_nobody(board: Board):
    some = students(3)
    pack = taught(board, some)
    lost = teachers_of(some)[1]
    commands = board.handle(Lost(pack.id, Reason.TEACHER_MISSING, missing=(lost.key,)))
    (charge,) = [one for one in commands if isinstance(one, Charge)]
    assert (charge.charge, set(charge.keys)) == (0, keys(some))
    first, *more = started(commands)
    assert first.trials == (lost,)
    assert first.again == {lost.key}, "it may be settled, and runs all the same"
    assert not more
    finish(board, first)
    assert finish_all(board) == set(some)


def lose_and_teach_again(board: Board, pack: Pack) -> Pack:
    """The pack's lessons are gone, and its teachers teach again; the next pack of the same."""
    missing = tuple(sorted(keys(teachers_of(pack.trials))))
    (again,) = started(board.handle(Lost(pack.id, Reason.TEACHER_MISSING, missing=missing)))
    assert keys(again.trials) == set(missing)
    (next_one,) = started(finish(board, again))
    return next_one


def test_students_whose_lesson_is_never_there_become_gaps_when_it_was_made_again_three_times(
    board: Board,
):
    pack = taught(board, students(1))
    for _ in range(3):
        pack = lose_and_teach_again(board, pack)
    (teacher,) = keys(teachers_of(pack.trials))
    missing = Lost(pack.id, Reason.TEACHER_MISSING, missing=(teacher,))
    charge, gap = board.handle(missing)
    assert isinstance(charge, Charge)
    assert charge.charge == 0
    assert gap == GiveUp(
        pack.trials[0].key, (f"lesson cannot be kept: of {teacher[:8]}, gone after 4 times",)
    )
    assert board.is_idle
    (late,) = board.handle(Added(students(1, n=9)))
    assert late.reasons == gap.reasons


def test_a_student_that_finishes_gives_its_teacher_three_more_times(board: Board):
    pack = taught(board, students(1))
    for n in (9, 10):
        for _ in range(3):
            pack = lose_and_teach_again(board, pack)
        finish(board, pack)
        (pack,) = started(board.handle(Added(students(1, n=n))))


def test_two_packs_that_miss_one_lesson_have_it_taught_once():
    board, some = Board(slots=1, ahead=1), students(3)
    board.handle(Teachers(taught=keys(teachers_of(some))))
    packs = [
        *started(board.handle(Added(some))),
        *started(board.handle(Added(students(3, n=9)))),
    ]
    missing = tuple(keys(teachers_of(some)))
    commands = [
        command
        for pack in packs
        for command in board.handle(Lost(pack.id, Reason.TEACHER_MISSING, missing=missing))
    ]
    (again,) = started(commands)
    assert again.again == keys(again.trials) == keys(teachers_of(some))
    finish(board, again)
    finish_all(board)


def test_students_of_a_teacher_that_becomes_a_gap_become_gaps_uncharged(board: Board):
    (one,) = students(1)
    (pack,) = started(board.handle(Added((*teachers_of((one,)), one))))
    charge, gap, of_student = board.handle(Lost(pack.id, Reason.RAISED, "ValueError: no"))
    assert charge == Charge(pack.id, keys_in_order(pack), "raised an error: ValueError: no", 1)
    assert gap == GiveUp(one.teacher.key, ("raised an error: ValueError: no",))
    words = f"teacher given up: {one.teacher.key[:8]}, raised an error: ValueError: no"
    assert of_student == GiveUp(one.key, (words,))
    assert board.is_idle
    (late,) = board.handle(Added(students(1, n=9)))
    assert late.reasons == (words,), "nor will there ever be a lesson for one that comes later"


def keys_in_order(pack: Pack) -> tuple[str, ...]:
    return tuple(trial.key for trial in pack.trials)


def test_students_of_a_teacher_that_was_given_up_before_become_gaps(board: Board):
    some = students(2)
    gaps = {one.key: ("timed out",) for one in teachers_of(some)}
    board.handle(Teachers(untaught=gaps))
    commands = board.handle(Added(some))
    assert [command.key for command in commands] == [one.key for one in some]
    assert board.is_idle


def test_a_worker_that_died_with_its_students_does_not_cost_them_their_teacher(board: Board):
    pack = taught(board, students(4))
    halves = started(board.handle(Lost(pack.id, Reason.WORKER_DIED)))
    assert {one for half in halves for one in half.trials} < set(students(4))
    assert not halves[0].again


class Misled(Learning):
    """Learns from whom it may not."""

    kind: str = "misled-for-the-board"
    by: str = "one that does not teach"

    def teacher(self, point: Point) -> tuple[Learner, Point]:
        match self.by:
            case "one that does not teach":
                return Learning(), point
            case "a student":
                return Middle(), point
            case _:
                return Teaching(), point.model_copy(update={"d": point.d + 1})


class Middle(Learning):
    kind: str = "middle-for-the-board"
    teaches: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("by", "fault"),
    [
        ("one that does not teach", "it keeps no lesson"),
        ("a student", "it has a teacher of its own"),
        ("one elsewhere", "d=5, k=2 are not the student's d=4, k=2"),
    ],
)
def test_who_cannot_teach_is_refused_in_words(board: Board, by: str, fault: str):
    trial = Trial(Cell(Nothing(), Misled(by=by), Point(d=4, n=8, k=2)), 0)
    with pytest.raises(PluginError, match=f"cannot teach .*: {fault}"):
        board.handle(Added((trial,)))
