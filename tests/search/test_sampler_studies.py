"""What trials of every kind in a study mean to the sampler, and samplers that come and go."""

import copy
import math
import pickle

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.search.slot import KEY
from tests.search.sampled import DS, a_sampler, a_study, objective, outcome, points, suggested

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE = {"d": CategoricalDistribution(DS), "n": IntDistribution(5, 10_000, log=True)}


def priced_by_n(context, n):
    return float(n)


def read(study):
    return study.sampler._desk(study).read(study)


def test_a_study_resumed_from_its_storage_goes_on_as_if_never_interrupted(tmp_path):
    """Four trials were running when it was interrupted, one between its context and n."""

    def first_half(study):
        study.optimize(objective, n_trials=8)
        for _ in range(3):
            suggested(study.ask())
        study.ask().suggest_categorical("d", DS)

    def second_half(study):
        return [suggested(study.ask()) for _ in range(4)]

    whole, split = a_study(), a_study(storage=f"sqlite:///{tmp_path / 's.db'}", study_name="s")
    first_half(whole)
    first_half(split)
    again = optuna.load_study(
        study_name="s", storage=f"sqlite:///{tmp_path / 's.db'}", sampler=a_sampler()
    )
    assert second_half(again) == second_half(whole)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copied_sampler_goes_on_as_the_first_would_have(copied):
    study, other = a_study(a_sampler(work=priced_by_n)), a_study(a_sampler(work=priced_by_n))
    for one in (study, other):
        one.optimize(objective, n_trials=6)
        suggested(one.ask())
    other.sampler = copied(study.sampler)
    assert [suggested(study.ask()) for _ in range(3)] == [suggested(other.ask()) for _ in range(3)]
    assert other.sampler.thresholds(other) == study.sampler.thresholds(study)


def test_one_sampler_serves_studies_that_take_turns():
    """The second is another learner, which needs ten times as much."""

    def needs_more(trial):
        d, n = suggested(trial)
        return float(n > 20 * d)

    shared = a_sampler()
    together = [a_study(shared), a_study(shared)]
    for _ in range(8):
        for study, learner in zip(together, (objective, needs_more), strict=True):
            study.optimize(learner, n_trials=1)
    for study, learner in zip(together, (objective, needs_more), strict=True):
        alone = a_study()
        alone.optimize(learner, n_trials=8)
        assert points(study) == points(alone)


def test_finished_trials_that_are_added_count_as_if_they_had_run_here():
    study, copy_of = a_study(), a_study()
    study.optimize(objective, n_trials=8)
    copy_of.add_trials(study.trials)
    assert suggested(copy_of.ask()) == suggested(study.ask())
    assert copy_of.sampler.thresholds(copy_of) == study.sampler.thresholds(study)


def test_trials_that_finish_out_of_order_leave_the_same_history():
    """Read as they come in, or all at the end: the same thresholds are asked of the same counts."""
    study = a_study()
    trials = [study.ask() for _ in range(6)]
    for trial in trials:
        d = trial.suggest_categorical("d", DS)
        trial.suggest_int("n", d, 10_000 - trial.number, log=True)
    for trial in reversed(trials):
        study.tell(trial, outcome(trial))
        along = read(study)
    study.sampler = a_sampler()
    late = read(study)
    assert late.asked() == along.asked()
    assert list(late.asked()) == list(along.asked())


def test_a_finished_trial_is_read_once():
    """The second time it is not looked into: it has nothing left but its number."""

    class Number:
        def __init__(self, number):
            self.number = number

    study = a_study()
    study.optimize(objective, n_trials=5)
    reader = study.sampler._desk(study)._reader
    before = reader.read(study.trials)
    suggested(study.ask())
    after = reader.read([*(Number(number) for number in range(5)), study.trials[5]])
    assert after.finished == before.finished == 5
    assert after.asked() == before.asked()
    assert sum(after.pending().values()) == 1


def test_enqueued_points_are_pending_until_they_are_answered():
    study = a_study()
    study.enqueue_trial({"d": 20, "n": 33})
    assert read(study).pending() == {((20,), 33): 1}
    trial = study.ask()
    assert read(study).pending() == {((20,), 33): 1}, "it runs and has suggested nothing yet"
    assert suggested(trial) == (20, 33)
    study.tell(trial, 1.0)
    assert not read(study).pending()


def test_a_point_enqueued_in_part_is_completed():
    study = a_study()
    study.optimize(objective, n_trials=24)
    study.enqueue_trial({"d": 20})
    d, n = suggested(study.ask())
    assert d == 20
    assert 10 <= n <= 160, "near the crossing at 40, which is well known by now"
    study.enqueue_trial({"n": 33})
    d, n = suggested(study.ask())
    assert d in DS
    assert n == 33
    assert KEY not in study.trials[-1].system_attrs, "it is not where a design would have it"
    assert read(study).pending()[(d,), 33] == 1


def test_a_running_trial_may_stand_for_a_block():
    study = a_study()
    trial = study.ask()
    d, n = suggested(trial)
    trial.set_user_attr("repeats", 8)
    assert read(study).pending() == {((d,), n): 8}
    others = [suggested(study.ask()) for _ in range(3)]
    assert (d, n) not in others


def test_a_block_of_repeats_counts_as_many_outcomes():
    study = a_study()
    study.add_trial(
        create_trial(
            value=0.75,
            params={"d": 10, "n": 20},
            distributions=SPACE,
            user_attrs={"successes": 6, "trials": 8, "gaps": 1},
        )
    )
    found = study.sampler.thresholds(study)[0]
    assert (found.trials, found.gaps) == (8, 1)


def test_a_block_may_be_told_with_a_value_that_is_no_outcome():
    study = a_study()
    trial = study.ask()
    suggested(trial)
    trial.set_user_attr("successes", 6)
    trial.set_user_attr("trials", 8)
    study.tell(trial, 0.75)
    assert sum(t.trials for t in study.sampler.thresholds(study)) == 8


@pytest.mark.parametrize("end", ["fail", "prune"])
def test_failed_and_pruned_trials_are_gaps(end):
    def without_answer(trial):
        suggested(trial)
        if end == "prune":
            raise optuna.TrialPruned
        return math.nan

    study = a_study()
    study.optimize(without_answer, n_trials=3)
    found = study.sampler.thresholds(study)
    assert sum(t.gaps for t in found) == 3
    assert sum(t.trials for t in found) == 0
    assert {t.status for t in found} == {"undecided"}


def test_a_value_that_is_no_outcome_found_in_a_storage_is_a_gap():
    study = a_study()
    study.add_trial(create_trial(value=0.4, params={"d": 10, "n": 20}, distributions=SPACE))
    found = study.sampler.thresholds(study)[0]
    assert (found.trials, found.gaps) == (0, 1)


def test_a_trial_without_its_context_is_not_counted():
    study = a_study()
    study.add_trial(create_trial(value=1.0, params={"n": 20}, distributions={"n": SPACE["n"]}))
    assert study.sampler.thresholds(study) == []
    assert study.trials[0].state == TrialState.COMPLETE
