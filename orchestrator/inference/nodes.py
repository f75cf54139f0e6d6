"""Quadrature nodes that settle where a density has its mass.

A threshold may be known to 1% or to a factor of a thousand, so nodes are laid again after each
coarse pass, equidistributing a flattened copy of the density just found. Everything here works on
rows: one row per cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLATTENED = ((0.6, 0.4), (0.2, 0.4))
"""(power, share): shares of the nodes follow powers of the density. The small power reaches beyond
five standard deviations of a Gaussian core; the larger one keeps the core resolved when faint tails
are a thousand times longer than it. The rest is spread over the reach, ever more thinly away from
the core. Chosen by hand."""


@dataclass(frozen=True)
class Nodes:
    """Nodes x: (C, G), ascending, with their trapezoid weights: (C, G)."""

    x: Array
    weights: Array


def evenly(low: Array, high: Array, count: int) -> Nodes:
    """Equally spaced nodes from low: (C,) to high: (C,)."""
    return _weighted(np.linspace(low, high, count, axis=1))


def seeded(low: Array, high: Array, count: int, seeds: Sequence[Array]) -> Nodes:
    """`count` nodes per row, from low: (C,) to high: (C,): the row's seeds, the rest evenly."""
    rows = []
    for start, end, row in zip(low, high, seeds, strict=True):
        inside = np.unique(row[(row > start) & (row < end)])
        even = np.linspace(start, end, count - len(inside))
        rows.append(np.sort(np.concatenate([even, inside])))
    return _weighted(np.stack(rows))


def refined(nodes: Nodes, masses: Array) -> Nodes:
    """As many nodes, moved to where the masses: (C, G) found on `nodes` lie.

    Each node's density is taken as the largest among itself and its neighbours: between two nodes
    a peak may hide that neither has seen.
    """
    density = masses / nodes.weights
    padded = np.pad(density, ((0, 0), (1, 1)), mode="edge")
    dilated = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), density)
    peaked = dilated / dilated.max(1, keepdims=True)
    rows = [_equidistributed(x, row) for x, row in zip(nodes.x, peaked, strict=True)]
    return _weighted(np.stack(rows))


def _equidistributed(x: Array, density: Array) -> Array:
    """Positions of equal shares of a mixture of the flattened densities and of distance from the
    core on a logarithmic scale, so that spacing grows gently beyond a box's edges.
    """
    steps = np.diff(x)
    total = np.zeros_like(x)
    for power, share in FLATTENED:
        flat = density**power
        integral = np.concatenate([[0.0], np.cumsum(steps * (flat[1:] + flat[:-1]) / 2)])
        total += share * integral / integral[-1]
    core = np.gradient(x) * density
    centre = float(core @ x / core.sum())
    spread = math.sqrt(float(core @ (x - centre) ** 2 / core.sum())) + 1e-9
    away = np.sign(x - centre) * np.log1p(np.abs(x - centre) / spread)
    rest = 1 - sum(share for _, share in FLATTENED)
    total += rest * (away - away[0]) / (away[-1] - away[0])
    return np.interp(np.linspace(0.0, 1.0, len(x)), total, x)


def _weighted(x: Array) -> Nodes:
    steps = np.diff(x, axis=1)
    weights = np.zeros_like(x)
    weights[:, :-1] += steps / 2
    weights[:, 1:] += steps / 2
    return Nodes(x, weights)


def coarseness(nodes: Nodes, masses: Array) -> Array:
    """Typical node spacing where the masses are, in standard deviations of the rows: (C,)."""
    mean = (masses * nodes.x).sum(1, keepdims=True)
    variance = (masses * (nodes.x - mean) ** 2).sum(1)
    spacing = (masses * nodes.weights**2).sum(1)
    return np.asarray(np.sqrt(spacing / np.maximum(variance, 1e-300)))


def distribution(nodes: Nodes, masses: Array) -> Array:
    """Cumulative probability at the nodes of each row: (C, G), from 0 to 1."""
    density = masses / nodes.weights
    area = np.diff(nodes.x, axis=1) * (density[:, 1:] + density[:, :-1]) / 2
    total = np.concatenate([np.zeros((len(area), 1)), np.cumsum(area, axis=1)], axis=1)
    return np.asarray(total / total[:, -1:])
