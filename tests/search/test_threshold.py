import numpy as np
import pytest

from orchestrator.domain.point import Point
from orchestrator.plan.reuse import Reusable
from orchestrator.ports import ArmTally, Ask
from orchestrator.search import proposer_for
from tests.inference.looks import looked
from tests.search.experiments import a_spec

WIDE = {"d": [10, 30], "k": 2, "n": {"low": 2, "high": 5000, "spacing": "log"}}


def a_search(**more):
    return a_spec(**{"kind": "threshold", "axes": WIDE, **more})


def need(arm, d):
    """Planted n_star: 4 d for the first arm, three times that for the second."""
    return 4 * d * 3**arm


def answers(asks, sharpness=10, seed=0):
    """Tallies of asks under a logistic curve; luck follows from an ask's point and place."""
    tallies = {}
    for place, ask in enumerate(asks):
        p = ask.point
        chance = 1 / (1 + (need(ask.arm, p.d) / p.n) ** sharpness)
        luck = np.random.default_rng([seed, place, ask.arm, p.d, p.n]).random(ask.repeats)
        s, t = tallies.get((ask.arm, p), (0, 0))
        tallies[ask.arm, p] = s + int((luck < chance).sum()), t + ask.repeats
    return [ArmTally(arm, point, s, t) for (arm, point), (s, t) in tallies.items()]


def play(proposer, most=60, **curve):
    """Rounds as the loop asks for them, until two in a row are empty; and all tallies."""
    rounds = []
    while len(rounds) < most and (len(rounds) < 2 or rounds[-1] or rounds[-2]):
        settled = [ask for asks in rounds[:-1] for ask in asks]
        pending = rounds[-1] if rounds else []
        rounds.append(proposer.propose(len(rounds), answers(settled, **curve), pending))
    return rounds, answers([ask for asks in rounds for ask in asks], **curve)


@pytest.fixture(scope="module")
def finished():
    """A search played to its end, with the spec it answered."""
    spec = a_search(arms=2, tolerance=0.2)
    return spec, *play(proposer_for(spec))


def test_a_search_ends_when_every_threshold_is_settled_and_says_so(finished):
    spec, rounds, tallies = finished
    proposer = proposer_for(spec)
    assert rounds[-1] == [] == rounds[-2]
    assert proposer.stopped_by(tallies) == "tolerance"
    study = proposer._study(tallies, [])
    for found in proposer._sampler.thresholds(study):
        arm = int(found.context["arm"].removeprefix("arm "))
        assert found.n_star == pytest.approx(need(arm, found.context["d"]), rel=0.3)
        assert found.high - found.low <= 2 * 0.2 * found.n_star


def test_a_round_is_the_same_twice_in_another_object_and_in_any_order_of_tallies(finished):
    spec, rounds, _ = finished
    number = 4
    settled = [ask for asks in rounds[: number - 1] for ask in asks]
    tallies, pending = answers(settled), rounds[number - 1]
    used = proposer_for(spec)
    assert used.propose(number, tallies, pending) == rounds[number]
    assert used.propose(number, tallies, pending) == rounds[number]
    assert proposer_for(spec).propose(number, tallies[::-1], pending[::-1]) == rounds[number]


def test_rounds_keep_to_their_size_and_arms_share_them(finished):
    spec, rounds, _ = finished
    for asks in rounds:
        assert sum(ask.repeats for ask in asks) <= spec.search.round
    first = [sum(ask.repeats for ask in rounds[0] if ask.arm == arm) for arm in (0, 1)]
    assert first[0] == first[1] > 0


def test_every_ask_lies_on_an_asked_threshold_and_in_its_range(finished):
    spec, rounds, _ = finished
    for ask in (ask for asks in rounds for ask in asks):
        (asked,) = [a for a in spec.asked(spec.arms[ask.arm]) if a.d == ask.point.d]
        assert asked.k == ask.point.k
        assert asked.low <= ask.point.n <= asked.high
        assert not ask.tuned


