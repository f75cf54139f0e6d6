"""Scaling laws: which family of curves n_star(d, k) follows, with which exponents, and what next.

`laws` holds the families and how they are fitted. A law is an idealisation that finite d bends, so
thresholds may stray from it by a scatter of their own, which is part of every interval here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.laws.families import forms, varying
from orchestrator.inference.laws.fit import Fit, mixed, within_floats
from orchestrator.inference.laws.intervals import observed, regressed
from orchestrator.inference.laws.outcomes import Outcomes, fitted
from orchestrator.inference.laws.scatter import SCALE
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Interval, Law, Threshold

Array = NDArray[np.float64]

FEWEST = 3
"""Found thresholds without which no law is fitted: two points lie on a curve of every family."""

DECISIVE = 0.95
"""Weight from which one family stands out: odds of 19 to 1 against all others together, about
where Kass & Raftery (1995, J. Am. Stat. Assoc. 90:773) begin to call evidence strong."""

FINER = 0.5
"""Thresholds known to this share of what they scatter about the law pin exponents as well as they
ever will: knowing them exactly would narrow intervals by a tenth. Chosen by hand."""

USED = ("found", "above_range", "below_range")
"""Thresholds that outcomes speak of, if only to say on which side of the range they lie: leaving
out those above the range would bend every law down."""


@dataclass(frozen=True)
class Laws:
    """Every family that competes on one arm's thresholds; `found` are those that were found."""

    found: tuple[Threshold, ...]
    fits: tuple[Fit, ...]
    confidence: float

    @cached_property
    def weights(self) -> dict[str, float]:
        """The evidence of each family, summing to 1."""
        evidence = np.array([fit.log_evidence for fit in self.fits])
        shares = np.exp(evidence - evidence.max())
        shares /= shares.sum()
        return {fit.form.family: float(s) for fit, s in zip(self.fits, shares, strict=True)}

    def law(self, family: str | None = None) -> Law:
        """The law that the evidence prefers, or that of the `family` asked for.

        Exponents belong to the family named by the result: powers of d and k for `power` and
        `power_log`, the power of C(d, k) under the name "C(d,k)" for `binomial`, nats of log n per
        unit of d and k for `exponential`; for `power_in_k`, which is d^(a k + b), a under the name
        "d^k" and b under "d". A letter that does not vary has no exponent; where log k follows
        log d (k = d/10), k has none and the exponent of d carries both. Families that are
        undefined on the data (C(d, k) with k > d) or equal to another one there (C(d, 1) = d) do
        not compete. `residuals` are in nats.

        A `family` that was asked for lets two arms be compared letter by letter; weights,
        `decisive` and the forecast stay those of all families.
        Raises `ValueError` when it does not compete here.
        """
        chosen = (
            max(self.weights, key=lambda name: self.weights[name]) if family is None else family
        )
        if chosen not in self.weights:
            known = ", ".join(self.weights)
            raise ValueError(f"no {chosen!r} law on these thresholds; there are: {known}")
        fit = next(fit for fit in self.fits if fit.form.family == chosen)
        return Law(
            family=chosen,
            exponents=fit.exponents(self.confidence),
            weights=self.weights,
            decisive=max(self.weights.values()) >= DECISIVE,
            prefactor=fit.prefactor(self.confidence),
            residuals=_residuals(fit, self.found),
            forecast=Forecast(self),
        )


