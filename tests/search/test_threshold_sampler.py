import doctest
import math
import pickle
import random
import threading
import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.inference.ladder import rungs
from orchestrator.search import ThresholdSampler, space, threshold_sampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
DS = [10, 20, 40]


def success(d, n, luck, sharpness=8):
    """1 with probability one half at n = 2 d."""
    return float(luck < 1 / (1 + (2 * d / n) ** sharpness))


def an_objective(seed=0):
    def objective(trial):
        d = trial.suggest_categorical("d", DS)
        n = trial.suggest_int("n", 5, 10_000, log=True)
        luck = np.random.default_rng([seed, trial.number]).random()
        return success(d, n, luck)

    return objective


def a_sampler(**more):
    return ThresholdSampler(**{"n": "n", "context": ["d"], "seed": 0, **more})


def a_study(sampler=None, **more):
    return optuna.create_study(sampler=sampler or a_sampler(), **more)


def priced_by_n(context, n):
    return float(n)


def points(study):
    return [(trial.params["d"], trial.params["n"]) for trial in study.trials]


def test_the_example_of_the_docstring_runs():
    outcome = doctest.run_docstring_examples, threshold_sampler.ThresholdSampler
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    tests = finder.find(outcome[1], "ThresholdSampler", globs={})
    for one in tests:
        runner.run(one)
    assert runner.tries > 5
    assert runner.failures == 0


def test_forty_outcomes_find_three_thresholds_to_a_fifth():
    study = a_study()
    study.optimize(an_objective(), n_trials=40)
    found = study.sampler.thresholds(study)
    assert [t.context for t in found] == [{"d": d} for d in DS]
    for t in found:
        assert t.n_star == pytest.approx(2 * t.context["d"], rel=0.2)
        assert t.low < t.n_star < t.high
    assert sum(t.trials for t in found) == 40


