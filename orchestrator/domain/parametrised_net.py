"""Networks of a whole pack whose every weight has a multiplier and a learning rate of its own.

    h_0 = x,   h_l = phi(W_l h_(l-1) + b_l),   f = scale (V . h_depth + c)

W_1 acts on x / sqrt(d), so that preactivations of inputs with squared norm d start at order 1 and
steps in W_1 move them by as much as steps in V move f. Each of W, b, V is N^-a times a tensor that
starts at deviation N^-b and moves at rate eta N^-c (`orchestrator.domain.parametrisation`); c has
multiplier 1 and moves at rate eta.

Widths are multiples of 16, inputs are padded to one, and a pack has an even number of trials: then
no trial's numbers fall into the scalar tail of a vectorised loop, whose last bits differ.
"""

import math
from dataclasses import dataclass

import torch

from orchestrator.domain.activations import HiddenMap
from orchestrator.domain.criticality import Critical
from orchestrator.domain.parametrisation import Scaling, Scalings
from orchestrator.domain.sparsity_masks import kept
from orchestrator.domain.streams import Streams

MEMORY = 0.9
"""Of the running variance that normalises by batches once training is over: Liu et al. (2020)."""
OFFSET_WIDTH = 16
"""Places kept for one trial's c, of which the first is used."""


@dataclass
class Weight:
    """A leaf of training: `leaf` (B, …), which counts `multiplier` times and moves at `rate`."""

    leaf: torch.Tensor
    multiplier: float
    rate: float

    @property
    def value(self) -> torch.Tensor:
        """What the network computes with."""
        return self.leaf * self.multiplier


@dataclass(frozen=True)
class Layout:
    """What the networks of a pack have in common. `inputs` is d + 1 padded; `mask` N and M."""

    d: int
    inputs: int
    width: int
    depth: int
    scalings: Scalings
    optimiser: str
    start: Critical
    scale: float = 1.0
    mask: tuple[int, int] | None = None
    mask_is_fixed: bool = False


