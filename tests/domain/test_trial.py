import json

import pytest
from pydantic import ValidationError

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.point import Point
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.trial import Result, Trial
from tests.builders import a_trial


def test_everything_that_shapes_a_result_changes_the_key(monkeypatch):
    ways = [
        a_trial(),
        a_trial(d=9),
        a_trial(n=13),
        a_trial(k=2),
        a_trial(repeat=1),
        a_trial(seed=1),
        a_trial(learner=LinearSeparator(steps=7)),
    ]
    keys = [trial.key for trial in ways]
    monkeypatch.setattr(RandomLabels, "revision", 2)
    keys.append(a_trial().key)
    assert len(set(keys)) == len(keys)


def test_keys_are_the_same_today_as_when_the_first_results_were_stored():
    """A changed key orphans every stored result: change this only with KEY_FORMAT."""
    trial = a_trial(d=10, n=20, k=1, repeat=3, seed=5)
    assert trial.cell.canonical == (
        '{"format":1,"learner":{"kind":"linear_separator","revision":1,"steps":200},'
        '"point":{"d":10,"k":1,"n":20},"target":{"kind":"random_labels","revision":1}}'
    )
    assert trial.key == "795ee1d6ea7547f96c4d80a228b2fe48"


def test_equal_trials_made_apart_have_one_key():
    assert a_trial(learner=LinearSeparator()).key == a_trial(target=RandomLabels()).key


def test_a_trial_comes_back_from_json_with_its_key():
    trial = a_trial(learner=LinearSeparator(steps=7), d=5, n=6, k=2, repeat=3, seed=4)
    again = Trial.from_json(json.loads(json.dumps(trial.as_json())))
    assert again == trial
    assert again.key == trial.key


@pytest.mark.parametrize("wrong", [{"d": 0}, {"n": 0}, {"k": 0}, {"d": 2.0}, {"d": "2"}, {"m": 1}])
def test_a_point_is_three_positive_integers_and_nothing_else(wrong):
    with pytest.raises(ValidationError):
        Point(**{"d": 3, "n": 4, "k": 1, **wrong})


def test_results_are_compared_without_the_time_they_took():
    result = Result("key", Outcome.FITTED, {"train_error": 0.5}, seconds=1.0)
    assert result.same_as(Result("key", Outcome.FITTED, {"train_error": 0.5}, seconds=2.0))
    assert not result.same_as(Result("key", Outcome.FITTED, {"train_error": 0.25}, seconds=1.0))
    assert not result.same_as(Result("key", Outcome.DIVERGED, {"train_error": 0.5}, seconds=1.0))
