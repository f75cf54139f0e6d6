"""The five systems: experiment files that ship, and what is known about them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from orchestrator import api
from orchestrator.inference.threshold import Asked
from orchestrator.spec import Arm, ExperimentSpec

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

REPEATS = 20
"""Of every point of a grid."""

SPAN = 10
"""A grid spans a factor of this on either side of the threshold."""

GRID_SEED = 1_000_000
"""No search's, so that grid and searches are different trials and add up."""

Array = NDArray[np.float64]
Exact = Callable[[int, Array], Array]
"""P(success) at d and real n, where it is known in closed form."""


def cover(d: int, n: Array) -> Array:
    """P(not separable) = P(Bin(n - 1, 1/2) >= d), continued to real n (Cover 1965)."""
    chance: Array = betainc(d, np.maximum(n - d, 1e-9), 0.5)
    return chance


def full_rank(d: int, n: Array) -> Array:
    """P(n random vectors over GF(2) have rank d), 0 at n = d - 1 (Fulman & Goldstein 2015)."""
    factors = 1 - 2.0 ** (np.arange(d) - np.asarray(n)[..., None])
    chance: Array = np.maximum(factors, 0.0).prod(-1)
    return chance


@dataclass(frozen=True)
class System:
    """Experiment files, each with its overrides, and how well theory's thresholds are known.

    n_star is to lie within `within` of what the file's theory says: relative, or in examples where
    `is_absolute`.
    """

    name: str
    within: float
    files: tuple[tuple[str, tuple[str, ...]], ...]
    is_absolute: bool = False
    exact: Exact | None = None

    def specs(self, seed: int) -> list[ExperimentSpec]:
        """Its experiments at a seed."""
        return [
            api.load_spec(EXPERIMENTS / f"{file}.yaml", (*overrides, f"seed={seed}"))
            for file, overrides in self.files
        ]

    def off(self, n_star: float, theory: float) -> float:
        """How far a threshold lies from theory, in the unit of `within`."""
        away = n_star - theory
        return away if self.is_absolute else away / theory


SYSTEMS = {
    system.name: system
    for system in (
        System("cover", 0.03, (("cover", ()),), exact=cover),
        System("dense_parity", 1.0, (("dense_parity", ()),), is_absolute=True, exact=full_rank),
        System(
            "donoho_tanner", 0.04, (("donoho_tanner", ()), ("donoho_tanner", ("axes.d=[200]",)))
        ),
        System("kernel_ridge_parity", 0.06, (("kernel_ridge_parity", ()),)),
        System("two_layer_parity", 0.25, (("two_layer_parity", ()),)),
    )
}
"""By name. `within` is chosen by hand: 3 standard deviations of the interval asked for Cover; one
integer step for parity, where any value in (d, d + 1] is right; for the others what their theory or
measurement is good for, as the files say."""


def grid_at(spec: ExperimentSpec, arm: Arm, asked: Asked, repeats: int = REPEATS) -> ExperimentSpec:
    """The experiment of someone who tries every rung around one threshold, `repeats` times."""
    theory = spec.theory_at(arm, asked.d, asked.k)
    assert theory is not None
    return ExperimentSpec.from_words(
        {
            **json.loads(spec.canonical),
            "pairs": [arm.as_words],
            "axes": {
                "points": [[asked.d, asked.k]],
                "n": {"low": max(1.0, theory.n_star / SPAN), "high": SPAN * theory.n_star},
            },
            "search": {"kind": "grid"},
            "repeats": repeats,
            "seed": GRID_SEED,
            "theory": [],
        }
    )
