"""Two-layer networks of a whole pack, with gradients written by hand.

f(x) = sum_j a_j phi(w_j . x + b_j) + c for each trial of the pack, all in one computation. What
makes it fast is that little is touched: the biases b are one more row of the first layer's weights
(inputs end in a 1), hidden values lie as (B, hidden, rows) so that f is a batched row times matrix,
and phi is overwritten by its slope once it has been used. With M_ij = phi'(z_ij) and r_i = dL/df_i,

    dL/dw_j = a_j sum_i M_ij r_i x_i,   and for phi homogeneous of degree p
    dL/da_j = sum_i r_i phi(z_ij) = (w_j, b_j) . (sum_i M_ij r_i (x_i, 1)) / p

by Euler's identity z phi'(z) = p phi(z): there the outer gradient costs no second pass over the
hidden values.

Sizes are padded with zeros to a multiple of 16 (inputs: of 8) whatever the company, so that no
trial's numbers fall into the scalar tail of a vectorised loop, whose last bits differ. Padding
stays zero: phi(0) = 0, so a unit without weights has no gradient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

from orchestrator.domain.learner import rounded_up

OFFSET_WIDTH = 16
"""Places kept for one trial's c, of which the first is used."""
PREDICTED_ROWS = 128
"""Rows predicted at once: 16 trials of width 128 then fill 1 MB, about a core's cache."""


class Activation(NamedTuple):
    """phi and its slope, in place, with phi(0) = 0.

    `value(z, spare)` returns phi(z) and may overwrite both; `slope(z, phi, spare)` gets what
    `value` left there and returns phi'(z), overwriting anything. `spare` has z's shape. `degree` is
    p where z phi'(z) = p phi(z), else None.
    """

    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    slope: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    degree: int | None


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        value=lambda z, spare: z.clamp_(min=0.0),
        slope=lambda z, phi, spare: phi.gt_(0.0),
        degree=1,
    ),
    "quadratic": Activation(  # z^2
        value=lambda z, spare: torch.mul(z, z, out=spare),
        slope=lambda z, phi, spare: z.mul_(2.0),
        degree=2,
    ),
    "tanh": Activation(
        value=lambda z, spare: z.tanh_(),
        slope=lambda z, phi, spare: phi.square_().neg_().add_(1.0),
        degree=None,
    ),
    "silu": Activation(  # z s with s = sigmoid(z), kept in spare; slope s + phi (1 - s)
        value=lambda z, spare: z.mul_(torch.sigmoid(z, out=spare)),
        slope=lambda z, phi, spare: phi.addcmul_(phi, spare, value=-1.0).add_(spare),
        degree=None,
    ),
}

Pull = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""dL/df of scores f and labels y, each (B, rows); it may overwrite f."""

LOSSES: dict[str, Pull] = {
    # log(1 + exp(-y f))
    "logistic": lambda f, y: f.mul_(y).neg_().sigmoid_().mul_(y).neg_(),
    # (f - y)^2 / 2
    "squared": lambda f, y: f.sub_(y),
    # max(0, 1 - y f)
    "hinge": lambda f, y: f.mul_(y).lt_(1.0).mul_(y).neg_(),
    # -y f, unbounded below: the gradient of early training, kept for ever
    "correlation": lambda f, y: torch.neg(y),
}

LOSS_VALUES: dict[str, Pull] = {
    "logistic": lambda f, y: torch.nn.functional.softplus(-y * f),
    "squared": lambda f, y: (f - y).square() / 2.0,
    "hinge": lambda f, y: (1.0 - y * f).clamp(min=0.0),
    "correlation": lambda f, y: -y * f,
}
"""L(f, y) itself, (B, rows); these overwrite nothing."""


class Sizes(NamedTuple):
    """Padded sizes of a pack's networks: trials B, inputs d + 1, hidden units."""

    trials: int
    inputs: int
    hidden: int

    @classmethod
    def of(cls, trials: int, d: int, width: int) -> "Sizes":
        """The sizes for inputs of dimension d and `width` hidden units."""
        return cls(trials, rounded_up(d + 1, 8), rounded_up(width))


