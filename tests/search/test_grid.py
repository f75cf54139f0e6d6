from collections import Counter

from orchestrator.ports import ArmTally
from orchestrator.search import proposer_for
from tests.search.experiments import a_spec, all_rounds


def points_of(spec):
    return {
        (arm.index, asked.d, n, asked.k)
        for arm in spec.arms
        for asked in spec.asked(arm)
        for n in spec.n_grid(arm, asked.d, asked.k)
    }


def places(asks):
    return [(ask.arm, ask.point.d, ask.point.n, ask.point.k) for ask in asks]


def test_every_point_of_every_arm_is_asked_once_with_the_repeats_of_the_file():
    spec = a_spec(arms=3, repeats=7)
    rounds = all_rounds(proposer_for(spec))
    asked = Counter(place for asks in rounds for place in places(asks))
    assert set(asked) == points_of(spec)
    assert set(asked.values()) == {1}
    assert {ask.repeats for asks in rounds for ask in asks} == {7}
    assert len(rounds) > 1, "several rounds, or the cuts between them are not tested"


def test_arms_advance_together():
    spec = a_spec(arms=4, repeats=20)
    first = proposer_for(spec).propose(0, [], [])
    counts = Counter(ask.arm for ask in first)
    assert set(counts) == {0, 1, 2, 3}
    assert max(counts.values()) == min(counts.values())
    assert [ask.arm for ask in first[:4]] == [0, 1, 2, 3]


def test_a_round_is_the_same_from_any_object_in_any_order_and_after_any_result():
    spec = a_spec(arms=2, repeats=90)
    used, fresh = proposer_for(spec), proposer_for(spec)
    backward = [used.propose(number, [], []) for number in (3, 2, 1, 0)]
    point = backward[0][0].point
    seen = [ArmTally(0, point, successes=1, trials=90)]
    assert backward[::-1] == [fresh.propose(number, seen, backward[0]) for number in range(4)]


def test_a_million_trials_are_asked_for_without_listing_them():
    """The n of two contexts are worked out for the first round, not those of all 400."""
    axes = {
        "d": {"low": 10, "high": 409, "count": 400},
        "k": 2,
        "n": {"low": 100, "high": 10_000, "count": 125},
    }
    spec = a_spec(axes=axes, repeats=20)
    visited = []
    grid = type(spec).n_grid
    try:
        type(spec).n_grid = lambda self, arm, d, k: visited.append(d) or grid(self, arm, d, k)
        asks = proposer_for(spec).propose(0, [], [])
    finally:
        type(spec).n_grid = grid
    assert sum(ask.repeats for ask in asks) >= 1000
    assert len(visited) <= 2


def test_max_trials_cuts_the_grid_and_is_named_as_the_reason():
    spec = a_spec(arms=2, repeats=7, max_trials=200)
    proposer = proposer_for(spec)
    trials = sum(ask.repeats for asks in all_rounds(proposer) for ask in asks)
    assert trials == 196, "28 whole points of 7 repeats"
    assert proposer.stopped_by([]) == "max_trials"


def test_a_completed_grid_names_no_reason():
    spec = a_spec()
    assert proposer_for(spec).stopped_by([]) is None
    whole = 2 * len(points_of(spec))
    assert proposer_for(a_spec(max_trials=whole)).stopped_by([]) is None
    assert proposer_for(a_spec(max_trials=whole - 1)).stopped_by([]) == "max_trials"
