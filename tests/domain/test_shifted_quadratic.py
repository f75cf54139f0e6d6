import math

import pytest
import torch

from orchestrator.domain.bias_variance import Noisy
from orchestrator.domain.covariate_shift import Shifted
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.linear import Linear
from orchestrator.domain.targets.shifted_linear import ShiftedLinear
from orchestrator.domain.targets.shifted_quadratic import ShiftedQuadratic
from tests.builders import a_point

COUNT = 40_000


def drawn(target, purpose, d=4, k=2):
    point, streams = a_point(d=d, k=k), Streams(["a"])
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, COUNT, streams.at(purpose))


def test_labels_are_the_quadratic_of_two_unit_directions_and_noise():
    """The band is 5 standard errors of a variance: a sound sampler fails with chance 6e-7."""
    target = ShiftedQuadratic(curvature=0.8, noise=0.3)
    concept, examples = drawn(target, "train")
    w, v = concept[0]
    assert float(w.square().sum()) == pytest.approx(1.0)
    assert float(v.square().sum()) == pytest.approx(1.0)
    x = examples.x[0]
    clean = x @ w + 0.8 * ((x @ v) ** 2 - 1) / math.sqrt(2)
    assert torch.allclose(target.noiseless(concept, examples.x)[0], clean)
    noise = examples.y[0] - clean
    assert abs(float(noise.square().mean()) / 0.09 - 1) < 5 * math.sqrt(2 / COUNT)


def test_on_test_inputs_the_quadratic_has_its_variance_and_no_linear_part():
    """5 standard errors of means over 40,000 inputs, three of them: fails with chance 2e-6."""
    target = ShiftedQuadratic(curvature=0.8, noise=0.0)
    concept, examples = drawn(target, "test")
    rest = examples.y[0] - examples.x[0] @ concept[0, 0]
    assert abs(float(rest.mean())) < 5 * 0.8 / math.sqrt(COUNT)
    spread = float(rest.square().std())
    assert abs(float(rest.square().mean()) - 0.64) < 5 * spread / math.sqrt(COUNT)
    assert abs(float((rest * (examples.x[0] @ concept[0, 0])).mean())) < 5 * 3 / math.sqrt(COUNT)


def test_inputs_and_their_ratio_are_those_of_the_shifted_linear_target():
    quadratic, linear = ShiftedQuadratic(spread=1.7), ShiftedLinear(spread=1.7)
    (_, ours), (_, theirs) = drawn(quadratic, "train"), drawn(linear, "train")
    assert torch.equal(ours.x, theirs.x)
    point = a_point(d=4, k=2)
    assert torch.equal(quadratic.log_ratio(ours.x, point), linear.log_ratio(ours.x, point))


def test_it_is_shifted_and_knows_its_noise_and_others_do_not():
    assert isinstance(ShiftedQuadratic(), Shifted)
    assert isinstance(ShiftedQuadratic(), Noisy)
    assert not isinstance(Linear(), Noisy)
