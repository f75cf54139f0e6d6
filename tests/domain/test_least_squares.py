import numpy as np
import pytest
import torch

from orchestrator.domain.learners.least_squares import LeastSquares, minimum_norm
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_linear import SparseLinear
from tests.builders import a_cell, a_point, training_examples, trials


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 6), (5, 6), (6, 6), (20, 6)])
def test_the_solution_is_that_of_numpy(n, d):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)
    w, rank = minimum_norm(torch.from_numpy(x), torch.from_numpy(y))
    assert np.allclose(w.numpy(), np.linalg.lstsq(x, y)[0], rtol=1e-9, atol=1e-12)
    assert rank == min(n, d)


def test_repeated_columns_share_their_weight():
    x = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0], [0.0, 0.0, 3.0]], dtype=torch.float64)
    w, rank = minimum_norm(x, x @ torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64))
    assert rank == 2
    assert w.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_dense_signal_is_found_exactly_from_d_examples_on_and_never_before():
    for n, success in ((11, False), (12, True)):
        cell = a_cell(SparseLinear(), LeastSquares(), d=12, n=n, k=12)
        errors = [result.measures["relative_error"] for result in run_pack(trials(cell, 20))]
        assert all((error < 1e-6) is success for error in errors)


def test_the_training_error_is_the_mean_square_of_what_is_left():
    trial = trials(a_cell(SparseLinear(noise=1.0), LeastSquares(), d=4, n=30, k=2), 1)[0]
    examples, _ = training_examples(trial)
    _, left, *_ = np.linalg.lstsq(examples.x.numpy(), examples.y.numpy())
    measured = run_pack([trial])[0].measures["train_error"]
    assert measured == pytest.approx(float(left[0]) / 30)


def test_predictions_are_linear_in_the_inputs():
    x, y = torch.randn(9, 3, generator=torch.manual_seed(0), dtype=torch.float64), torch.arange(9.0)
    fit = LeastSquares().fit_one(Examples(x, y.double()), a_point(d=3, n=9), Streams(["a"]))
    assert fit.predict is not None
    assert fit.coefficients is not None
    assert torch.allclose(fit.predict(x), x @ fit.coefficients)
