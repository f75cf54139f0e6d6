"""Covariate shift: a linear function, nearly, whose training inputs vary more than test inputs."""

import math
from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.covariate_shift import spread_inputs, spread_log_ratio
from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class ShiftedLinear(Target):
    """y = <w, x> + misfit sum_{j <= k} He_3(x_j) / sqrt(6 k) + noise, |w| = 1, He_3 = x^3 - 3 x.

    Inputs are N(0, I_d) where a hypothesis is judged, in the draw named `test`. In all other draws
    the first k coordinates have standard deviation `spread` in place of 1; k counts them, and since
    w is uniform on the sphere it does not matter which they are. The cubes have variance misfit^2
    and no correlation with x on test inputs, so that w is the best linear function there; on
    training inputs the best one is off by 3 misfit (spread^2 - 1) / sqrt(6 k) in each of the k, in
    all 1.5 misfit^2 (spread^2 - 1)^2 of squared error. The noise is N(0, noise^2).

    Weights by `log_ratio` have a second moment of (spread^2 / sqrt(2 spread^2 - 1))^k on training
    inputs, by which they multiply the variance of what is estimated with them; it is infinite for
    spread^2 <= 1/2.

    Defaults were chosen by hand: four such coordinates double the variance.

    Source: Shimodaira (2000), "Improving predictive inference under covariate shift by weighting
    the log-likelihood function", Journal of Statistical Planning and Inference 90, for the misfit;
    Chen, Liu, Suzuki & Cevher (2024), "High-dimensional kernel methods under covariate shift:
    data-dependent implicit regularization", ICML, arXiv:2406.03171, for n of the order of d.
    """

    kind: Literal["shifted_linear"] = "shifted_linear"
    spread: float = Field(1.5, gt=0.0, description="standard deviation of k training coordinates")
    misfit: float = Field(0.0, ge=0.0, description="standard deviation of the cubes on test inputs")
    noise: float = Field(0.5, ge=0.0, description="standard deviation of the noise in y")

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d), of length 1."""
        return uniform_direction(point.d, streams)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = spread_inputs(count, point, self.spread, streams)
        few = x[:, :, : point.k]
        y = (x * concept[:, None, :]).sum(2)
        cubes = (few * few * few - 3.0 * few).sum(2)
        y = y + self.misfit / math.sqrt(6.0 * point.k) * cubes
        return Examples(x=x, y=y + self.noise * streams.normals(count))

    def log_ratio(self, x: torch.Tensor, point: Point) -> torch.Tensor:
        """See `spread_log_ratio`."""
        return spread_log_ratio(x, point, self.spread)
