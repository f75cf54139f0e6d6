import doctest
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest

from orchestrator import search
from orchestrator.inference.ladder import rungs
from orchestrator.search import threshold_sampler
from tests.search.sampled import DS, a_sampler, a_study, objective, points, success

optuna.logging.set_verbosity(optuna.logging.WARNING)


def priced_by_n(context, n):
    return float(n)


def test_the_example_of_the_docstring_runs():
    outcome = doctest.run_docstring_examples, threshold_sampler.ThresholdSampler
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    tests = finder.find(outcome[1], "ThresholdSampler", globs={})
    for one in tests:
        runner.run(one)
    assert runner.tries > 5
    assert runner.failures == 0


def test_the_page_on_the_sampler_shows_what_runs(capsys):
    """Every code block in its own study; the second needs a storage and is compiled only."""
    page = Path(search.__file__).with_name("README.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(first, names)
    found = names["sampler"].thresholds(names["study"])
    assert len(capsys.readouterr().out.splitlines()) == len(found) == 4
    for t in found:
        assert t.status == "found"
        assert t.n_star == pytest.approx(6.05 * (t.context["d"] - 1), rel=0.35)
    compile(second, "README.md", "exec")


def test_whoever_comes_for_the_sampler_does_not_wait_for_torch():
    program = "import sys, orchestrator.search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_forty_outcomes_find_three_thresholds_to_a_fifth():
    study = a_study()
    study.optimize(objective, n_trials=40)
    found = study.sampler.thresholds(study)
    assert [t.context for t in found] == [{"d": d} for d in DS]
    for t in found:
        assert t.n_star == pytest.approx(2 * t.context["d"], rel=0.2)
        assert t.low < t.n_star < t.high
    assert sum(t.trials for t in found) == 40


def test_a_seeded_study_is_reproducible_and_reads_no_global_generator():
    first, second = a_study(), a_study()
    first.optimize(objective, n_trials=8)
    np.random.seed(99)  # noqa: NPY002  the global generator is what must not matter
    random.seed(99)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    second.optimize(objective, n_trials=8)
    assert points(first) == points(second)
    assert (before[0] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert before[1] == random.getstate()


def test_work_is_asked_for_by_context_and_n():
    asked = []
    sampler = a_sampler(work=lambda context, n: asked.append((context["d"], n)) or float(n))
    study = a_study(sampler)
    study.optimize(objective, n_trials=4)
    assert {d for d, _ in asked} == set(DS)
    assert all(5 <= n <= 10_000 for _, n in asked)


def test_the_direction_plays_no_part():
    down, up = a_study(direction="minimize"), a_study(direction="maximize")
    for study in (down, up):
        study.optimize(objective, n_trials=10)
    assert points(down) == points(up)


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
        study.optimize(lambda trial: 0 * objective(trial) + 0.87, n_trials=3)
    assert [t.gaps for t in study.sampler.thresholds(study)].count(1) == 1


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


def test_contexts_are_suggested_in_any_order_with_others_between():
    """d and k are named in one order and suggested in the other."""

    def objective(trial):
        k = trial.suggest_int("k", 1, 3)
        trial.suggest_float("lr", 1e-3, 1.0, log=True)
        d = trial.suggest_categorical("d", [5, 10])
        n = trial.suggest_int("n", 2, 2000, log=True)
        return success(d * k / 2, n, np.random.default_rng(trial.number).random(), 12)

    study = a_study(a_sampler(context=["d", "k"]))
    study.optimize(objective, n_trials=40)
    found = study.sampler.thresholds(study)
    assert len(found) == 6
    for t in found:
        assert t.n_star == pytest.approx(t.context["d"] * t.context["k"], rel=0.5)
