import math
from collections import Counter

from orchestrator.search import proposer_for
from tests.search.experiments import a_spec, all_rounds

WIDE = {"d": [10, 20, 40, 80], "k": 2, "n": {"low": 10, "high": 100_000, "spacing": "log"}}


def asks_of(spec):
    return [ask for asks in all_rounds(proposer_for(spec)) for ask in asks]


def test_points_cover_contexts_and_log_n_evenly():
    """256 Sobol points: every context 64 times, and every quarter of log n 16 times in each; a
    rung at a quarter's edge may go either way."""
    asks = asks_of(a_spec(kind="sobol", axes=WIDE, repeats=1, max_trials=256))
    quarters = Counter()
    for ask in asks:
        share = math.log(ask.point.n / 10) / math.log(1e4)
        quarters[ask.point.d, min(3, int(4 * share))] += ask.repeats
    assert len(quarters) == 16
    assert all(abs(count - 16) <= 2 for count in quarters.values())


def test_every_n_is_a_rung_of_the_ladder_or_a_value_of_the_file():
    spec = a_spec(kind="sobol", axes=WIDE, repeats=3, max_trials=300)
    grid = set(spec.n_grid(spec.arms[0], 10, 2))
    assert {ask.point.n for ask in asks_of(spec)} <= grid
    listed = {"d": 10, "k": 2, "n": [11, 17, 130]}
    spec = a_spec(kind="sobol", axes=listed, repeats=1, max_trials=64)
    assert {ask.point.n for ask in asks_of(spec)} == {11, 17, 130}


def test_the_design_ends_with_the_last_whole_point_within_max_trials():
    spec = a_spec(kind="sobol", axes=WIDE, arms=3, repeats=7, max_trials=2000)
    asks = asks_of(spec)
    spent = Counter()
    for ask in asks:
        spent[ask.arm] += ask.repeats
    assert set(spent.values()) == {665}, "2000 // (3 arms * 7 repeats) points of 7 repeats"
    assert proposer_for(spec).stopped_by([]) is None


def test_without_max_trials_every_threshold_gets_sixteen_points():
    asks = asks_of(a_spec(kind="sobol", axes=WIDE, repeats=5))
    assert sum(ask.repeats for ask in asks) == 16 * 4 * 5


def test_a_point_is_asked_once_per_round_with_its_repeats_added_up():
    narrow = {"d": 10, "k": 2, "n": {"low": 10, "high": 13}}
    rounds = all_rounds(proposer_for(a_spec(kind="sobol", axes=narrow, repeats=2, max_trials=64)))
    for asks in rounds:
        assert len({(ask.arm, ask.point) for ask in asks}) == len(asks)
    assert sum(ask.repeats for asks in rounds for ask in asks) == 64


def test_arms_are_compared_at_equal_points():
    asks = asks_of(a_spec(kind="sobol", axes=WIDE, arms=2, repeats=2, max_trials=400))
    points = [Counter({a.point: a.repeats for a in asks if a.arm == arm}) for arm in (0, 1)]
    assert points[0] == points[1]


def test_a_round_depends_on_seed_and_number_alone():
    spec = a_spec(kind="sobol", axes=WIDE, repeats=1, max_trials=3000)
    used, fresh = proposer_for(spec), proposer_for(spec)
    backward = [used.propose(number, [], []) for number in (2, 1, 0)]
    assert backward[::-1] == [fresh.propose(number, [], backward[0]) for number in range(3)]
    other = proposer_for(a_spec(kind="sobol", axes=WIDE, repeats=1, max_trials=3000, seed=1))
    assert other.propose(0, [], []) != backward[-1]