def test_an_arm_that_is_settled_gives_its_share_away():
    spec = a_search(arms=2, tolerance=0.2)
    settled = [
        ArmTally(1, Point(d=d, n=int(need(1, d) * ratio), k=2), hits, 200)
        for d in (10, 30)
        for ratio, hits in ((0.8, 10), (1, 100), (1.25, 190))
    ]
    for asked in spec.asked(spec.arms[1]):
        looks = looked(asked, need(1, asked.d))
        settled += [ArmTally(1, Point(d=t.d, n=t.n, k=2), t.successes, t.trials) for t in looks]
    asks = proposer_for(spec).propose(5, settled, [])
    assert {ask.arm for ask in asks} == {0}
    alone = proposer_for(a_search(arms=1, tolerance=0.2)).propose(5, [], [])
    assert sum(a.repeats for a in asks) == sum(a.repeats for a in alone)


def test_max_trials_counts_answers_gaps_and_pending():
    spec = a_search(max_trials=100)
    proposer = proposer_for(spec)
    point = Point(d=10, n=40, k=2)
    tallies = [ArmTally(0, point, successes=20, trials=40, gaps=30)]
    pending = [Ask(0, point, repeats=27)]
    assert sum(ask.repeats for ask in proposer.propose(3, tallies, pending)) <= 3
    assert proposer.propose(3, tallies, [Ask(0, point, repeats=30)]) == []
    assert proposer.stopped_by(tallies) is None
    assert proposer.stopped_by([ArmTally(0, point, 20, 40, gaps=60)]) == "max_trials"


def test_a_search_with_max_trials_spends_them_and_no_more():
    spec = a_search(max_trials=60)
    _, tallies = play(proposer_for(spec))
    assert sum(tally.trials for tally in tallies) == 60
    assert proposer_for(spec).stopped_by(tallies) == "max_trials"


def test_trials_at_hand_are_asked_for_and_are_no_part_of_max_trials():
    """All repeats of two n around the first arm's thresholds, and 30 trials that may be trained."""
    stored = [Point(d=d, n=n, k=2) for d, n in ((10, 39), (10, 45), (30, 113), (30, 134))]
    reusable = [Reusable(0, point, tuple(range(500))) for point in stored]
    spec = a_search(max_trials=30, tolerance=0.1)
    rounds, tallies = play(proposer_for(spec, reusable))
    free = sum(tally.trials for tally in tallies if tally.point in stored)
    assert sum(tally.trials for tally in tallies) - free <= 30
    assert free > 30
    paid = [sum(a.repeats for a in asks if a.point not in stored) for asks in rounds]
    assert all(sum(a.repeats for a in asks) <= spec.search.round for asks in rounds)
    stopped_by = proposer_for(spec, reusable).stopped_by(tallies)
    assert stopped_by == ("max_trials" if sum(paid) == 30 else "tolerance") or sum(paid) == 30


def test_once_max_trials_are_spent_only_trials_at_hand_are_asked_for():
    point, far = Point(d=10, n=39, k=2), Point(d=30, n=5000, k=2)
    spec = a_search(max_trials=20)
    spent = [ArmTally(0, far, successes=20, trials=20)]
    assert proposer_for(spec).propose(2, spent, []) == []
    every = [Reusable(0, Point(d=10, n=n, k=2), (0, 1, 2)) for n in range(2, 5001)]
    asks = proposer_for(spec, every).propose(2, spent, [])
    assert asks
    assert all(ask.point.d == 10 and ask.repeats <= 3 for ask in asks)
    elsewhere = [Reusable(0, point, (3, 4))]  # not the repeats that would be asked next
    assert proposer_for(spec, elsewhere).propose(2, spent, []) == []


def test_contexts_that_nobody_asked_for_are_never_proposed():
    """d and k are walked together, so (10, 2) and (30, 1) are no thresholds of this file."""
    axes = {"points": [[10, 1], [30, 2]], "n": {"low": 2, "high": 500}}
    asks = proposer_for(a_search(axes=axes)).propose(0, [], [])
    tallies = answers(asks)
    more = proposer_for(a_search(axes=axes)).propose(2, tallies, [])
    assert {(ask.point.d, ask.point.k) for ask in (*asks, *more)} == {(10, 1), (30, 2)}


def test_proposing_leaves_optunas_logging_as_it_was(caplog):
    import logging

    logger = logging.getLogger("optuna.storages._in_memory")
    before = logger.level
    with caplog.at_level(logging.INFO, logger="optuna"):
        proposer_for(a_search()).propose(0, [], [])
    assert logger.level == before
    assert not caplog.records
