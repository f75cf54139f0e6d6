"""Trials that learn from others, on the board: who waits for whom, who is taught again."""

from typing import Any, ClassVar

import pytest

from orchestrator.domain.learner import Fit, Learner
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
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


def pupils(count: int, n: int = 8) -> tuple[Trial, ...]:
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
    """The pack of those pupils, once their teachers have taught."""
    (first,) = started(board.handle(Added((*teachers_of(trials), *trials))))
    assert first.trials == teachers_of(trials)
    (second,) = started(finish(board, first))
    assert second.trials == trials
    return second


def test_pupils_at_every_n_share_one_teacher_of_their_repeat():
    (few,), (many,), (_, other) = pupils(1, 8), pupils(1, 80), pupils(2)
    assert few.teacher == many.teacher != other.teacher
    assert few.key != many.key


def test_pupils_start_when_their_teachers_have_finished(board: Board):
    taught(board, pupils(3))


def test_pupils_of_a_teacher_that_has_taught_before_start_at_once(board: Board):
    some = pupils(3)
    board.handle(Teachers(taught=keys(teachers_of(some))))
    (pack,) = started(board.handle(Added(some)))
    assert pack.trials == some


def test_pupils_that_come_after_their_teacher_has_finished_do_not_wait(board: Board):
    finish(board, taught(board, pupils(3)))
    (pack,) = started(board.handle(Added(pupils(3, n=9))))
    assert pack.trials == pupils(3, n=9)


def test_waiting_pupils_count_as_work_left(board: Board):
    some = pupils(3)
    (pack,) = started(board.handle(Added((*teachers_of(some), *some))))
    assert set(board.waiting()) == set(some)
    finish(board, pack)
    assert not board.is_idle


def test_a_teacher_that_another_sweep_settled_has_taught(board: Board):
    some = pupils(3)
    (pack,) = started(board.handle(Added((*teachers_of(some), *some))))
    (next_one,) = started(board.handle(Found(pack.id, keys(pack.trials))))
    assert next_one.trials == some


def test_a_missing_lesson_is_taught_again_and_charged_to_nobody(board: Board):
    some = pupils(3)
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


def test_two_packs_that_miss_one_lesson_have_it_taught_once():
    board, some = Board(slots=1, ahead=1), pupils(3)
    board.handle(Teachers(taught=keys(teachers_of(some))))
    packs = [
        *started(board.handle(Added(some))),
        *started(board.handle(Added(pupils(3, n=9)))),
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


def test_pupils_of_a_teacher_that_becomes_a_gap_become_gaps_uncharged(board: Board):
    (one,) = pupils(1)
    (pack,) = started(board.handle(Added((*teachers_of((one,)), one))))
    charge, gap, of_pupil = board.handle(Lost(pack.id, Reason.RAISED, "ValueError: no"))
    assert charge == Charge(pack.id, keys_in_order(pack), "raised an error: ValueError: no", 1)
    assert gap == GiveUp(one.teacher.key, ("raised an error: ValueError: no",))
    words = f"teacher given up: {one.teacher.key[:8]}, raised an error: ValueError: no"
    assert of_pupil == GiveUp(one.key, (words,))
    assert board.is_idle
    (late,) = board.handle(Added(pupils(1, n=9)))
    assert late.reasons == (words,), "nor will there ever be a lesson for one that comes later"


def keys_in_order(pack: Pack) -> tuple[str, ...]:
    return tuple(trial.key for trial in pack.trials)


def test_pupils_of_a_teacher_that_was_given_up_before_become_gaps(board: Board):
    some = pupils(2)
    gaps = {one.key: ("timed out",) for one in teachers_of(some)}
    board.handle(Teachers(untaught=gaps))
    commands = board.handle(Added(some))
    assert [command.key for command in commands] == [one.key for one in some]
    assert board.is_idle


def test_a_worker_that_died_with_its_pupils_does_not_cost_them_their_teacher(board: Board):
    pack = taught(board, pupils(4))
    halves = started(board.handle(Lost(pack.id, Reason.WORKER_DIED)))
    assert {one for half in halves for one in half.trials} < set(pupils(4))
    assert not halves[0].again
