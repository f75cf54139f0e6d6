"""Many trials at once: one thread that asks ahead, threads, processes."""

import random
import subprocess
import sys
import threading
import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.search import handout
from tests.search.sampled import DS, a_sampler, a_study, objective, outcome, points, success
from tests.search.sampled import suggested as suggested_to

optuna.logging.set_verbosity(optuna.logging.WARNING)


def wide(d):
    """A range of n of d's own; none holds another's."""
    return d, 20 * d


def answered(d, n, n_star):
    space = {"d": IntDistribution(10, 85, step=5), "n": IntDistribution(5, 10_000, log=True)}
    return create_trial(value=float(n > n_star), params={"d": d, "n": n}, distributions=space)


def test_sixteen_trials_asked_before_any_result_spread_over_contexts_and_n():
    study = a_study()
    asked = [suggested_to(study.ask()) for _ in range(16)]
    assert all(trial.state == TrialState.RUNNING for trial in study.trials)
    assert {d for d, _ in asked} == set(DS)
    assert len(set(asked)) >= 8, "a constant suggestion would repeat itself"
    for d in DS:
        tried = sorted(n for other, n in asked if other == d)
        assert tried[-1] > 4 * tried[0], f"d = {d}: nothing is known, so the whole range is tried"


def test_sixteen_trials_keep_to_ranges_that_depend_on_their_context():
    study = a_study()
    for _ in range(16):
        trial = study.ask()
        d = trial.suggest_categorical("d", DS)
        low, high = wide(d)
        assert low <= trial.suggest_int("n", low, high, log=True) <= high
    assert {d for d, _ in points(study)} == set(DS)
    assert len(set(points(study))) >= 8


def test_every_context_is_found_in_its_own_range():
    def objective(trial):
        d = trial.suggest_categorical("d", DS)
        n = trial.suggest_int("n", *wide(d), log=True)
        return success(d, n, np.random.default_rng(trial.number).random())

    study = a_study()
    study.optimize(objective, n_trials=30)
    for t in study.sampler.thresholds(study):
        assert t.n_star == pytest.approx(2 * t.context["d"], rel=0.35)


def test_sixteen_trials_in_flight_take_five_designs(monkeypatch):
    """Batches of 1, 1, 2, 4 and 8 trials. What is counted is the real thing."""
    batches = []
    real = handout.planning.plan_on

    def counted(groups, trials, goal):
        batches.append(trials)
        return real(groups, trials, goal)

    study = a_study()
    study.add_trials([answered(d, n, 2 * d) for d in range(10, 90, 5) for n in (d, 4 * d)])
    monkeypatch.setattr(handout.planning, "plan_on", counted)
    for _ in range(16):
        trial = study.ask()
        trial.suggest_int("d", 10, 85, step=5)
        trial.suggest_int("n", 5, 10_000, log=True)
    assert batches == [1, 1, 2, 4, 8]


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_suggested_follows_from_the_study_alone(seed):
    """One sampler all along, against a new one for every suggestion; asks and tells at random."""

    def play(renew):
        study, rng = a_study(), random.Random(seed)
        flying = []
        for _ in range(40):
            if flying and rng.random() < 0.4:
                trial = flying.pop(rng.randrange(len(flying)))
                study.tell(trial, outcome(trial))
                continue
            trial = study.ask()
            renew(study)
            trial.suggest_categorical("d", DS)
            if flying and rng.random() < 0.2:  # a result arrives between context and n
                other = flying.pop()
                study.tell(other, outcome(other))
            renew(study)
            trial.suggest_int("n", 5, 10_000, log=True)
            flying.append(trial)
        return points(study)

    def keep(study):
        pass

    def replace(study):
        study.sampler = a_sampler()

    kept = play(keep)
    assert play(replace) == kept
    assert len(set(kept)) > 10


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_processes_that_ask_at_the_same_moment_take_different_points(order):
    """All trials exist before any suggests anything, as with processes on one storage."""
    study = a_study()
    study.optimize(objective, n_trials=6)
    trials = [study.ask() for _ in order]
    chosen = set()
    for place in order:
        trials[place].study = optuna.load_study(
            study_name=study.study_name, storage=study._storage, sampler=a_sampler()
        )
        chosen.add(suggested_to(trials[place]))
    assert len(chosen) == len(order)


def test_a_trial_that_never_chooses_stops_nobody():
    study = a_study()
    study.ask()
    study.optimize(objective, n_trials=40)
    for t in study.sampler.thresholds(study):
        assert t.n_star == pytest.approx(2 * t.context["d"], rel=0.25)


def test_four_threads_share_a_study():
    study = a_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=16, n_jobs=4)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert sorted(trial.number for trial in study.trials) == list(range(16))
    assert sum(t.trials for t in study.sampler.thresholds(study)) == 16
    assert threading.active_count() < 20


PROCESS = """
import sys
import optuna
from tests.search.sampled import a_sampler, objective
study = optuna.load_study(study_name="shared", storage=sys.argv[1], sampler=a_sampler())
study.optimize(objective, n_trials=5)
"""


def test_two_processes_share_a_study_on_sqlite(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = a_study(storage=url, study_name="shared")
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, url]) for _ in range(2)]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert sorted(trial.number for trial in study.trials) == list(range(10))
    assert all(d in DS and 5 <= n <= 10_000 for d, n in points(study))
    assert sum(t.trials for t in study.sampler.thresholds(study)) == 10
