"""What is known of one family: a mixture of Gaussians over its coefficients.

Each component belongs to one assumed scatter tau, the sd in nats by which thresholds stray from the
law, and, where outcomes are fitted, one slope of the success curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from orchestrator.inference.laws.families import Form
from orchestrator.inference.threshold import Interval

Array = NDArray[np.float64]

SLOPE_SD = 2.0
"""Prior sd of a slope: nats of log n per standard deviation of its column over the thresholds at
hand, so that no choice of units favours a family. Chosen by hand."""

LEVEL_SD = 20.0
"""Prior sd of log n in the middle of the data, nats. Flat for any n a machine could reach."""

FAINT = 1e-7
"""Weight below which a component plays no part in quantiles."""


def within_floats(log_n: float) -> float:
    """exp, held inside what a float can say: laws may foretell any number."""
    return float(np.exp(np.clip(log_n, -700.0, 700.0)))


@dataclass(frozen=True)
class Normals:
    """A mixture of normal distributions of one number: weights, means and sds, (H,) each."""

    weights: Array
    means: Array
    sds: Array

    def quantile(self, probability: float) -> float:
        """The value below which that probability lies."""
        kept = self.weights > FAINT
        weights = self.weights[kept] / self.weights[kept].sum()
        means, sds = self.means[kept], np.maximum(self.sds[kept], 1e-9)

        def excess(x: float) -> float:
            return float(weights @ ndtr((x - means) / sds)) - probability

        low, high = float((means - 40.0 * sds).min()), float((means + 40.0 * sds).max())
        return float(brentq(excess, low, high, xtol=1e-10))

    def interval(self, confidence: float) -> Interval:
        """Median and central interval."""
        tail = (1.0 - confidence) / 2.0
        return Interval(*(self.quantile(share) for share in (0.5, tail, 1.0 - tail)))


@dataclass(frozen=True)
class Fit:
    """The posterior of a family: weights (H,), means (H, 1 + p), covariances (H, 1 + p, 1 + p).

    Coefficients are those of `form.basis`: the level in the middle of the data first. `scatters`:
    (H,), nats.
    """

    form: Form
    log_evidence: float
    weights: Array
    means: Array
    covariances: Array
    scatters: Array

    def exponents(self, confidence: float) -> dict[str, Interval]:
        """Each exponent with its interval."""
        units = np.eye(1 + len(self.form.names))[1:] / self.form.spread[:, None]
        return {
            name: self._of(unit).interval(confidence)
            for name, unit in zip(self.form.names, units, strict=True)
        }

    def least_scatter(self) -> float:
        """Nats by which thresholds stray from the law at least: its 10% quantile."""
        order = np.argsort(self.scatters, kind="stable")
        place = int(np.searchsorted(np.cumsum(self.weights[order]), 0.1))
        return float(self.scatters[order][min(place, len(order) - 1)])

    def prefactor(self, confidence: float) -> Interval:
        """n_star where every column is 0."""
        at_zero = np.concatenate([[1.0], -self.form.centre / self.form.spread])
        log_c = self._of(at_zero).interval(confidence)
        return Interval(*(within_floats(end) for end in (log_c.value, log_c.low, log_c.high)))

    def log_n_star(self, d: Array, k: Array) -> Array:
        """Posterior mean of the law at d, k: (N,)."""
        mean = self.form.basis(d, k) @ (self.weights @ self.means)
        return np.asarray(mean + self.form.offset(d, k))

    def predicted(self, d: float, k: float) -> Normals:
        """What log n_star at a (d, k) not seen may be: the law and the scatter about it."""
        at = np.array([d]), np.array([k])
        law = self._of(self.form.basis(*at)[0])
        return Normals(
            law.weights, law.means + self.form.offset(*at)[0], np.hypot(law.sds, self.scatters)
        )

    def _of(self, functional: Array) -> Normals:
        variances = np.einsum("i,hij,j->h", functional, self.covariances, functional)
        return Normals(self.weights, self.means @ functional, np.sqrt(np.maximum(variances, 0.0)))


def mixed(parts: Sequence[Normals], shares: Sequence[float]) -> Normals:
    """The mixture of mixtures with these shares."""
    return Normals(
        np.concatenate([share * one.weights for one, share in zip(parts, shares, strict=True)]),
        np.concatenate([one.means for one in parts]),
        np.concatenate([one.sds for one in parts]),
    )


def coefficient_prior(count: int) -> Array:
    """Prior variances of `count` coefficients, the level first: (count,)."""
    return np.array([LEVEL_SD**2] + [SLOPE_SD**2] * (count - 1))
