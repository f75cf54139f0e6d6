from orchestrator.domain.point import Point
from orchestrator.plan.reuse import Reusable, Stock

HERE = Point(d=10, n=20)


def test_trials_at_hand_are_free_up_to_the_first_that_is_not():
    stock = Stock([Reusable(0, HERE, (0, 1, 2, 5))])
    assert [stock.at_hand(0, HERE, first) for first in range(7)] == [3, 2, 1, 0, 0, 1, 0]
    assert stock.at_hand(1, HERE, 0) == stock.at_hand(0, Point(d=10, n=21), 0) == 0


def test_only_trials_that_are_not_at_hand_cost_anything():
    stock = Stock([Reusable(0, HERE, (0, 1, 2, 5))])
    assert stock.cost(0, HERE, 0, 3) == 0
    assert stock.cost(0, HERE, 1, 6) == 3
    assert stock.cost(1, HERE, 0, 4) == 4
    assert Stock().cost(0, HERE, 0, 4) == 4