class ParametrisedNet:
    """The networks of one pack, B of them, one per stream."""

    def __init__(self, layout: Layout, phi: HiddenMap, streams: Streams) -> None:
        self._layout, self._phi = layout, phi
        depth, width, scalings = layout.depth, layout.width, layout.scalings
        self._first = self._weight(self._first_start(streams), scalings.inputs)
        self._deep = [self._drawn(streams, scalings.hidden, width, width) for _ in range(depth - 1)]
        bias = math.sqrt(layout.start.bias) * scalings.inputs.deviation(width)
        self._biases = [
            self._weight(bias * streams.normals(width), scalings.inputs) for _ in range(depth - 1)
        ]
        self._outer = self._drawn(streams, scalings.output, width)
        self._offset = Weight(_leaf(streams.normals(OFFSET_WIDTH) * 0.0), 1.0, 1.0)
        self._shapes = [self._shape(streams) for _ in range(depth if phi.start is not None else 0)]
        self._variances = [streams.normals(width) * 0.0 + 1.0 for _ in range(depth)]
        self._input_scale = _input_scale(layout, self._first.leaf)
        self._mask = self._fixed_mask(streams) if layout.mask_is_fixed else None
        self.start = self.first_weights().clone()

    def _weight(self, start: torch.Tensor, scaling: Scaling) -> Weight:
        width, optimiser = self._layout.width, self._layout.optimiser
        multiplier, rate = scaling.multiplier(width), scaling.rate(width, optimiser)
        return Weight(_leaf(start), multiplier, rate)

    def _drawn(self, streams: Streams, scaling: Scaling, *shape: int) -> Weight:
        width, start = self._layout.width, self._layout.start
        deviation = math.sqrt(start.weight) * scaling.deviation(width)
        return self._weight(deviation * streams.normals(*shape), scaling)

    def _first_start(self, streams: Streams) -> torch.Tensor:
        """W_1 with its biases in row d: (B, inputs, width)."""
        layout, deviation = self._layout, self._layout.scalings.inputs.deviation(self._layout.width)
        weights = streams.normals(layout.width, layout.d).mT * math.sqrt(layout.start.weight)
        biases = streams.normals(layout.width) * math.sqrt(layout.start.bias)
        first = weights.new_zeros(len(weights), layout.inputs, layout.width)
        first[:, : layout.d], first[:, layout.d] = weights * deviation, biases * deviation
        return first

    def _shape(self, streams: Streams) -> Weight:
        """The departure of a layer's shape from its start."""
        assert self._phi.start is not None
        zeros = streams.normals(len(self._phi.start)) * 0.0
        if self._phi.per_unit:
            return self._weight(zeros, self._layout.scalings.inputs)
        return Weight(_leaf(zeros), 1.0, 1.0)

    def _fixed_mask(self, streams: Streams) -> torch.Tensor:
        assert self._layout.mask is not None
        scores = streams.normals(self._layout.width, self._layout.d).mT
        return kept(scores, *self._layout.mask)

    def weights(self) -> list[Weight]:
        """Everything that is trained."""
        first = [self._first, *self._deep, *self._biases, self._outer, self._offset]
        return [*first, *self._shapes]

    def decay(self, factor: float) -> None:
        """Multiply W, V, and neither biases nor c nor shapes, by `factor`, whatever their rates."""
        decaying = [self._first.leaf.detach()[:, : self._layout.d]]
        decaying += [one.leaf.detach() for one in (*self._deep, self._outer)]
        for one in decaying:
            one.mul_(factor)

    def first_weights(self) -> torch.Tensor:
        """W_1 as it acts, masked, without biases: (B, d, width)."""
        weights = self._first.value[:, : self._layout.d].detach()
        return weights if self._layout.mask is None else weights * self.mask()

    def mask(self) -> torch.Tensor:
        """Which of W_1 are kept: the largest by size, or the fixed ones; bool (B, d, width)."""
        assert self._layout.mask is not None
        if self._mask is not None:
            return self._mask
        return kept(self._first.leaf.detach()[:, : self._layout.d].abs(), *self._layout.mask)

    def _acting(self) -> torch.Tensor:
        """W_1 / sqrt(d) and biases, masked.

        Where masks follow the weights, gradients pass straight through to those masked out.
        """
        first = self._first.value
        if self._layout.mask is None:
            return first * self._input_scale
        stays = torch.ones_like(first)
        stays[:, : self._layout.d] = self.mask().to(first.dtype)
        masked = first * stays
        if not self._layout.mask_is_fixed:
            masked = first + (masked - first).detach()
        return masked * self._input_scale

    def hidden(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Preactivations of all layers and the last hidden values, each (B, rows, width).

        x is (B, rows, inputs) as `padded` makes it. With `weight` (B, rows), of which each trial's
        sum to 1, batch variances are those of these rows, and are remembered.
        """
        found = []
        z = torch.bmm(x, self._acting())
        for layer in range(self._layout.depth):
            found.append(z)
            h = self._activated(layer, z, weight)
            if layer < self._layout.depth - 1:
                z = torch.bmm(h, self._deep[layer].value) + self._biases[layer].value[:, None]
        return [*found, h]

    def _activated(self, layer: int, z: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        variance = self._variances[layer]
        if self._phi.of_batch and weight is not None:
            mean = torch.bmm(weight[:, None], z)
            variance = torch.bmm(weight[:, None], (z - mean).square())[:, 0]
            kept_part = self._variances[layer] * MEMORY
            self._variances[layer] = kept_part + variance.detach() * (1.0 - MEMORY)
        shape = variance  # not read
        if self._phi.start is not None:
            shape = self._shapes[layer].value + self._phi.start.to(z)
        return self._phi.apply(z, shape, variance)

    def scores(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """f(x) for x and weight as `hidden` takes them: (B, rows)."""
        h = self.hidden(x, weight)[-1]
        inner = torch.bmm(h, self._outer.value[:, :, None])[:, :, 0]
        return (inner + self._offset.value[:, :1]) * self._layout.scale

    def finite(self) -> list[bool]:
        """Which trials have finite weights only."""
        parts = [one.leaf.detach().flatten(1).isfinite().all(1) for one in self.weights()]
        return torch.stack(parts).all(0).tolist()


def _leaf(start: torch.Tensor) -> torch.Tensor:
    return start.detach().clone().contiguous().requires_grad_()


def _input_scale(layout: Layout, like: torch.Tensor) -> torch.Tensor:
    """By which rows of W_1 are multiplied: 1 / sqrt(d), 1 for the biases, 0 for padding."""
    scale = torch.zeros(layout.inputs, 1, dtype=like.dtype, device=like.device)
    scale[: layout.d], scale[layout.d] = 1.0 / math.sqrt(layout.d), 1.0
    return scale
