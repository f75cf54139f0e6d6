"""Laws from thresholds of which only intervals are known: exact Bayesian regression.

Observed are y_i = log n_star,i with standard error s_i (the half width of the interval in log n
over the normal quantile of its confidence), and y_i ~ N(law_i, s_i^2 + tau^2). Given tau the
evidence is that of Bayesian linear regression in closed form (Bishop, Pattern Recognition and
Machine Learning, 2006, section 3.5); tau is summed out on a grid. That is exact where a BIC or
Laplace figure would be rough: three to eight thresholds are the usual case. Errors of different
thresholds are taken as independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri

from orchestrator.inference.laws.families import Form
from orchestrator.inference.laws.fit import Fit, coefficient_prior
from orchestrator.inference.laws.scatter import log_prior
from orchestrator.inference.threshold import Threshold

Array = NDArray[np.float64]

SCATTERS: Array = np.geomspace(1e-4, 10.0, 121)
"""Values of tau summed over, nats."""


def observed(found: Sequence[Threshold]) -> tuple[Array, Array]:
    """The logarithm of n_star and its variance, at least that of a value known to one integer."""
    n_star, low, high = (
        np.array([getattr(t, name) for t in found], float) for name in ("n_star", "low", "high")
    )
    quantile = ndtri(np.array([(1.0 + t.confidence) / 2.0 for t in found]))
    variance = (np.log(high / low) / (2.0 * quantile)) ** 2
    return np.log(n_star), np.maximum(variance, 1.0 / (12.0 * n_star**2))


def regressed(form: Form, d: Array, k: Array, y: Array, variance: Array) -> Fit:
    """The posterior of one family from log n_star y: (N,) at d, k, with variances: (N,)."""
    basis = form.basis(d, k)
    prior = 1.0 / coefficient_prior(basis.shape[1])
    precision = 1.0 / (variance + SCATTERS[:, None] ** 2)  # (T, N)
    inner = np.einsum("ni,tn,nj->tij", basis, precision, basis) + np.diag(prior)
    target = y - form.offset(d, k)
    pull = np.einsum("ni,tn,n->ti", basis, precision, target)
    means = np.linalg.solve(inner, pull[..., None])[..., 0]
    misfit = (precision * (target - means @ basis.T) ** 2).sum(1) + (means**2 * prior).sum(1)
    log_det = np.linalg.slogdet(inner)[1] - np.log(prior).sum() - np.log(precision).sum(1)
    terms = -0.5 * (misfit + log_det + len(y) * np.log(2.0 * np.pi)) + log_prior(SCATTERS)
    log_evidence = float(logsumexp(terms))
    weights = np.exp(terms - log_evidence)
    return Fit(form, log_evidence, weights, means, np.linalg.inv(inner), SCATTERS)
