import itertools

import pytest
import torch

from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.cyclic_polynomial import CyclicPolynomial, fixing_shifts
from tests.builders import a_point


class OnThese(Streams):
    """Streams whose signs are given."""

    signs_given: torch.Tensor

    def signs(self, count, width):
        return self.signs_given[None]


def labels(subset, x):
    streams = OnThese(["a"])
    streams.signs_given = x
    point = a_point(d=x.shape[1], k=len(subset))
    return CyclicPolynomial().examples(torch.tensor([subset]), point, len(x), streams).y[0]


def all_signs(d):
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=d))).double()


@pytest.mark.parametrize("subset", [[0], [0, 1], [0, 3], [0, 2, 4], [1, 2, 4], [0, 1, 3, 4]])
def test_labels_are_invariant_of_degree_k_with_mean_0_and_variance_1(subset):
    """Over all 64 sign vectors; {0, 3}, {0, 2, 4} and {0, 1, 3, 4} are periodic."""
    x = all_signs(6)
    y = labels(subset, x)
    assert torch.allclose(labels(subset, x.roll(1, 1)), y)
    assert float(y.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(y.square().mean()) == pytest.approx(1.0)
    degree = sum(
        float((y * x[:, list(other)].prod(1)).mean()) ** 2
        for other in itertools.combinations(range(6), len(subset))
    )
    assert degree == pytest.approx(1.0)


def test_a_product_shifted_is_the_same_function():
    x = all_signs(5)
    assert torch.allclose(labels([0, 1, 3], x), labels([2, 3, 0], x))


def test_fixing_shifts_are_those_that_map_the_subset_onto_itself():
    subsets = torch.tensor([[0, 3], [0, 1], [2, 5]])
    assert fixing_shifts(subsets, 6).tolist() == [2, 1, 2]
    assert fixing_shifts(torch.tensor([[0, 1, 2]]), 3).tolist() == [3]
