from typing import get_args

import pytest

from orchestrator.domain.point import Point
from orchestrator.errors import RequestError
from orchestrator.ports import ArmTally
from orchestrator.search import proposer_for
from orchestrator.spec.parts import Sampler
from tests.search.experiments import a_spec, all_rounds

FIELDS = {
    "bandwidth": {"low": 0.1, "high": 10.0, "spacing": "log"},
    "degree": {"low": 1, "high": 9},
    "kernel": ["rbf", "laplace"],
}


def a_tuning(**more):
    axes = {"d": [10], "k": 2, "n": [50, 100]}
    words = {"axes": axes, "kind": "optuna", "fields": FIELDS, "round": 8, **more}
    return a_spec(**words)


def succeed_for_small_bandwidths(rounds):
    """The tallies of those rounds if exactly settings with bandwidth below 0.5 succeed."""
    return [
        ArmTally(
            ask.arm,
            ask.point,
            (ask.tuned["bandwidth"] < 0.5) * ask.repeats,
            ask.repeats,
            tuned=ask.tuned,
        )
        for asks in rounds
        for ask in asks
    ]


def play(proposer, rounds):
    """Rounds as the loop asks for them: results of all but the last, which is pending."""
    done = []
    for number in range(rounds):
        pending = done[-1] if done else []
        done.append(proposer.propose(number, succeed_for_small_bandwidths(done[:-1]), pending))
    return done


def test_points_take_turns_and_every_ask_sets_every_field():
    rounds = play(proposer_for(a_tuning()), 3)
    assert [[ask.point.n for ask in asks] for asks in rounds] == [[50, 50, 100, 100]] * 3
    for ask in (ask for asks in rounds for ask in asks):
        assert 0.1 <= ask.tuned["bandwidth"] <= 10
        assert ask.tuned["degree"] in range(1, 10)
        assert type(ask.tuned["degree"]) is int
        assert ask.tuned["kernel"] in ("rbf", "laplace")
        assert ask.repeats == 2


def test_settings_drift_to_where_success_is():
    """A fixed seed; random settings have a bandwidth below 0.5 in 35% of cases, so more than 28 of
    the last 40 come by chance with probability 1e-6."""
    rounds = play(proposer_for(a_tuning(sampler="TPESampler", max_trials=200)), 25)
    late = [ask.tuned["bandwidth"] < 0.5 for asks in rounds[15:] for ask in asks]
    assert len(late) == 40
    assert sum(late) > 28


def test_a_round_does_not_depend_on_the_order_of_tallies_or_on_earlier_questions():
    spec = a_tuning()
    used = proposer_for(spec)
    rounds = play(used, 6)
    tallies = succeed_for_small_bandwidths(rounds[:5])
    expected = used.propose(6, tallies, rounds[5])
    assert proposer_for(spec).propose(6, tallies[::-1], rounds[5]) == expected
    assert used.propose(6, tallies, rounds[5]) == expected


def test_pending_settings_and_gaps_are_seen_but_teach_nothing_false():
    spec = a_tuning()
    lost = [
        ArmTally(0, Point(d=10, n=50, k=2), 0, 0, gaps=2, tuned=ask.tuned)
        for ask in play(proposer_for(spec), 1)[0][:2]
    ]
    assert len(proposer_for(spec).propose(2, lost, [])) == 4


@pytest.mark.parametrize(("most", "settings"), [(None, 2 * 32), (50, 25)])
def test_it_ends_with_the_settings_it_may_try(most, settings):
    proposer = proposer_for(a_tuning(max_trials=most, sampler="RandomSampler"))
    assert sum(len(asks) for asks in all_rounds(proposer)) == settings
    assert proposer.stopped_by([]) == (None if most is None else "max_trials")


@pytest.mark.parametrize("name", ["TPSampler", "CmaEsSampler"])
def test_a_sampler_that_cannot_be_rebuilt_is_refused_before_anything_runs(name):
    with pytest.raises(RequestError, match=f"{name}.*did you mean 'TPESampler'"):
        a_tuning(sampler=name)


@pytest.mark.parametrize("name", get_args(Sampler))
def test_every_sampler_that_a_file_may_name_proposes_settings(name):
    proposer = proposer_for(a_tuning(sampler=name))
    assert len(play(proposer, 2)[1]) == 4
