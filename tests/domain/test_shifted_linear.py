import math

import numpy as np
import pytest
import torch

from orchestrator.domain.covariate_shift import Shifted
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.shifted_linear import ShiftedLinear
from orchestrator.domain.targets.sparse_linear import SparseLinear
from tests.builders import a_point

COUNT = 40_000


def drawn(target, purpose, d=4, k=2):
    point, streams = a_point(d=d, k=k), Streams(["a"])
    w = target.draw(point, streams.at("concept"))
    return w[0], target.examples(w, point, COUNT, streams.at(purpose))


def test_training_inputs_are_spread_in_k_coordinates_and_test_inputs_are_not():
    """Bands of 5 standard deviations on 12 variances: a sound sampler fails with chance 7e-6."""
    band = 5 * math.sqrt(2 / COUNT)
    for purpose, spread in (("train", 2.0), ("stream/3", 2.0), ("test", 1.0)):
        _, examples = drawn(ShiftedLinear(spread=2.0), purpose)
        variances = examples.x[0].square().mean(0) / torch.tensor([spread, spread, 1, 1]) ** 2
        assert (variances - 1).abs().max() < band


def test_without_noise_and_misfit_labels_are_linear():
    w, examples = drawn(ShiftedLinear(noise=0.0), "train")
    assert float(w.square().sum()) == pytest.approx(1.0)
    assert torch.allclose(examples.y[0], examples.x[0] @ w)


def test_the_misfit_is_uncorrelated_with_test_inputs_and_biases_training_inputs():
    """Standard errors of the four slopes are below 0.013; bands of 6: fails with chance 1e-8."""
    misfit, spread, k = 0.5, 1.5, 2
    w, judged = drawn(ShiftedLinear(noise=0.0, misfit=misfit, spread=spread), "test")
    slopes = np.linalg.lstsq(judged.x[0].numpy(), judged.y[0].numpy())[0] - w.numpy()
    assert np.abs(slopes).max() < 0.08
    assert float((judged.y[0] - judged.x[0] @ w).std()) == pytest.approx(misfit, rel=0.1)
    w, given = drawn(ShiftedLinear(noise=0.0, misfit=misfit, spread=spread), "train")
    slopes = np.linalg.lstsq(given.x[0].numpy(), given.y[0].numpy())[0] - w.numpy()
    expected = 3 * misfit * (spread**2 - 1) / math.sqrt(6 * k)
    assert slopes == pytest.approx([expected, expected, 0, 0], abs=0.08)


def test_the_ratio_turns_training_means_into_test_means():
    """5 standard errors of means of weights with the second moment of the docstring, or less."""
    target = ShiftedLinear(spread=1.5)
    assert isinstance(target, Shifted)
    assert not isinstance(SparseLinear(), Shifted)
    _, given = drawn(target, "train")
    ratio = target.log_ratio(given.x[0], a_point(d=4, k=2)).exp()
    second = (1.5**2 / math.sqrt(2 * 1.5**2 - 1)) ** 2
    assert abs(float(ratio.mean()) - 1) < 5 * math.sqrt((second - 1) / COUNT)
    assert float(ratio.square().mean()) == pytest.approx(second, rel=0.03)
    assert abs(float((ratio * given.x[0, :, 0] ** 2).mean()) - 1) < 5 * math.sqrt(3 / COUNT)
