"""Neurons on the unit sphere that follow the correlation with the labels, one pass, online."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from orchestrator.domain.hermite import evaluated, slope_along_u, smoothed
from orchestrator.domain.one_pass import Piece

Method = Literal["plain", "reuse", "smooth"]
LinkName = Literal["hermite", "arctan"]
Slope = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""phi' at u = <w, x> (B, J, b), given |x|^2 (B, 1, b)."""


def squared_smoothing(method: Method, d: int) -> float:
    """lambda^2 = sqrt(d) of `smooth`, the largest for which theory holds; else 0."""
    return float(d) ** 0.5 if method == "smooth" else 0.0


def step_scale(method: Method, degree: int, d: int) -> float:
    """The step for a constant of 1, an example at a time.

    d^-max(p/2, 1) (1 + lambda^2)^(p-1) for information exponent p, and 1 / d for `reuse`.
    """
    if method == "reuse":
        return 1.0 / d
    grown = (1.0 + squared_smoothing(method, d)) ** (degree - 1)
    return float(grown * d ** -max(degree / 2, 1.0))


def slope_of(activation: LinkName, method: Method, degree: int, d: int) -> Slope:
    """Slope phi' of a neuron: of the arc tangent, or of h_degree, smoothed if `smooth`."""
    if activation == "arctan":
        return lambda u, squares: 1.0 / (1.0 + u * u)
    terms = slope_along_u(smoothed(degree, squared_smoothing(method, d), d))
    if all(m == 0 for _, m in terms):
        return lambda u, squares: evaluated(terms, u, squares)
    return lambda u, squares: evaluated(terms, u, squares - u * u)


@dataclass(frozen=True)
class SphericalStep:
    """Moves w to v / |v| with v = w + rate sum_i y_i phi'(<w~, x_i>) (x_i - <w, x_i> w).

    The sum runs over a batch; what is summed is the tangent part of the gradient of y_i phi(<w,
    x_i>), the correlation of the neuron with the labels. w~ is w, or where `reach` is not 0 the
    point w + reach sum_i y_i phi'(<w, x_i>) (x_i - <w, x_i> w) that the same batch has moved w to:
    the batch is used twice.
    """

    slope: Slope
    rate: float
    reach: float = 0.0

    def taken(
        self, w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, squares: torch.Tensor
    ) -> torch.Tensor:
        """New w (B, J, d) after a step on x (B, b, d), y and squares = |x|^2, both (B, 1, b).

        Rows with y = 0 are not used.
        """
        across = x.mT
        u = torch.bmm(w, across)
        pull = self.slope(u, squares) * y
        if self.reach:
            ahead = w + self.tangent(w, x, u, pull) * self.reach
            pull = self.slope(torch.bmm(ahead, across), squares) * y
        return on_sphere(w + self.tangent(w, x, u, pull) * self.rate)

    def tangent(
        self, w: torch.Tensor, x: torch.Tensor, u: torch.Tensor, pull: torch.Tensor
    ) -> torch.Tensor:
        """sum_i pull_i (x_i - u_i w) of each neuron: (B, J, d)."""
        return torch.bmm(pull, x) - w * (pull * u).sum(2, keepdim=True)


def on_sphere(w: torch.Tensor) -> torch.Tensor:
    """Vectors over their length, along the last axis."""
    length: torch.Tensor = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
    return w / length


class Walk:
    """Where the neurons of a pack stand, w (B, J, d), and the sum of where they stood."""

    def __init__(self, start: torch.Tensor, step: SphericalStep, batch_size: int) -> None:
        self._w, self._sum = start.clone(), torch.zeros_like(start)
        self._step, self._batch_size = step, batch_size

    def go(self, piece: Piece, until: torch.Tensor) -> None:
        """Step through the rows of a piece that are numbered below until (T,)."""
        w, total, size = self._w[piece.trials], self._sum[piece.trials], self._batch_size
        late = piece.between(until // 2, until)
        late = late.reshape(len(late), -1, size).amax(2)  # by step
        counts = late.any(0).tolist()
        y = (piece.y * piece.between(until * 0, until))[:, None, :]
        squares = piece.x.square().sum(2)[:, None, :]
        # What follows the last row of all is not summed: stopping there changes no trial.
        for step in range(-(-min(y.shape[2], int(until.max()) - piece.start) // size)):
            rows = slice(step * size, (step + 1) * size)
            w = self._step.taken(w, piece.x[:, rows], y[:, :, rows], squares[:, :, rows])
            if counts[step]:
                total = total + w * late[:, step, None, None]
        self._w[piece.trials], self._sum[piece.trials] = w, total

    def directions(self) -> torch.Tensor:
        """Mean of w over the steps on the second half of the examples, of length 1: (B, J, d)."""
        return on_sphere(self._sum)
