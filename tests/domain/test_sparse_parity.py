import math

import pytest
import torch
from pydantic import ValidationError

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity

KEYS = ("one", "two", "three")


def drawn(target: SparseParity, d: int, k: int, count: int, keys=KEYS):
    point = Point(d=d, n=1, k=k)
    streams = Streams(keys)
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, count, streams.at("train"))


def products(concept: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Labels without noise, one row at a time."""
    rows = [
        [math.prod(row[i] for i in hidden) for row in one]
        for hidden, one in zip(concept.tolist(), x.tolist(), strict=True)
    ]
    return torch.tensor(rows, dtype=x.dtype)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_clean_label_is_the_product_of_the_hidden_coordinates(k):
    concept, examples = drawn(SparseParity(), d=9, k=k, count=40)
    assert torch.equal(examples.y, products(concept, examples.x))


def test_inputs_and_labels_are_signs_even_when_labels_flip():
    _, examples = drawn(SparseParity(flip_rate=0.3), d=6, k=2, count=50)
    assert torch.equal(examples.x.abs(), torch.ones(3, 50, 6, dtype=torch.float64))
    assert torch.equal(examples.y.abs(), torch.ones(3, 50, dtype=torch.float64))


def test_the_hidden_support_holds_k_distinct_coordinates():
    concept, _ = drawn(SparseParity(), d=7, k=7, count=1)
    assert concept.sort(1).values.tolist() == [list(range(7))] * 3


def test_what_is_estimated_of_a_parity_is_the_set_of_its_coordinates():
    concept, _ = drawn(SparseParity(), d=7, k=3, count=1)
    members = SparseParity().truth(concept, Point(d=7, n=1, k=3))
    assert [row.nonzero().flatten().tolist() for row in members] == concept.tolist()


def test_every_coordinate_is_hidden_equally_often():
    """Chi-square with 9 degrees of freedom above 45 has chance 9e-7."""
    keys = [str(number) for number in range(2000)]
    concept = SparseParity().draw(Point(d=10, n=1, k=3), Streams(keys))
    counts = torch.bincount(concept.flatten(), minlength=10).double()
    # Drawing without replacement shrinks the variance of a count by 1 - 2/9 from multinomial.
    assert ((counts - 600.0).square() / 600.0).sum() / (1 - 2 / 9) < 45


def test_inputs_are_fair_in_every_coordinate_and_every_pair():
    """55 means of 12,000 fair signs; |z| < 6 for all of them fails with chance 1e-7."""
    _, examples = drawn(SparseParity(), d=10, k=2, count=4000)
    x = examples.x.reshape(-1, 10)
    moments = torch.cat([x.mean(0), (x.T @ x / len(x))[*torch.triu_indices(10, 10, 1)]])
    assert moments.abs().max() < 6 / math.sqrt(len(x))


def test_flip_rate_is_the_share_of_wrong_labels():
    """The band is 5 standard deviations: a sound sampler fails with chance 6e-7."""
    count, rate = 14_000, 0.1
    concept, examples = drawn(SparseParity(flip_rate=rate), d=12, k=3, count=count)
    wrong = (examples.y != products(concept, examples.x)).double().mean().item()
    assert abs(wrong - rate) < 5 * math.sqrt(rate * (1 - rate) / (3 * count))


def test_flipping_labels_changes_neither_the_inputs_nor_the_support():
    concept, clean = drawn(SparseParity(), d=8, k=2, count=20)
    flipped_concept, flipped = drawn(SparseParity(flip_rate=0.4), d=8, k=2, count=20)
    assert torch.equal(concept, flipped_concept)
    assert torch.equal(clean.x, flipped.x)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_the_first_examples_are_the_same_whatever_the_count(rate):
    target = SparseParity(flip_rate=rate)
    _, few = drawn(target, d=11, k=3, count=5)
    _, many = drawn(target, d=11, k=3, count=77)
    assert torch.equal(few.x, many.x[:, :5])
    assert torch.equal(few.y, many.y[:, :5])


def test_a_trial_sees_the_same_examples_alone():
    _, together = drawn(SparseParity(flip_rate=0.2), d=11, k=3, count=20)
    _, alone = drawn(SparseParity(flip_rate=0.2), d=11, k=3, count=20, keys=KEYS[1:2])
    assert torch.equal(alone.x[0], together.x[1])
    assert torch.equal(alone.y[0], together.y[1])


@pytest.mark.parametrize("rate", [-0.1, 0.5, 1.0])
def test_a_flip_rate_that_leaves_nothing_to_learn_is_refused(rate):
    with pytest.raises(ValidationError, match="flip_rate"):
        SparseParity(flip_rate=rate)


def test_more_hidden_coordinates_than_there_are_is_a_fault():
    assert SparseParity().faults(d=4, k=4) == []
    assert "k = 5 exceeds d = 4" in SparseParity().faults(d=4, k=5)[0]