def test_a_seeded_study_is_reproducible_and_reads_no_global_generator():
    first, second = a_study(), a_study()
    first.optimize(an_objective(), n_trials=8)
    np.random.seed(99)  # noqa: NPY002  the global generator is what must not matter
    random.seed(99)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    second.optimize(an_objective(), n_trials=8)
    assert points(first) == points(second)
    assert (before[0] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert before[1] == random.getstate()


def test_another_sampler_of_equal_seed_goes_on_as_the_first_would_have():
    whole, split = a_study(), a_study()
    whole.optimize(an_objective(), n_trials=8)
    split.optimize(an_objective(), n_trials=4)
    split.sampler = a_sampler()
    split.optimize(an_objective(), n_trials=4)
    assert points(whole) == points(split)


def test_a_sampler_can_be_pickled_between_trials():
    study = a_study(a_sampler(work=priced_by_n))
    study.optimize(an_objective(), n_trials=3)
    again = pickle.loads(pickle.dumps(study.sampler))
    assert again.thresholds(study) == study.sampler.thresholds(study)


def test_work_is_asked_for_by_context_and_n():
    asked = []
    sampler = a_sampler(work=lambda context, n: asked.append((context["d"], n)) or float(n))
    study = a_study(sampler)
    study.optimize(an_objective(), n_trials=4)
    assert {d for d, _ in asked} == set(DS)
    assert all(5 <= n <= 10_000 for _, n in asked)


def test_the_direction_plays_no_part():
    down, up = a_study(direction="minimize"), a_study(direction="maximize")
    for study in (down, up):
        study.optimize(an_objective(), n_trials=10)
    assert points(down) == points(up)


def test_trials_in_flight_spread_over_contexts_and_n():
    study = a_study()
    for _ in range(9):
        trial = study.ask()
        trial.suggest_categorical("d", DS)
        trial.suggest_int("n", 5, 10_000, log=True)
    assert all(trial.state == TrialState.RUNNING for trial in study.trials)
    assert {d for d, _ in points(study)} == set(DS)
    assert len(set(points(study))) == 9, "a constant suggestion would repeat itself"


def test_two_processes_that_ask_at_the_same_moment_take_different_points():
    """Both trials exist before either suggests anything, as with two processes on one storage."""
    study = a_study()
    study.optimize(an_objective(), n_trials=6)
    one, two = study.ask(), study.ask()
    other = optuna.load_study(
        study_name=study.study_name, storage=study._storage, sampler=a_sampler()
    )
    chosen = []
    for owner, trial in ((other, two), (study, one)):
        trial.study = owner
        d = trial.suggest_categorical("d", DS)
        chosen.append((d, trial.suggest_int("n", 5, 10_000, log=True)))
    assert chosen[0] != chosen[1]


def test_threads_share_a_study():
    study = a_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(an_objective(), n_trials=6, n_jobs=3)
    assert len(study.trials) == 6
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert threading.active_count() < 20


def test_ranges_may_differ_between_contexts_and_each_suggestion_keeps_to_its_own():
    def objective(trial):
        d = trial.suggest_categorical("d", DS)
        n = trial.suggest_int("n", d, 8 * d, log=True)
        return success(d, n, np.random.default_rng(trial.number).random())

    study = a_study()
    study.optimize(objective, n_trials=10)
    assert all(d <= n <= 8 * d for d, n in points(study))


def test_a_range_that_moves_between_calls_is_kept_to_and_asked_as_a_union():
    study = a_study()
    for low, high in ((5, 12), (50, 100), (10, 60)):
        trial = study.ask()
        trial.suggest_categorical("d", [10])
        assert low <= trial.suggest_int("n", low, high) <= high
        study.tell(trial, 1.0)
    assert study.sampler._desk(study).read(study).asked() == {(10,): (5, 100)}


def test_n_suggested_before_its_context_is_drawn_from_the_ladder_with_a_warning():
    study = a_study()
    trial = study.ask()
    with pytest.warns(UserWarning, match="suggested before"):
        n = trial.suggest_int("n", 5, 10_000, log=True)
    assert n in rungs(5, 10_000)
    assert trial.suggest_categorical("d", DS) in DS
    study.tell(trial, 1.0)
    assert sum(t.trials for t in study.sampler.thresholds(study)) == 1


def test_a_value_that_is_neither_0_nor_1_is_refused_when_told():
    study = a_study()
    with pytest.raises(ValueError, match=r"trial 0 returned 0\.87"):
        study.optimize(lambda trial: an_objective()(trial) * 0 + 0.87, n_trials=3)
    assert [t.gaps for t in study.sampler.thresholds(study)].count(1) == 1


@pytest.mark.parametrize("end", ["fail", "prune"])
def test_failed_and_pruned_trials_are_gaps(end):
    def objective(trial):
        an_objective()(trial)
        if end == "prune":
            raise optuna.TrialPruned
        return math.nan

    study = a_study()
    study.optimize(objective, n_trials=3)
    found = study.sampler.thresholds(study)
    assert sum(t.gaps for t in found) == 3
    assert sum(t.trials for t in found) == 0
    assert {t.status for t in found} == {"undecided"}


def test_enqueued_points_are_pending_until_they_run():
    study = a_study()
    study.enqueue_trial({"d": 20, "n": 33})
    history = study.sampler._desk(study).read(study)
    assert history.pending() == {((20,), 33): 1}
    study.optimize(an_objective(), n_trials=1)
    assert points(study) == [(20, 33)]
    assert not study.sampler._desk(study).read(study).pending()


def test_a_block_of_repeats_counts_as_many_outcomes():
    study = a_study()
    study.add_trial(
        create_trial(
            value=0.75,
            params={"d": 10, "n": 20},
            distributions={
                "d": CategoricalDistribution(DS),
                "n": IntDistribution(5, 10_000, log=True),
            },
            user_attrs={"successes": 6, "trials": 8, "gaps": 1},
        )
    )
    found = study.sampler.thresholds(study)[0]
    assert (found.trials, found.gaps) == (8, 1)


def test_named_contexts_share_nothing_and_are_all_found():
    """One name needs a hundred times the other; sharing would drag them together."""
    needs = {"eager": 20, "lazy": 2000}

    def objective(trial):
        name = trial.suggest_categorical("learner", ["eager", "lazy"])
        n = trial.suggest_int("n", 5, 100_000, log=True)
        return success(needs[name] / 2, n, np.random.default_rng(trial.number).random(), 20)

    study = a_study(a_sampler(context=["learner"]))
    study.optimize(objective, n_trials=36)
    for t in study.sampler.thresholds(study):
        assert t.n_star == pytest.approx(needs[t.context["learner"]], rel=0.35)
        assert 16 <= t.trials <= 20


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(2, 6), (2, 3, 4, 5, 6)),
        (IntDistribution(10, 100, step=30), (10, 40, 70, 100)),
        (IntDistribution(1, 128, log=True), (1, 2, 4, 8, 16, 32, 64, 128)),
        (FloatDistribution(0.0, 1.0, step=0.5), (0.0, 0.5, 1.0)),
        (FloatDistribution(0.0, 7.0), (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)),
        (CategoricalDistribution(["a", None, 3]), ("a", None, 3)),
    ],
)
def test_context_ranges_are_asked_at_all_steps_or_at_eight_values(distribution, values):
    from orchestrator.search.space import levels

    assert levels(distribution) == pytest.approx(values) if values[0] != "a" else values


