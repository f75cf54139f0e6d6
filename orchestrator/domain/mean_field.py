"""Mean-field networks: f(z) is the mean of one function h over many particles.

    h_x(z) = R (tanh(<z, x_1> + x_2) + 2 tanh(x_3)) / 3,   f(z) = mean of h over the N particles

Particles lie in `Parameters`: `first` holds x_1 and, in row d, x_2; `outer` holds x_3. What moves a
particle is the gradient of the first variation of the objective, N times the gradient of f's loss.

Source: Suzuki, Wu, Oko & Nitanda (2023), "Feature learning via mean-field Langevin dynamics:
classifying sparse parities and beyond", NeurIPS 36.
"""

from typing import NamedTuple

import torch

from orchestrator.domain.batched_net import LOSSES, Parameters


class Sample(NamedTuple):
    """All examples of a pack: z (B, rows, inputs), a 1 after each trial's own rows' d numbers.

    y and weight are (B, rows); weights are 1 / n for a trial's own n rows, and the rest is zero.
    """

    z: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor


def features(net: Parameters, z: torch.Tensor) -> torch.Tensor:
    """tanh(<z, x_1> + x_2) of all particles: (B, rows, N)."""
    return torch.bmm(z, net.first).tanh_()


def output(net: Parameters, hidden: torch.Tensor, size: float) -> torch.Tensor:
    """F from the features, with R = `size`: (B, rows)."""
    return (hidden.mean(2) + 2.0 * net.outer.tanh().mean(1, keepdim=True)).mul_(size / 3.0)


def gradient(
    net: Parameters, sample: Sample, size: float, confinement: float
) -> tuple[Parameters, torch.Tensor]:
    """What moves every particle, and f on the sample before the move, (B, rows).

    The gradient of mean_i log(1 + exp(-y_i f(z_i))) + confinement * mean_j |x_j|^2 with respect to
    x_j, times N.
    """
    hidden = features(net, sample.z)
    f = output(net, hidden, size)
    pull = LOSSES["logistic"](f.clone(), sample.y).mul_(sample.weight).mul_(size / 3.0)
    found = net.like()
    slope = hidden.square_().neg_().add_(1.0)
    torch.bmm((sample.z * pull[:, :, None]).mT, slope, out=found.first)
    bend = net.outer.tanh().square_().neg_().add_(1.0)
    torch.mul(bend, 2.0 * pull.sum(1, keepdim=True), out=found.outer)
    if confinement > 0.0:
        found.flat.add_(net.flat, alpha=2.0 * confinement)
    return found, f
