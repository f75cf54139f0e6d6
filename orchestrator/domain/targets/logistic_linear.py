"""Logistic model: the log odds of the label are a linear function of Gaussian inputs."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class LogisticLinear(Target):
    """P(y = 1 | x) = 1 / (1 + exp(-strength <w, x>)), else y = -1, with x ~ N(0, I_d), |w| = 1.

    k counts the coordinates of w that are not zero, drawn uniformly; on them w is a standard normal
    vector scaled to unit norm, so k = d is the dense model and k = 1 a signed coordinate. What does
    not look for sparsity cannot tell them apart. `strength` is the standard deviation of the log
    odds; at 0 labels are fair coins, and about strength 10 they are nearly sign(<w, x>).

    Source: Candès & Sur (2020), "The phase transition for the existence of the maximum likelihood
    estimate in high-dimensional logistic regression", Annals of Statistics 48(1); `strength` is
    their gamma_0, there is no intercept (beta_0 = 0), and d / n is their kappa.
    """

    kind: Literal["logistic_linear"] = "logistic_linear"
    strength: float = Field(2.0, ge=0.0, description="standard deviation of the log odds of y")

    labels: ClassVar[Labels] = "sign"

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d) of unit norm with k entries that are not zero."""
        support, values = streams.subsets(point.d, point.k), streams.normals(point.k)
        values = values / values.square().sum(1, keepdim=True).sqrt()
        w = torch.zeros(len(streams), point.d, dtype=streams.dtype, device=streams.device)
        return w.scatter(1, support, values)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count) of ±1."""
        x = streams.normals(count, point.d)
        chance = torch.sigmoid(self.strength * (x * concept[:, None, :]).sum(2))
        return Examples(x=x, y=torch.where(streams.uniforms(count) < chance, 1.0, -1.0).to(x.dtype))
