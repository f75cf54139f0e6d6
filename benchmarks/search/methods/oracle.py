"""An oracle: it knows link, slopes, lapses and the prior of the law; only theta is hidden from it.

Its posterior is exact up to Monte Carlo: importance sampling of theta with a Gaussian mixture that
is adapted in tempered steps (population Monte Carlo; Cappé et al. 2004, J. Comput. Graph. Stat.
13:907), with the prior as a defensive part of the mixture.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from benchmarks.search.playing import Estimate
from benchmarks.search.problems import Law, Trials

Array = NDArray[np.float64]

PARTICLES = 4_096
"""Draws of theta. Ends of intervals are good to about 4% of their width."""

DESIGN_DRAWS = 400
"""Draws by which the next point is chosen."""

STEPS = 12
"""Most adaptations; tempering reaches the whole likelihood in 3 to 8."""

ENOUGH = 0.4
"""Effective share of the particles under which they are drawn again."""

CANDIDATES = (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98)
"""Quantiles of each log n_star at which a trial is considered."""

SHARES, WIDENINGS = np.array([0.1, 0.6, 0.3]), np.array([np.nan, 1.2, 3.0])
"""The mixture: the prior, and two Gaussians whose standard deviations are widened so."""


class Cloud:
    """Weighted draws of theta given the outcomes of `trials`: m is log n_star (P, C)."""

    def __init__(self, trials: Trials, law: Law, particles: int = PARTICLES) -> None:
        self._trials, self._law, self._count = trials, law, particles
        self._curves = trials.problem.curves
        self._rng = np.random.default_rng(0)
        p = law.basis.shape[1]
        self._centre: Array = np.zeros(p)
        self._root: Array = np.eye(p)
        self._draw(first=True)
        self._adapt()

    @property
    def weights(self) -> Array:
        return _normal(self._log_weights)

    def tell(self, i: int, n: int, success: bool) -> None:
        """Reweigh by one outcome; draw anew when few draws are left that matter."""
        chance = self._curves[i].if_crossing_at(self.m[:, i], np.array([np.log(n)]))[:, 0]
        self._log_weights += np.log(chance if success else 1 - chance)
        if _effective(self._log_weights) < ENOUGH * self._count:
            self._aim(self._log_weights)
            self._draw()
            self._adapt()

    def quantiles(self, shares: tuple[float, ...]) -> Array:
        """Quantiles of every log n_star: (shares, C)."""
        result, weights = np.empty((len(shares), self.m.shape[1])), self.weights
        for i, column in enumerate(self.m.T):
            order = np.argsort(column)
            below = np.cumsum(weights[order])
            result[:, i] = np.interp(shares, below - weights[order] / 2, column[order])
        return result

    def next(self) -> tuple[int, int]:
        """The (threshold, n) after whose outcome the thresholds' total variance is least."""
        weights = self.weights
        chosen = self._rng.choice(len(weights), DESIGN_DRAWS, p=weights)
        m = self.m[chosen]
        asked = self._trials.problem.asked
        quantiles = np.exp(self.quantiles(CANDIDATES))
        tried = [
            np.unique(np.clip(np.rint(quantiles[:, i]), ask.low, ask.high))
            for i, ask in enumerate(asked)
        ]
        points = [(i, int(n)) for i, row in enumerate(tried) for n in row]
        ends = np.array([self._trials.problem.bounds(i) for i in range(len(asked))])
        wanted = np.clip(m, ends[:, 0], ends[:, 1])
        wanted = wanted - wanted.mean(0)
        chance = np.concatenate(
            [self._curves[i].if_crossing_at(m[:, i], np.log(n)).T for i, n in enumerate(tried)]
        )
        explained = np.zeros(len(points))
        for share in (chance, 1 - chance):
            total = share.sum(1)
            explained += ((share @ wanted) ** 2).sum(1) / np.maximum(total, 1e-9)
        return points[int(np.argmax(explained))]

    def _adapt(self) -> None:
        """Draw until the draws fit the whole posterior, tempering it where they are too few."""
        for _ in range(STEPS):
            if _effective(self._log_weights) > ENOUGH * self._count:
                return
            self._aim(self._tempered())
            self._draw()

    def _tempered(self) -> Array:
        """Log weights with the likelihood to the highest power that leaves a tenth effective."""
        powers = np.append(np.geomspace(1e-4, 1, 60), 1.0)
        for power in powers[::-1]:
            logs = power * self._likelihood + self._prior - self._proposal
            if _effective(logs) > 0.1 * self._count:
                break
        return np.asarray(logs)

    def _aim(self, log_weights: Array) -> None:
        weights = _normal(log_weights)
        self._centre = weights @ self._theta
        away = self._theta - self._centre
        spread = (away * weights[:, None]).T @ away
        self._root = np.asarray(np.linalg.cholesky(spread + 1e-10 * np.eye(len(spread))))

    def _draw(self, first: bool = False) -> None:
        """Draw theta from the mixture, and weigh the draws."""
        p = len(self._centre)
        normal = self._rng.normal(size=(self._count, p))
        part = np.searchsorted(np.cumsum(SHARES), self._rng.random(self._count))
        part = np.zeros_like(part) if first else part.clip(0, 2)
        aimed = self._centre + np.nan_to_num(WIDENINGS[part])[:, None] * normal @ self._root.T
        self._theta = np.where((part == 0)[:, None], normal, aimed)
        self._prior = -0.5 * (self._theta**2).sum(1)
        u = np.linalg.solve(self._root, (self._theta - self._centre).T)
        scale = np.log(np.diag(self._root)).sum()
        terms = [np.log(SHARES[0]) + self._prior] + [
            np.log(SHARES[j])
            - 0.5 * (u**2).sum(0) / WIDENINGS[j] ** 2
            - scale
            - p * np.log(WIDENINGS[j])
            for j in (1, 2)
        ]
        self._proposal = self._prior if first else np.asarray(logsumexp(terms, axis=0))
        self.m = self._law.mean + self._theta @ self._law.basis.T
        self._likelihood = self._log_likelihood()
        self._log_weights = self._likelihood + self._prior - self._proposal

    def _log_likelihood(self) -> Array:
        total = np.zeros(self._count)
        for i in range(self.m.shape[1]):
            log_n, successes, counts = self._trials.of(i)
            if len(log_n):
                chance = self._curves[i].if_crossing_at(self.m[:, i], log_n)
                total += np.log(chance) @ successes + np.log(1 - chance) @ (counts - successes)
        return total


def _normal(log_weights: Array) -> Array:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _effective(log_weights: Array) -> float:
    return float(1 / (_normal(log_weights) ** 2).sum())


def oracle_interval(trials: Trials) -> Array | None:
    """Ends (2, C) of the oracle's 95% intervals given the outcomes of `trials`, if it has any."""
    law = trials.problem.law
    return None if law is None else Cloud(trials, law).quantiles((0.025, 0.975))


class Oracle:
    """The oracle choosing its own points; a session."""

    def __init__(self, trials: Trials) -> None:
        assert trials.problem.law is not None, f"no oracle for {trials.problem.family}"
        self._cloud = Cloud(trials, trials.problem.law, PARTICLES // 2)

    def ask(self) -> list[tuple[int, int]]:
        return [self._cloud.next()]

    def tell(self, i: int, n: int, success: bool) -> None:
        self._cloud.tell(i, n, success)

    def estimate(self) -> Estimate:
        low, middle, high = self._cloud.quantiles((0.025, 0.5, 0.975))
        return Estimate(middle, low, high)
