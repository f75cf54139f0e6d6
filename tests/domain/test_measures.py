import math

import pytest
import torch

from orchestrator.domain.learners.gaussian_elimination import GaussianElimination
from orchestrator.domain.learners.group_testing_decoder import GroupTestingDecoder
from orchestrator.domain.learners.least_squares import LeastSquares
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.learners.principal_component import PrincipalComponent
from orchestrator.domain.learners.recursive_feature_machine import RecursiveFeatureMachine
from orchestrator.domain.learners.sliced_inverse_regression import SlicedInverseRegression
from orchestrator.domain.measures import (
    ON_TEST,
    exact_recovery,
    leading_recovery,
    on_test,
    relative_error,
    reported,
    squared_overlap,
    support_share,
)
from orchestrator.domain.targets.dense_parity import DenseParity
from orchestrator.domain.targets.group_testing import GroupTesting
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.targets.single_index import SingleIndex
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.targets.spiked_covariance import SpikedCovariance


@pytest.mark.parametrize(
    ("target", "learner", "names"),
    [
        (SparseLinear(), LeastSquares(), {"train_error", "relative_error"}),
        (RandomLabels(), LinearSeparator(), {"train_error"}),
        (DenseParity(), GaussianElimination(), {"identified", "test_error", "test_accuracy"}),
        (SpikedCovariance(), PrincipalComponent(), {"leading_eigenvalue", "squared_overlap"}),
        (SparseLinear(), SlicedInverseRegression(), {"leading_eigenvalue", "squared_overlap"}),
        (
            SingleIndex(),
            LeastSquares(),
            {"train_error", "squared_overlap", "test_error", "r_squared"},
        ),
        (
            GroupTesting(),
            GroupTestingDecoder(),
            {"consistent", "exact_recovery", "test_error", "test_accuracy"},
        ),
        (
            SparseParity(),
            RecursiveFeatureMachine(),
            {"train_error", "exact_recovery", "support_share", *ON_TEST["sign"]},
        ),
        (SparseLinear(), RecursiveFeatureMachine(), {"train_error", *ON_TEST["real"]}),
        (GroupTesting(), GaussianElimination(), {"identified", "test_error", "test_accuracy"}),
        (
            SparseParity(),
            LeastSquares(),
            {"train_error", "test_error", "test_accuracy", "r_squared"},
        ),
    ],
)
def test_a_pair_reports_what_can_be_said_of_it(target, learner, names):
    assert set(reported(target, learner)) == names


def test_relative_error_is_the_distance_in_lengths_of_the_truth():
    truth = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    estimate = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert relative_error(estimate, truth).tolist() == [0.0, 1.0]


def test_overlap_counts_neither_sign_nor_length():
    truth = torch.tensor([[3.0, 4.0]] * 4)
    estimate = torch.tensor([[3.0, 4.0], [-30.0, -40.0], [4.0, -3.0], [1.0, 0.0]])
    assert squared_overlap(estimate, truth).tolist() == pytest.approx([1.0, 1.0, 0.0, 0.36])


def test_a_set_is_recovered_when_no_coordinate_differs():
    truth = torch.tensor([[1, 0, 1], [1, 0, 1], [0, 0, 0]], dtype=torch.uint8)
    estimate = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=torch.uint8)
    assert exact_recovery(estimate, truth).tolist() == [1.0, 0.0, 1.0]


def test_weights_recover_a_set_when_its_least_outweighs_all_others():
    truth = torch.tensor([[1, 0, 1]] * 4, dtype=torch.uint8)
    weights = torch.tensor([[2.0, 1, 3], [2.0, 2, 3], [1.0, 2, 3], [2.0, 1, math.nan]])
    recovered = leading_recovery(weights, truth).tolist()
    assert recovered[:3] == [1.0, 0.0, 0.0]
    assert math.isnan(recovered[3])


def test_the_share_of_a_support_is_its_part_of_all_weight():
    truth = torch.tensor([[1, 0, 1]], dtype=torch.uint8)
    assert support_share(torch.tensor([[2.0, 1, 5]]), truth).tolist() == [0.875]


def test_the_class_of_the_largest_score_counts_and_neither_ties_nor_nan_do():
    scores = torch.tensor([[[0.1, 0.7], [0.7, 0.1], [0.5, 0.5], [math.nan, 0.9], [0.9, math.nan]]])
    y = torch.tensor([[[0.0, 1], [0, 1], [0, 1], [0, 1], [1, 0]]])
    measures = on_test(scores, y, "class")
    assert measures["test_error"].tolist() == [0.8]
    assert measures["test_accuracy"].tolist() == pytest.approx([0.2])


def test_a_score_of_zero_is_a_wrong_sign():
    measures = on_test(
        torch.tensor([[0.5, -2.0, 0.0, -1.0]]), torch.tensor([[1.0, -1, 1, 1]]), "sign"
    )
    assert measures["test_error"].tolist() == [0.5]
    assert measures["test_accuracy"].tolist() == [0.5]


def test_r_squared_is_one_for_the_truth_and_zero_for_the_mean():
    y = torch.tensor([[1.0, 2.0, 6.0]])
    assert on_test(y, y, "real")["r_squared"].tolist() == [1.0]
    mean = on_test(torch.full((1, 3), 3.0), y, "real")
    assert mean["r_squared"].tolist() == [0.0]
    assert mean["test_error"].tolist() == pytest.approx([14 / 3])


def test_bits_are_compared_as_they_are():
    predicted, y = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 1, 0, 0]], dtype=torch.uint8)
    assert on_test(predicted, y, "bit") == {
        "test_error": torch.tensor([0.25]),
        "test_accuracy": torch.tensor([0.75]),
    }
