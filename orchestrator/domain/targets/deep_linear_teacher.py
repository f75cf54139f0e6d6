"""Deep linear teacher: a linear map of known singular values, seen through whitened inputs."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target


class DeepLinearTeacher(Target):
    """y = M x from R^d to R^d with M = sum_i s_i u_i v_i', s_i = strength * i^-decay, i = 1 … k.

    k counts the modes (u_i, s_i, v_i) that are not zero; u_i and v_i are uniform orthonormal
    vectors. Labels are vectors, without noise.

    Inputs are whitened exactly: they are the d columns of sqrt(d) Q, Q uniform orthogonal, again
    and again, so that every d examples in a row have mean x x' = I and mean y x' = M. The error of
    another map W on them is |W - M|^2, which is why there are no test examples: maps are judged by
    their entries.

    Source: Saxe, McClelland & Ganguli (2013), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", arXiv:1312.6120, whose Sigma^31 is our M. The power
    law of the singular values is ours: with decay 1 the k-th mode is k times as weak as the first.
    """

    kind: Literal["deep_linear_teacher"] = "deep_linear_teacher"
    strength: float = Field(1.0, gt=0.0, description="s_1, the largest singular value")
    decay: float = Field(1.0, ge=0.0, description="s_i falls as i to the minus this; 0: all equal")

    labels: ClassVar[Labels] = "vector"
    linear: ClassVar[bool] = True
    test_count: ClassVar[int] = 0

    def spectrum(self, k: int) -> torch.Tensor:
        """The singular values s_1 >= … >= s_k: float64 (k,)."""
        return self.strength * torch.arange(1, k + 1, dtype=torch.float64) ** -self.decay

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """M of each trial, row by row: (B, d * d)."""
        U = orthonormal_columns(point.d, point.k, streams)
        V = orthonormal_columns(point.d, point.k, streams)
        s = self.spectrum(point.k).to(U)
        return torch.stack([((u * s) @ v.T).flatten() for u, v in zip(U, V, strict=True)])

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X and y, both (B, count, d)."""
        x = orthonormal_columns(point.d, point.d, streams) * point.d**0.5
        maps = concept.view(-1, point.d, point.d)
        y = torch.stack([one @ M.T for one, M in zip(x, maps, strict=True)])
        again = torch.arange(count, device=x.device) % point.d
        return Examples(x=x[:, again], y=y[:, again])
