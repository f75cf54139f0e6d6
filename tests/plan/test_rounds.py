"""Rounds and expansion: what each round asked, and what has come of it."""

from typing import Any

from orchestrator.domain.learner import Learner
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Trial
from orchestrator.plan.asks import ArmTally, Ask
from orchestrator.plan.expansion import Expansion, fields_of
from orchestrator.plan.rounds import Rounds


class Still(Learner):
    kind: str = "still-for-rounds"
    width: int = 8


class Empty(Target):
    kind: str = "empty-for-rounds"


def an_ask(n: int = 4, repeats: int = 2, **more: Any) -> Ask:
    return Ask(arm=0, point=Point(d=3, n=n), repeats=repeats, **more)


def an_expansion() -> Expansion:
    return Expansion([(Empty(), Still())], seed=5)


def added(rounds: Rounds, expansion: Expansion, *asks: Ask) -> list[Trial]:
    trials = expansion.trials(asks)
    rounds.add(asks, trials)
    return [trial for _, trial in trials]


def test_a_point_asked_for_again_gets_the_next_repeats():
    expansion = an_expansion()
    first = expansion.trials([an_ask(repeats=2)])
    again = expansion.trials([an_ask(repeats=3), an_ask(n=9, repeats=1)])
    assert [trial.repeat for _, trial in first] == [0, 1]
    assert [trial.repeat for _, trial in again] == [2, 3, 4, 0]
    assert all(trial.seed == 5 for _, trial in first + again)


def test_tuned_fields_reach_the_learner_and_have_repeats_of_their_own():
    expansion = an_expansion()
    ((_, plain),) = expansion.trials([an_ask(repeats=1)])
    ((_, wide),) = expansion.trials([an_ask(repeats=1, tuned={"width": 64})])
    assert wide.repeat == 0
    assert wide.cell.learner == Still(width=64)
    assert plain.key != wide.key


def test_fields_of_the_target_are_set_too_and_read_back():
    ridge, parity = KernelRidge(), SparseParity()
    expansion = Expansion([(parity, ridge)], seed=5)
    fields = {"ridge": 0.5, "target.flip_rate": 0.25}
    ((_, trial),) = expansion.trials([an_ask(repeats=1, tuned=fields)])
    assert trial.cell.target == SparseParity(flip_rate=0.25)
    assert trial.cell.learner == KernelRidge(ridge=0.5)
    assert fields_of(trial.cell.target, trial.cell.learner, list(fields)) == fields


def test_the_next_round_waits_for_all_but_the_newest():
    rounds, expansion = Rounds(), an_expansion()
    assert rounds.may_propose
    first = added(rounds, expansion, an_ask())
    assert rounds.may_propose, "with one round in flight the next is computed"
    added(rounds, expansion, an_ask(n=8))
    assert not rounds.may_propose
    rounds.settle(first[0].key, success=True)
    assert not rounds.may_propose
    rounds.settle(first[1].key, success=None)
    assert rounds.may_propose
    assert rounds.before_last() == [ArmTally(0, Point(d=3, n=4), 1, 1, gaps=1)]


def test_answers_of_the_newest_round_are_counted_but_not_shown_to_the_proposer():
    rounds, expansion = Rounds(), an_expansion()
    first = added(rounds, expansion, an_ask(repeats=1))
    second = added(rounds, expansion, an_ask(repeats=1))
    rounds.settle(second[0].key, success=True)
    rounds.settle(first[0].key, success=False)
    assert rounds.before_last() == [ArmTally(0, Point(d=3, n=4), 0, 1)]
    assert rounds.so_far() == [ArmTally(0, Point(d=3, n=4), 1, 2)]


def test_settling_a_trial_twice_counts_once():
    rounds, expansion = Rounds(), an_expansion()
    (trial,) = added(rounds, expansion, an_ask(repeats=1))
    rounds.settle(trial.key, success=True)
    rounds.settle(trial.key, success=True)
    assert (rounds.answered, rounds.is_settled) == (1, True)


def test_two_empty_rounds_in_a_row_end_the_sweep():
    rounds, expansion = Rounds(), an_expansion()
    first = added(rounds, expansion, an_ask())
    added(rounds, expansion)
    assert not rounds.is_over, "the empty round was decided with another in flight"
    for trial in first:
        rounds.settle(trial.key, success=True)
    assert rounds.may_propose
    added(rounds, expansion)
    assert rounds.is_over
    assert not rounds.may_propose
