"""Covariate shift for kernels: a quadratic function whose training inputs vary more than test's."""

import math
from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.covariate_shift import spread_inputs, spread_log_ratio
from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class ShiftedQuadratic(Target):
    """y = <w, x> + curvature (<v, x>^2 - 1) / sqrt(2) + noise, w and v uniform, of length 1.

    Inputs are N(0, I_d) where a hypothesis is judged, in the draw named `test`. In all other draws
    the first k coordinates have standard deviation `spread` in place of 1; k counts them, and since
    w and v are uniform on the sphere it does not matter which they are. The noise is
    N(0, noise^2). The function lies in the space of every kernel that has products of two
    coordinates, and what is left of it after the best linear function has variance curvature^2 on
    test inputs. With n of the order of d a kernel of the inner product learns the linear part only
    and takes the rest for noise.

    Noise and function are told apart (`Noisy`), so that learners which are linear in the labels
    report their squared bias and their variance.

    Defaults were chosen by hand: four such coordinates double the variance.

    Source: Chen, Liu, Suzuki & Cevher (2024), "High-dimensional kernel methods under covariate
    shift: data-dependent implicit regularization", ICML, arXiv:2406.03171.
    """

    kind: Literal["shifted_quadratic"] = "shifted_quadratic"
    spread: float = Field(1.5, gt=0.0, description="standard deviation of k training coordinates")
    curvature: float = Field(0.5, ge=0.0, description="standard deviation of the quadratic part")
    noise: float = Field(0.5, ge=0.0, description="standard deviation of the noise in y")

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W and v of each trial: (B, 2, d), of length 1."""
        pair = [uniform_direction(point.d, streams) for _ in range(2)]
        return torch.stack(pair, 1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = spread_inputs(count, point, self.spread, streams)
        y = self.noiseless(concept, x) + self.noise * streams.normals(count)
        return Examples(x=x, y=y)

    def noiseless(self, concept: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """See `Noisy`."""
        along_w, along_v = ((x * concept[:, None, which]).sum(2) for which in range(2))
        return along_w + self.curvature * (along_v.square() - 1.0) / math.sqrt(2.0)

    def log_ratio(self, x: torch.Tensor, point: Point) -> torch.Tensor:
        """See `Shifted`: that of `spread_log_ratio`."""
        return spread_log_ratio(x, point, self.spread)
