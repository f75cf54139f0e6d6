import itertools
import math

import numpy as np
import pytest
import torch

from orchestrator.domain.learners.recursive_feature_machine import RecursiveFeatureMachine
from orchestrator.domain.measures import reported
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.staircase import Staircase
from tests.builders import a_point


def drawn(target, d, k, count):
    point, streams = a_point(d=d, k=k), Streams(["a", "b"])
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, count, streams.at("train"))


@pytest.mark.parametrize(
    ("leap", "k", "degrees"),
    [(1, 4, [1, 2, 3, 4]), (2, 4, [2, 4]), (2, 5, [2, 4, 5]), (3, 3, [3]), (7, 3, [3])],
)
def test_labels_are_the_products_of_the_first_coordinates_of_each_degree(leap, k, degrees):
    concept, examples = drawn(Staircase(leap=leap), d=9, k=k, count=50)
    for trial in range(2):
        x, z = examples.x[trial].numpy(), concept[trial].tolist()
        by_hand = sum(np.prod(x[:, z[:degree]], axis=1) for degree in degrees)
        assert np.allclose(examples.y[trial].numpy(), by_hand / math.sqrt(len(degrees)))


@pytest.mark.parametrize("leap", [1, 2, 3])
def test_over_all_sign_vectors_labels_have_mean_0_and_variance_1(leap):
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=5))).double()
    streams = Streams(["a"])
    streams.signs = lambda count, width: signs[None]
    y = (
        Staircase(leap=leap)
        .examples(torch.tensor([[3, 0, 4, 1]]), a_point(d=5, k=4), 32, streams)
        .y
    )
    assert float(y.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(y.square().mean()) == pytest.approx(1.0)


def test_coordinates_are_distinct_and_come_in_any_order():
    concept, _ = drawn(Staircase(), d=6, k=4, count=1)
    assert all(len(set(row)) == 4 and max(row) < 6 for row in concept.tolist())
    many = Staircase().draw(a_point(d=6, k=4), Streams([str(i) for i in range(40)]))
    assert not torch.equal(many, many.sort(1).values)


def test_what_is_to_be_found_is_the_set_of_hidden_coordinates():
    concept, _ = drawn(Staircase(), d=7, k=3, count=1)
    truth = Staircase().truth(concept, a_point(d=7, k=3))
    assert [row.nonzero().flatten().tolist() for row in truth] == concept.sort(1).values.tolist()
    assert "exact_recovery" in reported(Staircase(), RecursiveFeatureMachine())


def test_a_leap_of_k_is_a_parity():
    _, examples = drawn(Staircase(leap=3), d=7, k=3, count=40)
    assert set(examples.y.unique().tolist()) == {-1.0, 1.0}


def test_noise_has_the_size_that_is_said():
    """The band is 5 standard errors of a variance: a sound sampler fails with chance 6e-7."""
    count = 20_000
    (_, clean), (_, noisy) = (drawn(Staircase(noise=s), d=5, k=2, count=count) for s in (0.0, 0.7))
    share = float((noisy.y[0] - clean.y[0]).square().mean()) / 0.49
    assert abs(share - 1) < 5 * math.sqrt(2 / count)
