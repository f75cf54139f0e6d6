import math

import numpy as np
import pytest
import torch

from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.agnostic_relu import AgnosticRelu
from tests.builders import a_point


def drawn(target, d=6, k=2, count=40_000):
    point, streams = a_point(d=d, k=k), Streams(["a"])
    concept = target.draw(point, streams.at("concept"))
    return concept[0], target.examples(concept, point, count, streams.at("train"))


def test_at_fraction_0_labels_are_those_of_a_unit():
    concept, examples = drawn(AgnosticRelu(), k=3)
    w = concept[0]
    assert float(w.square().sum()) == pytest.approx(1.0)
    assert torch.allclose(examples.y[0], torch.relu(examples.x[0] @ w))


def test_the_replaced_labels_are_parities_of_signs_and_as_many_as_asked():
    """5 standard deviations of a share: a sound sampler fails with chance 6e-7."""
    fraction, count = 0.3, 40_000
    concept, examples = drawn(AgnosticRelu(fraction=fraction), k=3)
    w, hidden = concept[0], concept[1].nonzero()[:, 0]
    assert len(hidden) == 3
    x, y = examples.x[0], examples.y[0]
    replaced = ~torch.isclose(y, torch.relu(x @ w))
    parity = (x[:, hidden].sign().prod(1) + 1) / 2
    assert torch.equal(y[replaced], parity[replaced])
    # Where the unit says 0, a parity of 0 hides: a quarter of the replaced labels.
    share = 0.75 * fraction
    assert abs(float(replaced.double().mean()) - share) < 5 * math.sqrt(0.25 / count)


@pytest.mark.parametrize("fraction", [0.0, 0.4])
def test_the_parity_is_uncorrelated_with_inputs_and_leaves_the_second_moment(fraction):
    """Bands of 5 standard errors, 7 of them: a sound sampler fails with chance 4e-6."""
    concept, examples = drawn(AgnosticRelu(fraction=fraction))
    x, y = examples.x[0].numpy(), examples.y[0].numpy()
    expected = (1 - fraction) / 2 * concept[0].numpy()
    assert np.abs(y @ x / len(y) - expected).max() < 5 * math.sqrt(1.5 / len(y))
    assert abs((y**2).mean() - 0.5) < 5 * math.sqrt(1.25 / len(y))