def test_float_and_stepped_ranges_work_for_context_and_n():
    def objective(trial):
        noise = trial.suggest_float("noise", 0.1, 0.5, step=0.2)
        n = trial.suggest_float("n", 5.0, 5000.0)
        return success(100 * noise, n, np.random.default_rng(trial.number).random())

    study = a_study(a_sampler(context=["noise"]))
    study.optimize(objective, n_trials=30)
    found = study.sampler.thresholds(study)
    assert [t.context["noise"] for t in found] == pytest.approx([0.1, 0.3, 0.5])
    for t in found:
        assert t.n_star == pytest.approx(200 * t.context["noise"], rel=0.3)


def test_a_categorical_n_takes_the_choice_nearest_to_what_is_wanted():
    sizes = [10, 30, 100, 300, 1000]
    study = a_study()
    for _ in range(8):
        trial = study.ask()
        d = trial.suggest_categorical("d", [50])
        n = trial.suggest_categorical("n", sizes)
        study.tell(trial, success(d, n, 0.5))
    found = study.sampler.thresholds(study)[0]
    assert 30 < found.n_star < 300
    assert {n for _, n in points(study)} <= set(sizes)


@pytest.mark.parametrize("choices", [["few", "many"], [0, 10]])
def test_an_n_that_is_no_amount_is_refused(choices):
    trial = a_study(a_sampler(context=[])).ask()
    with pytest.raises(ValueError, match="n counts examples"):
        trial.suggest_categorical("n", choices)


def test_context_values_that_would_be_taken_for_one_are_refused():
    """Rounding error is no difference: 0.1 + 0.2 is 0.3."""
    study = a_study(a_sampler(context=["noise"]))
    trial = study.ask()
    trial.suggest_categorical("noise", [0.5, 0.50000001])
    with pytest.raises(ValueError, match=r"0\.5 and 0\.50000001 are too close"):
        trial.suggest_int("n", 5, 50)
    close = space.coordinates([(0.5,), (0.5000015,)])
    assert len(set(close.values())) == 2
    one = space.coordinates([(0.1,), (0.3,), (0.1 + 0.2,)])
    assert one[(0.3,)] == one[(0.1 + 0.2,)] != one[(0.1,)]


def test_the_second_context_is_chosen_among_what_the_first_allows():
    def objective(trial):
        d = trial.suggest_categorical("d", [4, 8])
        k = trial.suggest_int("k", 1, d // 2)
        n = trial.suggest_int("n", 2, 1000, log=True)
        return success(d * k / 2, n, np.random.default_rng(trial.number).random())

    study = a_study(a_sampler(context=["d", "k"]))
    study.optimize(objective, n_trials=8)
    pairs = [tuple(t.context.values()) for t in study.sampler.thresholds(study)]
    assert pairs == [(4, 1), (4, 2), (8, 1), (8, 2), (8, 3), (8, 4)]


def test_no_context_at_all_is_one_threshold():
    study = a_study(a_sampler(context=[]))
    luck = np.random.default_rng(3).random(20)
    study.optimize(
        lambda t: success(40, t.suggest_int("n", 1, 9999, log=True), luck[t.number], 30),
        n_trials=20,
    )
    (found,) = study.sampler.thresholds(study)
    assert found.context == {}
    assert found.n_star == pytest.approx(80, rel=0.15)


def test_other_parameters_are_drawn_from_the_seed_and_the_trial():
    def suggested(seed):
        trial = a_study(a_sampler(seed=seed)).ask()
        return trial.suggest_float("lr", 0, 1), trial.suggest_categorical("d", DS)

    assert suggested(5) == suggested(5)
    assert suggested(5)[0] != suggested(6)[0]


def test_settled_thresholds_go_on_being_narrowed():
    study = a_study(a_sampler(context=[], tolerance=0.5))
    for _ in range(30):
        trial = study.ask()
        n = trial.suggest_int("n", 1, 1000, log=True)
        study.tell(trial, success(20, n, np.random.default_rng(trial.number).random()))
    assert study.sampler.is_settled(study)
    assert study.sampler.plan(study, 8) == []
    late = [trial.params["n"] for trial in study.trials[-8:]]
    assert all(20 <= n <= 80 for n in late), "near the crossing, and not at random"


def test_a_study_with_two_objectives_is_refused():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=a_sampler())
    with pytest.raises(ValueError, match="one objective"):
        study.ask().suggest_int("n", 1, 10)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"context": "d"}, r"write context=\['d'\]"),
        ({"context": ["n"]}, "each parameter once"),
        ({"level": 1.0}, "level is a probability"),
        ({"confidence": 95}, "confidence is a probability"),
    ],
)
def test_a_mistaken_constructor_says_what_would_be_right(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        a_sampler(**words)


def test_an_empty_study_has_no_thresholds():
    assert a_sampler().thresholds(a_study()) == []
