"""Reading thresholds off outcomes that a peer gathered: two textbook fits."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.search.problems import Trials

Array = NDArray[np.float64]

SLOPES = np.geomspace(0.2, 60, 30)
"""Slopes of a logistic fit, per nat: a steeper one cannot be told from a jump."""

ZOOMS = 4
"""Times the grid of crossings is refined, eightfold each, about the best."""

RIDGE = 1e-2
"""Penalty of the joint regression, which keeps it finite where outcomes are separable."""


def logistic_fits(trials: Trials) -> Array:
    """Maximum likelihood crossings in log n, one logistic curve in log n per threshold.

    Where outcomes of a threshold are all alike the curve is not determined: the middle between
    them and the end of the range is taken, and nan without outcomes. Equally likely crossings are
    averaged.
    """
    return np.array([_logistic_fit(trials, i) for i in range(len(trials.problem.asked))])


def _logistic_fit(trials: Trials, i: int) -> float:
    log_n, successes, counts = trials.of(i)
    low, high = trials.problem.bounds(i)
    if not len(log_n):
        return np.nan
    if successes.sum() in (0.0, counts.sum()):
        ends = (low, log_n[0]) if successes.any() else (high, log_n[-1])
        return float(np.mean(ends))
    middle, half = (low + high) / 2, (high - low) / 2
    for _ in range(ZOOMS):
        m = np.linspace(max(low, middle - half), min(high, middle + half), 65)
        u = SLOPES[:, None, None] * (log_n - m[:, None])
        # log(1 + e^u) = u + log(1 + e^-u)
        fit = -np.logaddexp(0, -u) @ counts - u @ (counts - successes)
        profile = fit.max(0)
        middle = float(np.mean(m[profile > profile.max() - 1e-6]))
        half /= 8
    return middle


def joint_fit(trials: Trials) -> Array:
    """Crossings of one logistic regression of success on log d, log k and log n.

    Whoever reads so knows that the law is a power. nan where success does not rise with n.
    """
    asked = trials.problem.asked
    x = np.array([(np.log(ask.d), np.log(ask.k)) for ask in asked])
    spread = x.std(0)
    z = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    rows = [(i, np.log(n), s, t) for (i, n), (s, t) in sorted(trials.counts.items())]
    at = np.array([row[0] for row in rows], dtype=int)
    log_n, successes, counts = np.array([row[1:] for row in rows]).T
    middle = log_n.mean()
    columns = np.column_stack([np.ones(len(at)), z[at], log_n - middle])
    start = np.array([0.0, 0.0, 0.0, 1.0])

    def loss(w: Array) -> tuple[float, Array]:
        u = columns @ w
        value = np.logaddexp(0, u) @ counts - u @ successes + RIDGE / 2 * w @ w
        return float(value), columns.T @ (expit(u) * counts - successes) + RIDGE * w

    w = minimize(loss, start, jac=True, method="BFGS").x
    if w[-1] <= 0:
        return np.full(len(asked), np.nan)
    return np.asarray(middle - (w[0] + z @ w[1:-1]) / w[-1])
