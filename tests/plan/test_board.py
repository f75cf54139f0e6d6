"""The board as a table of facts and commands, with no cluster and no sleep."""

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.domain.learner import Fit, Learner
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.board import Board
from orchestrator.plan.cost import CostModel
from orchestrator.plan.facts import (
    Added,
    Charge,
    Finished,
    Found,
    GiveUp,
    Lost,
    Pack,
    Reason,
    SlotsAre,
    Start,
)
from orchestrator.plan.packs import PackLimits


class Plain(Learner):
    kind: str = "plain-for-the-board"
    weight: float = 1.0

    def fit(self, problem: Any, streams: Any) -> Fit:
        raise AssertionError("the board trains nothing")

    def work(self, point: Point) -> float:
        return self.weight * point.n


class Nothing(Target):
    kind: str = "nothing-for-the-board"


def trials(count: int, learner: Learner | None = None, n: int = 8) -> tuple[Trial, ...]:
    cell = Cell(Nothing(), learner or Plain(), Point(d=4, n=n))
    return tuple(Trial(cell, repeat) for repeat in range(count))


def a_board(**changes: Any) -> Board:
    return Board(**{"slots": 1, "ahead": 0, **changes})


def started(commands: Sequence[object]) -> list[Pack]:
    return [command.pack for command in commands if isinstance(command, Start)]


def test_added_trials_start_as_one_pack_on_one_slot():
    (pack,) = started(a_board().handle(Added(trials(6))))
    assert pack.trials == trials(6)


def test_a_first_pack_is_a_small_probe():
    (pack,) = started(a_board().handle(Added(trials(40))))
    assert len(pack.trials) == PackLimits().first_trials


def test_trials_are_shared_evenly_over_slots():
    packs = started(a_board(slots=2).handle(Added(trials(8))))
    assert [len(pack.trials) for pack in packs] == [4, 4]


def test_no_more_packs_run_than_slots_and_those_ahead():
    board = a_board(slots=2, ahead=1)
    packs = started(board.handle(Added(trials(200))))
    assert len(packs) == 4
    assert len(board.running) == 4


def test_a_finished_pack_makes_room_for_the_next():
    board = a_board()
    (first,) = started(board.handle(Added(trials(20))))
    (second,) = started(board.handle(Finished(first.id, (), seconds=0.1)))
    assert second.trials == trials(20)[8:]
    assert board.handle(Finished(second.id, (), seconds=0.1)) == []
    assert board.is_idle


@pytest.mark.parametrize(
    "reason", [Reason.WORKER_DIED, Reason.OUT_OF_MEMORY, Reason.TIMED_OUT, Reason.RAISED]
)
def test_a_pack_of_several_that_fails_is_split_in_two_and_charged_nothing(reason):
    board = a_board()
    (pack,) = started(board.handle(Added(trials(5))))
    charge, start = board.handle(Lost(pack.id, reason))
    assert isinstance(charge, Charge)
    assert charge.charge == 0
    assert started([start])[0].trials == trials(5)[:2]
    (rest,) = started(board.handle(Finished(start.pack.id, (), seconds=0.1)))
    assert rest.trials == trials(5)[2:]


def test_a_trial_that_kills_its_worker_alone_becomes_a_gap_after_three_charges():
    board = a_board()
    commands = board.handle(Added(trials(1)))
    for _ in range(2):
        charge, start = board.handle(Lost(started(commands)[0].id, Reason.WORKER_DIED))
        assert charge.charge == 1
        commands = [start]
    charge, gap = board.handle(Lost(started(commands)[0].id, Reason.WORKER_DIED, "signal 9"))
    assert gap == GiveUp(trials(1)[0].key, ("worker died", "worker died", "worker died: signal 9"))
    assert board.is_idle


@pytest.mark.parametrize(("reason", "enough"), [(Reason.OUT_OF_MEMORY, 2), (Reason.RAISED, 1)])
def test_memory_takes_two_charges_and_an_error_of_the_plugin_one(reason, enough):
    board = a_board()
    commands = board.handle(Added(trials(1)))
    for _ in range(enough - 1):
        commands = board.handle(Lost(started(commands)[0].id, reason))
    last = board.handle(Lost(started(commands)[0].id, reason))
    assert isinstance(last[-1], GiveUp)


