"""`run_pack` with learners made for the purpose; built-in ones are held to it in contracts/."""

from typing import ClassVar, Literal

import pytest
import torch

from orchestrator.domain.learner import Fit, Learner, LoopedLearner, Outcome
from orchestrator.domain.pack import run_pack
from orchestrator.domain.target import Target
from tests.builders import a_cell, a_trial, trials


@pytest.fixture(scope="module", autouse=True)
def _kinds_made_here_are_forgotten():
    yield
    for kinds in (Learner.kinds, Target.kinds):
        for kind in [kind for kind, found in kinds.items() if found.__module__ == __name__]:
            del kinds[kind]


class Witness(Learner):
    """Notes the companies it is given, and reports what it is told to."""

    kind: Literal["witness"] = "witness"
    reports: ClassVar[tuple[str, ...]] = ("n", "odd")
    predicts: ClassVar[bool] = False
    seen: ClassVar[list[list[int]]] = []

    def fit(self, problem, streams):
        self.seen.append(problem.n.tolist())
        n = problem.n.to(torch.float64)
        odd = torch.where(problem.n % 2 == 1, torch.nan, 1.0)
        return Fit(outcomes=[Outcome.FITTED] * len(n), measures={"n": n, "odd": odd})


class Averager(LoopedLearner):
    """The mean label, seen one trial at a time."""

    kind: Literal["averager"] = "averager"
    reports: ClassVar[tuple[str, ...]] = ("mean", "rows", "n")
    predicts: ClassVar[bool] = False

    def fit_one(self, examples, point, streams):
        measures = {
            "mean": examples.y.mean(),
            "rows": torch.tensor(float(len(examples.y))),
            "n": torch.tensor(float(point.n)),
        }
        return Fit(outcomes=[Outcome.FITTED], measures=measures)


class Raises(Learner):
    """Broken."""

    kind: Literal["raises"] = "raises"

    def fit(self, problem, streams):
        raise ValueError("a fault of the plug-in")


@pytest.fixture
def seen():
    Witness.seen.clear()
    return Witness.seen


def test_a_lone_trial_is_fitted_with_a_twin(seen):
    run_pack([a_trial(learner=Witness(), n=6)])
    assert seen == [[6, 6]]


def test_trials_are_fitted_together_when_their_shapes_are_equal(seen):
    run_pack([a_trial(learner=Witness(), n=n) for n in (3, 17, 16, 32)])
    assert sorted(seen) == [[3, 16], [17, 32]]


def test_trials_of_different_d_or_k_are_fitted_apart(seen):
    run_pack([a_trial(learner=Witness(), d=d, k=k, n=4) for d, k in ((5, 1), (6, 1), (5, 2))])
    assert seen == [[4, 4]] * 3


def test_results_keep_the_order_of_the_trials_whatever_the_grouping():
    pack = [a_trial(learner=Witness(), n=n) for n in (40, 2, 18, 4, 36)]
    results = run_pack(pack)
    assert [result.key for result in results] == [trial.key for trial in pack]
    assert [result.measures["n"] for result in results] == [40, 2, 18, 4, 36]


def test_a_measure_that_is_not_finite_is_left_out_and_the_trial_has_diverged():
    even, odd = run_pack([a_trial(learner=Witness(), n=n) for n in (4, 5)])
    assert (even.outcome, dict(even.measures)) == (Outcome.FITTED, {"n": 4.0, "odd": 1.0})
    assert (odd.outcome, dict(odd.measures)) == (Outcome.DIVERGED, {"n": 5.0})


def test_what_a_plugin_raises_passes_through():
    with pytest.raises(ValueError, match="a fault of the plug-in"):
        run_pack([a_trial(learner=Raises())])


def test_a_looped_learner_sees_each_trials_own_rows_and_n():
    results = run_pack([a_trial(learner=Averager(), n=n) for n in (3, 9, 14)])
    assert [result.measures["rows"] for result in results] == [3, 9, 14]
    assert [result.measures["n"] for result in results] == [3, 9, 14]


def test_time_is_shared_among_the_trials_of_a_pack():
    assert all(result.seconds > 0 for result in run_pack(trials(a_cell(), 3)))


def test_an_empty_pack_has_no_results():
    assert run_pack([]) == []
