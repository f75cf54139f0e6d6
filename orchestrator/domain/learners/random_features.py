"""Random features: ridge regression on fixed nonlinear functions whose weights are drawn."""

import math
from typing import Literal

from pydantic import Field

from orchestrator.domain.random_feature_learner import FeatureMap, RandomFeatureLearner
from orchestrator.domain.streams import Streams


class RandomFeatures(RandomFeatureLearner):
    """f(x) = <w, phi(x)>, w of least |phi(x_i) w - y_i|^2 + ridge |w|^2; n counts examples.

    With m = `features` and weights drawn anew for each trial, the features are
    - `relu`: sqrt(2 / (m d)) max(0, <g_j, x>), g_j ~ N(0, I): a two-layer network of which only
      the last layer is trained. Their kernel is nngp at depth 1.
    - `fourier`: sqrt(2 / m) cos(<g_j, x> / (sqrt(d) bandwidth) + b_j), b_j uniform on the circle.
      Their kernel is rbf of that bandwidth.
    As m grows it becomes kernel ridge regression with that kernel and the same ridge. At given m
    the test error from noisy labels peaks near n = m where the ridge is small: the number of
    features is a second size beside n.

    Defaults, by hand: 1000 features, relu, ridge 1e-6 as in kernel_ridge.

    Source: Rahimi & Recht (2007), "Random features for large-scale kernel machines", NIPS; Cho &
    Saul (2009), "Kernel methods for deep learning", for the kernel of relu; Mei & Montanari (2022),
    "The generalization error of random features regression", arXiv:1908.05355, for the peak.
    """

    kind: Literal["random_features"] = "random_features"
    activation: Literal["relu", "fourier"] = "relu"
    bandwidth: float = Field(1.0, gt=0.0, description="of fourier, in units of sqrt(d)")

    def drawn(self, d: int, streams: Streams) -> FeatureMap:
        """Phi: (m, d) -> (m, features)."""
        g = streams.normals(self.features, d)[0] / math.sqrt(d)
        scale = math.sqrt(2.0 / self.features)
        if self.activation == "relu":
            return lambda x: (x @ g.T).clamp_min_(0.0).mul_(scale)
        phase = 2.0 * math.pi * streams.uniforms(self.features)[0]
        return lambda x: (x @ (g / self.bandwidth).T).add_(phase).cos_().mul_(scale)
