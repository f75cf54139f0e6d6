"""The table of sums mod p: what is shown, what judges, and how much of it there is."""

import itertools

import pytest
import torch

from orchestrator.domain.learners.recursive_feature_machine import RecursiveFeatureMachine
from orchestrator.domain.measures import reported
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.modular_addition import ModularAddition
from orchestrator.errors import SpecError
from orchestrator.spec import loads
from tests.builders import a_point

KEYS = [str(number) for number in range(3)]


def drawn(p: int, count: int, keys=KEYS, kept_back: float = 0.2):
    target, point, streams = ModularAddition(kept_back=kept_back), a_point(d=p), Streams(keys)
    concept = target.draw(point, streams.at("concept"))
    shown = target.examples(concept, point, count, streams.at("train"))
    return shown, target.held_out(concept, point, streams.at("test"))


def sums(x: torch.Tensor, y: torch.Tensor, p: int) -> list[tuple[int, int, int]]:
    """(a, b, class) of each row, read by eye from where the ones are."""
    rows = zip(x.tolist(), y.tolist(), strict=True)
    return [(one[:p].index(1.0), one[p:].index(1.0), c.index(1.0)) for one, c in rows]


@pytest.mark.parametrize("p", [2, 5, 6])
def test_every_entry_of_the_table_is_its_sum_and_is_shown_once_or_judges(p):
    shown, judging = drawn(p, ModularAddition().most_n(p, 1))
    table = sorted((a, b, (a + b) % p) for a, b in itertools.product(range(p), repeat=2))
    for trial in range(len(KEYS)):
        seen = sums(shown.x[trial], shown.y[trial], p) + sums(judging.x[trial], judging.y[trial], p)
        assert sorted(seen) == table


def test_an_input_has_two_ones_and_a_label_has_one():
    shown, _ = drawn(7, 20)
    assert shown.x.shape == (3, 20, 14)
    assert shown.y.shape == (3, 20, 7)
    assert set(shown.x.sum(2).flatten().tolist()) == {2.0}
    assert set(shown.y.sum(2).flatten().tolist()) == {1.0}


def test_a_row_beyond_those_that_may_be_shown_repeats_them_and_never_one_that_judges():
    shown, judging = drawn(3, 14)
    most = ModularAddition().most_n(3, 1)
    assert torch.equal(shown.x[:, most:], shown.x[:, : 14 - most])
    for trial in range(len(KEYS)):
        seen = set(sums(shown.x[trial], shown.y[trial], 3))
        assert seen.isdisjoint(sums(judging.x[trial], judging.y[trial], 3))


def test_trials_see_orders_of_their_own_and_the_same_alone():
    shown, _ = drawn(9, 30)
    alone, _ = drawn(9, 30, keys=KEYS[1:2])
    assert not torch.equal(shown.x[0], shown.x[1])
    assert torch.equal(alone.x[0], shown.x[1])


def test_every_entry_is_as_likely_to_judge():
    """Of 4,000 orders each of 25 entries judges in 800 +- 25; six deviations fail with 5e-8."""
    target, point = ModularAddition(), a_point(d=5)
    concept = target.draw(point, Streams([str(number) for number in range(4000)]))
    counts = torch.bincount(concept[:, -target.tested(5) :].flatten(), minlength=25)
    assert ((counts - 800).abs() < 6 * 25.3).all()


@pytest.mark.parametrize(("kept_back", "tested"), [(0.2, 10), (0.001, 1), (0.999, 48)])
def test_something_is_shown_and_something_judges(kept_back, tested):
    target = ModularAddition(kept_back=kept_back)
    assert target.tested(7) == tested
    assert target.most_n(7, 1) == 49 - tested


def test_a_table_of_one_entry_is_a_fault():
    assert "single sum" in ModularAddition().faults(1, 1)[0]
    assert ModularAddition().faults(2, 1) == []


def test_classes_are_judged_by_accuracy_alone():
    names = reported(ModularAddition(), RecursiveFeatureMachine())
    assert names == ("train_error", "test_error", "test_accuracy")


def a_file(high: str) -> str:
    return f"""# Which sums?
name: sums
target: {{kind: modular_addition}}
learner: {{kind: recursive_feature_machine}}
axes: {{d: [5, 7], n: {{low: d, high: "{high}"}}}}
success: {{measure: test_accuracy, above: 0.9}}
"""


def test_a_file_that_asks_for_more_entries_than_there_are_is_refused_in_words():
    assert loads(a_file("floor(0.8*d**2)")).arms
    with pytest.raises(SpecError, match=r"axes\.n: 25 at d = 5, k = 1, where modular_addition has"):
        loads(a_file("d**2"))
