"""Scalable neural network kernels: a layer of neurons as one that is linear in random features."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.random_feature_learner import FeatureMap, RandomFeatureLearner
from orchestrator.domain.streams import Streams


class ScalableNeuralKernel(RandomFeatureLearner):
    """f(x) = Re <v, phi(x)> in universal random features, v by ridge regression.

    A neuron is activation(<u, x / sqrt(d)> + b). With the activation's Fourier transform,
    activation(s) = E_t[r(t) exp(i t s)] over a density of t, and g ~ N(0, I),
        exp(i t <u, z>) = E_g[phi_t,g(u) phi_t,g(z)],
        phi_t,g(z) = exp(c <g, z> - c^2 |z|^2 / 2), c = sqrt(i t),
    so that a neuron is the inner product of features psi of its weights, r(t) exp(i t b) phi(u),
    and features phi of the input, over m = `features` draws of (t, g). Weights and input no longer
    meet but there. A linear layer v in place of psi holds every such layer and what a linear layer
    makes of its outputs (the paper's fully bundled network), and its weights of least squared error
    are in closed form. Real and imaginary parts are columns of their own, 2 m in all, over sqrt(m).

    Their kernel is E exp(|t| x.z / d): exp_dot for `sine`, sin or cos of frequency t = 1; for
    `gaussian`, the activation exp(-s^2 / 2) with t ~ N(0, 1), it is 2 exp(q^2 / 2) Phi(q) at
    q = x.z / d, Phi the normal distribution function. The paper's rectified linear variant, where
    psi and phi are random ReLU features, is `random_features`.

    |phi(z)|^2 has mean exp(|t| |z|^2), hence z = x / sqrt(d), of length about 1; how far inputs are
    scaled is our choice. Weights are drawn anew for each trial. Defaults, by hand: 1000 features,
    sine, ridge 1e-6 as in kernel_ridge.

    Source: Sehanobish, Choromanski, Zhao, Dubey & Likhosherstov (2024), "Scalable neural network
    kernels", ICLR, arXiv:2310.13225.
    """

    kind: Literal["scalable_neural_kernel"] = "scalable_neural_kernel"
    activation: Literal["sine", "gaussian"] = "sine"
    features: int = Field(1000, ge=1, le=50_000, description="draws, of two real columns each")

    @property
    def size(self) -> int:
        """Two columns for each draw."""
        return 2 * self.features

    def drawn(self, d: int, streams: Streams) -> FeatureMap:
        """The `UniversalFeatures` of one trial."""
        g = streams.normals(self.features, d)[0]
        if self.activation == "sine":
            return UniversalFeatures(torch.ones_like(g[:, 0]), g)
        return UniversalFeatures(streams.normals(self.features)[0].abs(), g)


@dataclass(frozen=True)
class UniversalFeatures:
    """Phi for frequencies t (m,), not negative, and directions g (m, d)."""

    t: torch.Tensor
    g: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Real parts, then imaginary parts, of phi(x / sqrt(d)): (n, d) -> (n, 2 m).

        The real and the imaginary part of c are both sqrt(t / 2), and c^2 is i t.
        """
        m, d = self.g.shape
        along = (x @ self.g.T) * (self.t / (2.0 * d)).sqrt()
        size = along.exp() / math.sqrt(m)
        angle = along - 0.5 / d * x.square().sum(1)[:, None] * self.t
        return torch.cat([size * angle.cos(), size * angle.sin()], 1)