@dataclass(frozen=True)
class Parameters:
    """Weights of B networks, or anything of their shape, as views of one `flat` tensor."""

    sizes: Sizes
    flat: torch.Tensor

    @classmethod
    def zeros(cls, sizes: Sizes, dtype: torch.dtype, device: torch.device) -> "Parameters":
        """All zeros."""
        trials, inputs, hidden = sizes
        count = trials * (inputs * hidden + hidden + OFFSET_WIDTH)
        return cls(sizes, torch.zeros(count, dtype=dtype, device=device))

    @cached_property
    def first(self) -> torch.Tensor:
        """Weights into hidden units, (B, inputs, hidden); row d holds the biases b."""
        trials, inputs, hidden = self.sizes
        return self.flat[: trials * inputs * hidden].view(trials, inputs, hidden)

    @cached_property
    def outer(self) -> torch.Tensor:
        """Weights a out of hidden units, (B, hidden)."""
        trials, _, hidden = self.sizes
        start = self.first.numel()
        return self.flat[start : start + trials * hidden].view(trials, hidden)

    @cached_property
    def offset(self) -> torch.Tensor:
        """The constants c, (B, 1)."""
        return self.flat[-self.sizes.trials * OFFSET_WIDTH :].view(-1, OFFSET_WIDTH)[:, :1]

    def like(self) -> "Parameters":
        """Zeros of the same shape."""
        return Parameters(self.sizes, torch.zeros_like(self.flat))

    def taken(self, trials: Sequence[int]) -> "Parameters":
        """A copy of some trials' parameters, in that order."""
        sizes = self.sizes._replace(trials=len(trials))
        copy = Parameters.zeros(sizes, self.flat.dtype, self.flat.device)
        copy.put(range(len(trials)), self, trials)
        return copy

    def put(self, places: Sequence[int], source: "Parameters", trials: Sequence[int]) -> None:
        """Overwrite the trials at `places` by those `trials` of `source`."""
        here, there = list(places), list(trials)
        self.first[here] = source.first[there]
        self.outer[here] = source.outer[there]
        self.offset[here] = source.offset[there]

    def rows(self) -> torch.Tensor:
        """A copy of all numbers, one row per trial: (B, P)."""
        return torch.cat([self.first.flatten(1), self.outer, self.offset], 1)

    def put_rows(self, places: Sequence[int], rows: torch.Tensor) -> None:
        """Overwrite the trials at `places` by rows as `rows` gives them, one each."""
        _, inputs, hidden = self.sizes
        first, outer, offset = rows.tensor_split([inputs * hidden, inputs * hidden + hidden], 1)
        here = list(places)
        self.first[here] = first.reshape(-1, inputs, hidden)
        self.outer[here] = outer
        self.offset[here] = offset

    def finite(self) -> torch.Tensor:
        """Which trials have finite parameters only: bool (B,)."""
        return (
            self.first.isfinite().all(2).all(1)
            & self.outer.isfinite().all(1)
            & self.offset.isfinite().all(1)
        )


def padded(x: torch.Tensor, rows: int, inputs: int) -> torch.Tensor:
    """Inputs (B, m, d) as networks read them: (B, rows, inputs), a 1 after each row's d numbers.

    Rows from m on are zero throughout, the 1 included.
    """
    trials, count, d = x.shape
    wide = x.new_zeros(trials, rows, inputs)
    wide[:, :count, :d] = x
    wide[:, :count, d] = 1.0
    return wide


class Gradient:
    """Gradients of one minibatch after another, into tensors made once."""

    def __init__(self, net: Parameters, rows: int, activation: Activation, pull: Pull) -> None:
        trials, inputs, hidden = net.sizes
        new = net.flat.new_empty
        self._activation, self._pull = activation, pull
        self._hidden, self._spare = new(trials, hidden, rows), new(trials, hidden, rows)
        self._product = new(trials, hidden, rows) if activation.degree is None else None
        self._scores, self._pulled = new(trials, 1, rows), new(trials, rows, inputs)
        self._euler = new(trials, inputs, hidden)
        self._gradient = net.like()

    def at(
        self, net: Parameters, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor
    ) -> Parameters:
        """Gradient of sum_i weight_i L(f(x_i), y_i) for each trial; valid until the next call.

        x is (B, rows, inputs) as `padded` makes it; y and weight are (B, rows).
        """
        gradient = self._gradient
        z = torch.bmm(net.first.mT, x.mT, out=self._hidden)
        phi = self._activation.value(z, self._spare)
        scores = torch.bmm(net.outer[:, None], phi, out=self._scores)[:, 0].add_(net.offset)
        pull = self._pull(scores, y).mul_(weight)
        torch.sum(pull, 1, keepdim=True, out=gradient.offset)
        if self._product is not None:
            torch.mul(phi, pull[:, None], out=self._product)
            torch.sum(self._product, 2, out=gradient.outer)
        slope = self._activation.slope(z, phi, self._spare)
        torch.mul(x, pull[:, :, None], out=self._pulled)
        first = torch.bmm(self._pulled.mT, slope.mT, out=gradient.first)
        if self._activation.degree is not None:
            torch.mul(net.first, first, out=self._euler)
            torch.sum(self._euler, 1, out=gradient.outer)
            if self._activation.degree != 1:
                gradient.outer.div_(self._activation.degree)
        first.mul_(net.outer[:, None])
        return gradient


def scores(net: Parameters, x: torch.Tensor, activation: Activation) -> torch.Tensor:
    """f(x) of every trial's network on inputs (B, m, d): (B, m)."""
    count = x.shape[1]
    wide = padded(x, rounded_up(count), net.sizes.inputs)
    return scores_of_padded(net, wide, activation)[:, :count]


def scores_of_padded(net: Parameters, x: torch.Tensor, activation: Activation) -> torch.Tensor:
    """f(x) on inputs (B, rows, inputs) as `padded` makes them: (B, rows)."""
    parts = []
    for part in torch.split(x, PREDICTED_ROWS, dim=1):
        z = torch.bmm(net.first.mT, part.mT)
        phi = activation.value(z, torch.empty_like(z))
        parts.append(torch.bmm(net.outer[:, None], phi)[:, 0] + net.offset)
    return torch.cat(parts, 1)