@pytest.mark.parametrize("reason", [Reason.NODE_LOST, Reason.INTERRUPTED])
def test_a_disruption_is_charged_to_nobody_however_often(reason):
    board = a_board()
    commands = board.handle(Added(trials(1)))
    for _ in range(10):
        commands = board.handle(Lost(started(commands)[0].id, reason))
        assert commands[0].charge == 0
    assert started(commands)[0].trials == trials(1)


def test_charges_of_an_earlier_driver_count():
    board = a_board()
    before = {trials(1)[0].key: ("worker died", "worker died")}
    (pack,) = started(board.handle(Added(trials(1), before)))
    commands = board.handle(Lost(pack.id, Reason.WORKER_DIED))
    assert commands[-1] == GiveUp(trials(1)[0].key, ("worker died",) * 3)


def test_trials_found_elsewhere_leave_their_pack():
    board = a_board()
    (pack,) = started(board.handle(Added(trials(3))))
    gone = frozenset(trial.key for trial in trials(3)[:2])
    assert board.handle(Found(pack.id, gone)) == []
    charge, _ = board.handle(Lost(pack.id, Reason.WORKER_DIED))
    assert charge.charge == 1, "one trial was left, so the charge is its own"


def test_a_pack_found_whole_makes_room():
    board = a_board()
    (pack,) = started(board.handle(Added(trials(10))))
    (after,) = started(board.handle(Found(pack.id, frozenset(t.key for t in pack.trials))))
    assert after.trials == trials(10)[8:]


def test_the_arm_with_less_work_in_flight_goes_next():
    board = a_board(slots=2)
    heavy, light = Plain(weight=100.0), Plain(weight=1.0)
    board.handle(Added(trials(100, heavy)))
    board.handle(Added(trials(100, light)))
    one, other = board.running
    commands = board.handle(Finished(one.id, (), seconds=1.0))
    assert started(commands)[0].trials[0].cell.learner == light
    assert other.trials[0].cell.learner == heavy


def test_more_slots_start_more_packs():
    board = a_board()
    board.handle(Added(trials(40)))
    assert len(started(board.handle(SlotsAre(3)))) == 2


def test_facts_about_unknown_packs_do_nothing():
    board = a_board()
    assert board.handle(Finished("pack-99", (), seconds=1.0)) == []
    assert board.handle(Lost("pack-99", Reason.WORKER_DIED)) == []


def test_after_the_last_start_nothing_starts():
    board = a_board()
    (pack,) = started(board.handle(Added(trials(30))))
    board.start_no_more()
    assert started(board.handle(Lost(pack.id, Reason.WORKER_DIED))) == []
    assert board.running == ()


def test_predicted_seconds_follow_measured_packs():
    cost = CostModel()
    learner = Plain(weight=1e6)
    cost.learn(trials(4, learner, n=10), seconds=2.0)
    assert cost.seconds(trials(1, learner, n=30)[0].cell) == pytest.approx(1.5)


def test_packs_keep_within_their_seconds_and_bytes():
    learner = Plain(weight=1e6)
    cost = CostModel()
    cost.learn(trials(4, learner, n=10), seconds=4.0)  # one second each
    board = a_board(cost=cost, limits=PackLimits(seconds=3.0))
    (pack,) = started(board.handle(Added(trials(40, learner, n=10))))
    assert len(pack.trials) == 3
    board = a_board(limits=PackLimits(bytes=1.0))
    (pack,) = started(board.handle(Added(trials(40))))
    assert len(pack.trials) == 1


@pytest.mark.parametrize("reasons", [("worker died",) * 3, ("raised an error: no",)])
def test_a_trial_charged_enough_before_this_driver_becomes_a_gap_without_another_start(reasons):
    board = a_board()
    (gap,) = board.handle(Added(trials(1), {trials(1)[0].key: reasons}))
    assert gap == GiveUp(trials(1)[0].key, reasons)
    assert board.is_idle