@dataclass(frozen=True)
class Forecast:
    """What the laws say of a threshold that was not sought; see `Law.predict`."""

    laws: Laws

    def __call__(self, d: int, k: int) -> Interval:
        """n_star at (d, k) with its interval, families averaged by weight, scatter included."""
        self._check(d, k)
        fits = [fit for fit in self.laws.fits if fit.form.is_defined(d, k)]
        shares = np.array([self.laws.weights[fit.form.family] for fit in fits])
        parts = [fit.predicted(d, k) for fit in fits]
        log_n = mixed(parts, (shares / shares.sum()).tolist()).interval(self.laws.confidence)
        return Interval(*(within_floats(end) for end in (log_n.value, log_n.low, log_n.high)))

    def _check(self, d: int, k: int) -> None:
        """Raise `ValueError` where the thresholds never showed what the letter does."""
        if d < 1 or k < 1:
            raise ValueError(f"d and k are at least 1; got d = {d}, k = {k}")
        at_d, at_k = _places(self.laws.found)
        letters = varying(at_d, at_k)
        for name, values, asked in (("d", at_d, d), ("k", at_k, k)):
            if np.ptp(values) == 0 and asked != values[0]:
                raise ValueError(
                    f"{name} was {values[0]:g} at every threshold found, which shows nothing of "
                    f"{name} = {asked}"
                )
        if letters == ("d",) and np.ptp(at_k) > 0:
            line = np.polynomial.Polynomial.fit(np.log(at_d), np.log(at_k), 1)
            expected = float(np.exp(line(np.log(d))))
            if abs(k - expected) > max(1.0, float(np.abs(at_k - np.exp(line(np.log(at_d)))).max())):
                raise ValueError(
                    f"k followed d at the thresholds found, which show nothing of k = {k} at "
                    f"d = {d}; there k is about {expected:.3g}"
                )


def laws_of(posterior: Posterior) -> Laws | None:
    """The laws that outcomes show; None where fewer than three thresholds are found."""
    judged = [posterior.threshold(i) for i in range(len(posterior.asked))]
    found = tuple(one for one in judged if one.status == "found")
    if len(found) < FEWEST:
        return None
    outcomes = Outcomes.of(posterior, [i for i, one in enumerate(judged) if one.status in USED])
    fits = [fitted(outcomes, form) for form in forms(outcomes.d, outcomes.k)]
    return Laws(found, tuple(fits), posterior.confidence)


def laws_of_intervals(thresholds: Sequence[Threshold], confidence: float) -> Laws | None:
    """The laws that intervals of thresholds show where their outcomes are not at hand.

    Only those `found` count; None where they are fewer than three. Intervals are taken as
    independent of one another.
    """
    found = tuple(one for one in thresholds if one.status == "found" and one.n_star is not None)
    if len(found) < FEWEST:
        return None
    d, k = _places(found)
    y, variance = observed(found)
    fits = [regressed(form, d, k, y, variance) for form in forms(d, k)]
    return Laws(found, tuple(fits), confidence)


def fit_law(
    thresholds: Sequence[Threshold], *, confidence: float = 0.95, family: str | None = None
) -> Law | None:
    """The law of the thresholds that are `found`, by their intervals alone (`Laws.law`)."""
    laws = laws_of_intervals(thresholds, confidence)
    return None if laws is None else laws.law(family)


def exponents_settled(posterior: Posterior, tolerance: float) -> bool:
    """Whether every apparent exponent is known to `tolerance`, half the width of its interval, or
    as well as these (d, k) allow: thresholds are known much better than they scatter about the law.

    No threshold may be undecided. Where fewer than three are found there is no exponent, and all
    thresholds have to be settled.
    """
    everything = range(len(posterior.asked))
    judged = [posterior.threshold(i) for i in everything]
    found = [i for i in everything if judged[i].status == "found"]
    if len(found) < FEWEST:
        return all(posterior.settled(i) for i in everything)
    if any(one.status == "undecided" and not posterior.settled(i) for i, one in enumerate(judged)):
        return False
    outcomes = Outcomes.of(posterior, [i for i in everything if judged[i].status in USED])
    families = {form.family: form for form in forms(outcomes.d, outcomes.k)}
    power = fitted(outcomes, families["power"])
    exponents = power.exponents(posterior.confidence).values()
    if all(one.high - one.low <= 2 * tolerance for one in exponents):
        return True
    roughest = max(posterior.log_n_star(i)[1] for i in found)
    return roughest <= FINER * max(power.least_scatter(), SCALE)


def _places(found: Sequence[Threshold]) -> tuple[Array, Array]:
    return np.array([t.d for t in found], float), np.array([t.k for t in found], float)


def _residuals(fit: Fit, found: Sequence[Threshold]) -> dict[tuple[int, int], float]:
    gaps = np.log([t.n_star or np.nan for t in found]) - fit.log_n_star(*_places(found))
    return {(t.d, t.k): float(gap) for t, gap in zip(found, gaps, strict=True)}
