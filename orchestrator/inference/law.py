"""Scaling laws: which family of curves n_star(d, k) follows, and with which exponents.

Every family is linear in its coefficients once n_star is taken in logarithms:

    constant      log n = c
    power         log n = c + a log d + b log k
    power_log     log n = c + a log d + b log k + log log d
    binomial      log n = c + a log C(d, k)
    exponential   log n = c + a d + b k

Observed are y_i = log n_star,i with standard error s_i (the half width of the interval in log n
over the normal quantile of its confidence). A law is an idealisation that finite d bends, so the
errors have a second, common part: y_i ~ N(law_i, s_i^2 + tau^2). Coefficients have normal priors
and tau a half-Cauchy one. Given tau the evidence is that of Bayesian linear regression in closed
form (Bishop, Pattern Recognition and Machine Learning, 2006, section 3.5); tau is then summed out
on a grid. That is exact where a BIC or Laplace figure would be rough: three to eight thresholds are
the usual case. Errors of different thresholds are taken as independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, ndtr, ndtri

from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Interval, Law, Threshold

Array = NDArray[np.float64]

FEWEST = 3
"""Found thresholds without which no law is fitted: two points lie on a curve of every family."""
DECISIVE = 0.95
"""Weight from which one family stands out: odds of 19 to 1 against all others together, about
where Kass & Raftery (1995, J. Am. Stat. Assoc. 90:773) begin to call evidence strong."""
SLOPE_SD = 2.0
"""Prior sd of a slope: nats of log n per standard deviation of its column over the thresholds at
hand, so that no choice of units favours a family. Chosen by hand."""
LEVEL_SD = 20.0
"""Prior sd of log n in the middle of the data, nats. Flat for any n a machine could reach."""
SCATTER = 0.05
"""Scale of tau, nats: measured thresholds of six exactly known systems lie within 1-5% of their
formulas at d from 10 to 200. Half-Cauchy as in Gelman (2006, Bayesian Analysis 1:515)."""
SCATTERS: Array = np.geomspace(1e-4, 10.0, 121)
"""Values of tau summed over, nats."""
COLLINEAR = 0.99
"""Squared correlation of log d and log k from which k has no exponent of its own: its standard
error would be ten times that of an independent letter. Chosen by hand."""


@dataclass(frozen=True)
class _Form:
    """One family on the data at hand: columns (N, p), the part without coefficient (N,)."""

    family: str
    names: tuple[str, ...]
    columns: Array
    offset: Array


@dataclass(frozen=True)
class _Fit:
    """The posterior of a family: for each tau a weight (T,), means (T, 1 + p), covariances.

    Coefficients are those of `_standardised` columns: the level in the middle of the data first.
    """

    form: _Form
    log_evidence: float
    weights: Array
    means: Array
    covariances: Array

    def interval(self, functional: Array, confidence: float) -> Interval:
        """Posterior median and central interval of `functional` @ coefficients."""
        centre = self.means @ functional
        sd = np.sqrt(np.einsum("i,tij,j->t", functional, self.covariances, functional))
        tail = (1.0 - confidence) / 2.0
        quantiles = [_quantile(self.weights, centre, sd, q) for q in (0.5, tail, 1.0 - tail)]
        return Interval(*quantiles)


def fit_law(
    thresholds: Sequence[Threshold], *, confidence: float = 0.95, family: str | None = None
) -> Law | None:
    """The law of the thresholds that are `found`; None where there are fewer than three.

    Exponents belong to the family named by the result: powers of d and k for `power` and
    `power_log`, the power of C(d, k) under the name "C(d,k)" for `binomial`, nats of log n per
    unit of d and k for `exponential`. A letter that does not vary has no exponent; where log k
    follows log d (k = d/10), k has none and the exponent of d carries both. Families that are
    undefined on the data (C(d, k) with k > d) or equal to another one there (C(d, 1) = d) do not
    compete. `residuals` are in nats.

    `family` asks for the exponents of that family instead of the preferred one, so that two arms
    can be compared letter by letter; weights and `decisive` stay those of all families.
    Raises `ValueError` when it does not compete here.
    """
    found = [t for t in thresholds if t.status == "found" and None not in (t.n_star, t.low, t.high)]
    if len(found) < FEWEST:
        return None
    y, variance = _observed(found)
    fits = [_fit(form, y, variance) for form in _forms(found)]
    evidence = np.array([fit.log_evidence for fit in fits])
    weights = np.exp(evidence - logsumexp(evidence))
    names = [fit.form.family for fit in fits]
    if family is not None and family not in names:
        raise ValueError(f"no {family!r} law on these thresholds; there are: {', '.join(names)}")
    chosen = fits[int(np.argmax(weights)) if family is None else names.index(family)]
    return Law(
        family=chosen.form.family,
        exponents=_exponents(chosen, confidence),
        weights={name: float(weight) for name, weight in zip(names, weights, strict=True)},
        decisive=bool(weights.max() >= DECISIVE),
        prefactor=_prefactor(chosen, confidence),
        residuals=_residuals(chosen, found, y),
    )


def exponents_settled(posterior: Posterior, tolerance: float) -> bool:
    """Whether every apparent exponent is known to `tolerance`, half the width of its interval.

    Every threshold has to be answered for on its own word. Where fewer than three are found and
    all are settled, there is no exponent to wait for.
    """
    everything = range(len(posterior.asked))
    if any(posterior.threshold(i).status == "undecided" for i in everything):
        return False
    law = fit_law(
        [posterior.threshold(i) for i in everything],
        confidence=posterior.confidence,
        family="power",
    )
    if law is None:
        return all(posterior.settled(i) for i in everything)
    return all(one.high - one.low <= 2 * tolerance for one in law.exponents.values())


def _observed(found: Sequence[Threshold]) -> tuple[Array, Array]:
    """The logarithm of n_star and its variance, at least that of a value known to one integer."""
    n_star, low, high = (
        np.array([getattr(t, name) for t in found], float) for name in ("n_star", "low", "high")
    )
    quantile = ndtri(np.array([(1.0 + t.confidence) / 2.0 for t in found]))
    variance = (np.log(high / low) / (2.0 * quantile)) ** 2
    return np.log(n_star), np.maximum(variance, 1.0 / (12.0 * n_star**2))


def _letters(d: Array, k: Array) -> tuple[str, ...]:
    """The letters that can have an exponent of their own."""
    varying = tuple(name for name, values in (("d", d), ("k", k)) if np.ptp(values) > 0)
    if len(varying) < 2:
        return varying
    return ("d",) if np.corrcoef(np.log(d), np.log(k))[0, 1] ** 2 > COLLINEAR else varying


def _forms(found: Sequence[Threshold]) -> list[_Form]:
    """The families that are defined on these thresholds and differ there."""
    d, k = np.array([t.d for t in found], float), np.array([t.k for t in found], float)
    values = {"d": d, "k": k}
    letters = _letters(d, k)
    raw = np.column_stack([values[name] for name in letters])
    logs, nothing = np.log(raw), np.zeros(len(found))
    forms = [
        _Form("constant", (), np.empty((len(found), 0)), nothing),
        _Form("power", letters, logs, nothing),
    ]
    if "d" in letters and d.min() >= 2:
        forms.append(_Form("power_log", letters, logs, np.log(np.log(d))))
    if np.all(k <= d):
        choose = (gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1))[:, None]
        if not _spans(logs, choose):
            forms.append(_Form("binomial", ("C(d,k)",), choose, nothing))
    forms.append(_Form("exponential", letters, raw, nothing))
    return forms


def _spans(columns: Array, column: Array) -> bool:
    """Whether a constant and one of `columns` together give `column`, to rounding."""
    if np.ptp(column) < 1e-9:
        return True
    return any(abs(np.corrcoef(one, column[:, 0])[0, 1]) > 1 - 1e-9 for one in columns.T)


def _standardised(columns: Array) -> Array:
    """A column of ones, then the columns with mean 0 and standard deviation 1: (N, 1 + p)."""
    centred = (columns - columns.mean(0)) / columns.std(0)
    return np.column_stack([np.ones(len(columns)), centred])


def _fit(form: _Form, y: Array, variance: Array) -> _Fit:
    """The posterior of one family and its log evidence, summed over `SCATTERS`."""
    Z = _standardised(form.columns)
    prior = np.array([LEVEL_SD**-2] + [SLOPE_SD**-2] * (Z.shape[1] - 1))
    precision = 1.0 / (variance + SCATTERS[:, None] ** 2)  # (T, N)
    inner = np.einsum("ni,tn,nj->tij", Z, precision, Z) + np.diag(prior)
    target = y - form.offset
    means = np.linalg.solve(inner, np.einsum("ni,tn,n->ti", Z, precision, target)[..., None])[
        ..., 0
    ]
    misfit = (precision * (target - means @ Z.T) ** 2).sum(1) + (means**2 * prior).sum(1)
    log_det = np.linalg.slogdet(inner)[1] - np.log(prior).sum() - np.log(precision).sum(1)
    log_likelihood = -0.5 * (misfit + log_det + len(y) * np.log(2.0 * np.pi))
    terms = log_likelihood + _log_scatter_prior()
    log_evidence = float(logsumexp(terms))
    return _Fit(form, log_evidence, np.exp(terms - log_evidence), means, np.linalg.inv(inner))


def _log_scatter_prior() -> Array:
    """Log probability of each of `SCATTERS`: half-Cauchy, trapezoidal in log tau, summing to 1."""
    log_density = np.log(SCATTERS) - np.log1p((SCATTERS / SCATTER) ** 2)
    log_density[[0, -1]] -= np.log(2.0)
    normalised: Array = log_density - logsumexp(log_density)
    return normalised


def _quantile(weights: Array, means: Array, sds: Array, probability: float) -> float:
    """A quantile of a mixture of normal distributions."""

    def excess(x: float) -> float:
        return float(weights @ ndtr((x - means) / sds)) - probability

    low, high = (means - 40.0 * sds).min(), (means + 40.0 * sds).max()
    return float(brentq(excess, low, high, xtol=1e-10))


def _exponents(fit: _Fit, confidence: float) -> dict[str, Interval]:
    scales = fit.form.columns.std(0)
    units = np.eye(1 + len(scales))[1:] / scales[:, None]
    return {
        name: fit.interval(unit, confidence)
        for name, unit in zip(fit.form.names, units, strict=True)
    }


def _prefactor(fit: _Fit, confidence: float) -> Interval:
    """exp(c): n_star where every column is 0."""
    columns = fit.form.columns
    functional = np.concatenate([[1.0], -columns.mean(0) / columns.std(0)])
    log_c = fit.interval(functional, confidence)
    return Interval(*(float(np.exp(end)) for end in (log_c.value, log_c.low, log_c.high)))


def _residuals(fit: _Fit, found: Sequence[Threshold], y: Array) -> dict[tuple[int, int], float]:
    predicted = _standardised(fit.form.columns) @ (fit.weights @ fit.means) + fit.form.offset
    return {(t.d, t.k): float(gap) for t, gap in zip(found, y - predicted, strict=True)}
