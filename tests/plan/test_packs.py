"""Which waiting trials make a pack."""

from typing import Any

from orchestrator.domain.learner import Learner
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.cost import CostModel
from orchestrator.plan.packs import PackLimits, Waiting


class Somewhere(Target):
    kind: str = "somewhere-for-packs"


class Unit(Learner):
    """One operation a trial; n rounded up to 16 says who may train together."""

    kind: str = "unit-for-packs"

    def work(self, point: Point) -> float:
        return 1.0


def trials(count: int, n: int = 10, d: int = 4, first: int = 0) -> list[Trial]:
    cell = Cell(Somewhere(), Unit(), Point(d=d, n=n))
    return [Trial(cell, first + repeat) for repeat in range(count)]


def measured(seconds: float) -> CostModel:
    cost = CostModel()
    cost.learn(trials(1), seconds)
    return cost


def packs(waiting: list[Trial], slots: int = 1, seconds: float = 0.5, **more: Any) -> list[Any]:
    """Sizes by n of every pack, with trials of that many seconds."""
    queue = Waiting()
    for trial in waiting:
        queue.add(trial)
    limits = PackLimits(**{"seconds": 1e9, **more})
    taken = []
    while queue:
        pack = queue.take(slots, measured(seconds), limits)
        taken.append([(trial.cell.point.d, trial.cell.point.n) for trial in pack])
    return taken


def test_trials_that_can_train_together_share_a_pack_whoever_stands_between_them():
    mixed = [*trials(2), *trials(4, d=5), *trials(2, n=16), *trials(4, d=5, first=4)]
    first, second, third = packs(mixed, slots=3)
    assert first == [(4, 10), (4, 10), (4, 16), (4, 16)]
    assert second == third == [(5, 10)] * 4


def test_no_trial_is_left_to_train_with_a_twin():
    assert [len(pack) for pack in packs(trials(9), slots=2)] == [5, 4]
    assert [len(pack) for pack in packs(trials(65))] == [65]


def test_trials_over_in_no_time_make_large_packs_and_are_not_split_over_slots():
    assert [len(pack) for pack in packs(trials(1200), seconds=1e-5)] == [512, 512, 176]
    assert [len(pack) for pack in packs(trials(40), slots=16, seconds=1e-3)] == [40]


def test_trials_that_take_their_time_make_packs_of_sixty_four():
    assert [len(pack) for pack in packs(trials(130))] == [64, 64, 2]


def test_each_trial_is_taken_once_in_the_order_of_its_company():
    queue, left = Waiting(), trials(20)
    for trial in left[:10]:
        queue.add(trial)
    taken = list(queue.take(1, measured(0.5), PackLimits(trials=6)))
    for trial in left[10:]:
        queue.add(trial)
    assert len(queue) == 20 - len(taken) == len(list(queue))
    while queue:
        taken += queue.take(1, measured(0.5), PackLimits(trials=6))
    assert taken == left
