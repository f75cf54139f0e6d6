"""Quadrature nodes that settle where a density has its mass.

A threshold may be known to 1% or to a factor of a thousand, so nodes are laid again after each
coarse pass, equidistributing a flattened copy of the density just found. Everything here works on
rows: one row per cell.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLATTEN = 0.2
"""Power of the density that nodes follow: a Gaussian's outermost core node then lies beyond five
of its standard deviations, and 50 core nodes are 0.11 of one apart. Chosen by hand."""

UNIFORM_SHARE = 0.25
"""Share of nodes spread over the whole reach, whatever is known."""


@dataclass(frozen=True)
class Nodes:
    """Nodes x: (C, G), ascending, with their trapezoid weights: (C, G)."""

    x: Array
    weights: Array


def evenly(low: Array, high: Array, count: int) -> Nodes:
    """Equally spaced nodes from low: (C,) to high: (C,)."""
    return _weighted(np.linspace(low, high, count, axis=1))


def refined(nodes: Nodes, masses: Array) -> Nodes:
    """As many nodes, moved to where the masses: (C, G) found on `nodes` lie.

    Each node's density is taken as the largest among itself and its neighbours: between two nodes
    a peak may hide that neither has seen.
    """
    density = masses / nodes.weights
    padded = np.pad(density, ((0, 0), (1, 1)), mode="edge")
    dilated = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), density)
    monitor = (dilated / dilated.max(1, keepdims=True)) ** FLATTEN
    rows = [_equidistributed(x, row) for x, row in zip(nodes.x, monitor, strict=True)]
    return _weighted(np.stack(rows))


def _equidistributed(x: Array, monitor: Array) -> Array:
    """Positions of equal shares of the monitor's integral, mixed with equal shares of length."""
    steps = np.diff(x)
    integral = np.concatenate([[0.0], np.cumsum(steps * (monitor[1:] + monitor[:-1]) / 2)])
    length = (x - x[0]) / (x[-1] - x[0])
    share = (1 - UNIFORM_SHARE) * integral / integral[-1] + UNIFORM_SHARE * length
    return np.interp(np.linspace(0.0, 1.0, len(x)), share, x)


def _weighted(x: Array) -> Nodes:
    steps = np.diff(x, axis=1)
    weights = np.zeros_like(x)
    weights[:, :-1] += steps / 2
    weights[:, 1:] += steps / 2
    return Nodes(x, weights)


def distribution(nodes: Nodes, masses: Array) -> Array:
    """Cumulative probability at the nodes of each row: (C, G), from 0 to 1."""
    density = masses / nodes.weights
    area = np.diff(nodes.x, axis=1) * (density[:, 1:] + density[:, :-1]) / 2
    total = np.concatenate([np.zeros((len(area), 1)), np.cumsum(area, axis=1)], axis=1)
    return np.asarray(total / total[:, -1:])
