"""Families of scaling laws, each linear in its coefficients once n_star is in logarithms.

    constant      log n = c
    power         log n = c + a log d + b log k
    power_log     log n = c + a log d + b log k + log log d
    power_in_k    log n = c + a k log d + b log d             d^(a k + b), k in the exponent
    binomial      log n = c + a log C(d, k)
    exponential   log n = c + a d + b k

A column is a function of (d, k); its coefficient is an exponent, known by the column's name. The
columns are standardised over the thresholds at hand, so that a prior on their coefficients favours
no choice of units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]
Column = Callable[[Array, Array], Array]
"""A function of d, k: (N,) each."""

COLLINEAR = 0.99
"""Squared correlation of log d and log k from which k has no exponent of its own: its standard
error would be ten times that of an independent letter. Chosen by hand."""

IN_THE_EXPONENT = "d^k"
"""Name of the exponent a of `power_in_k`: n_star grows as (d^k)^a."""


def _d(d: Array, k: Array) -> Array:
    return d


def _k(d: Array, k: Array) -> Array:
    return k


def _log_d(d: Array, k: Array) -> Array:
    return np.log(d)


def _log_k(d: Array, k: Array) -> Array:
    return np.log(k)


def _k_log_d(d: Array, k: Array) -> Array:
    return k * np.log(d)


def _log_log_d(d: Array, k: Array) -> Array:
    return np.log(np.log(d))


def _log_choose(d: Array, k: Array) -> Array:
    return np.asarray(gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1))


def _nothing(d: Array, k: Array) -> Array:
    return np.zeros(len(d))


LOGS: Mapping[str, Column] = {"d": _log_d, "k": _log_k}
PLAIN: Mapping[str, Column] = {"d": _d, "k": _k}


@dataclass(frozen=True)
class Form:
    """One family on given thresholds: exponents' names, their columns, a part without coefficient.

    `centre` and `spread`: (p,), what the columns are standardised by.
    """

    family: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    extra: Column
    centre: Array
    spread: Array

    def basis(self, d: Array, k: Array) -> Array:
        """A column of ones, then the standardised columns, at d, k: (N,), as (N, 1 + p)."""
        standardised = (_stacked(self.columns, d, k) - self.centre) / self.spread
        return np.column_stack([np.ones(len(d)), standardised])

    def offset(self, d: Array, k: Array) -> Array:
        """The part without coefficient: (N,)."""
        return self.extra(d, k)

    def is_defined(self, d: float, k: float) -> bool:
        """Whether the family says anything at (d, k)."""
        return (self.family != "power_log" or d >= 2) and (self.family != "binomial" or k <= d)


def forms(d: Array, k: Array) -> list[Form]:
    """The families that are defined at d, k: (N,), and differ there.

    A letter that does not vary has no column; where log k follows log d (k = d/10) k has none, and
    the column of d stands for both. Families undefined at some point (C(d, k) with k > d) and
    families equal to another one (C(d, 1) = d) are left out.
    """
    letters = varying(d, k)
    logs = {letter: LOGS[letter] for letter in letters}
    families: dict[str, Mapping[str, Column]] = {"constant": {}, "power": logs}
    if "d" in letters and d.min() >= 2:
        families["power_log"] = logs
    if letters == ("d", "k"):
        families["power_in_k"] = {IN_THE_EXPONENT: _k_log_d, "d": _log_d}
    if np.all(k <= d) and not _is_spanned(_log_choose(d, k), _stacked(tuple(logs.values()), d, k)):
        families["binomial"] = {"C(d,k)": _log_choose}
    families["exponential"] = {letter: PLAIN[letter] for letter in letters}
    return [_form(family, columns, d, k) for family, columns in families.items()]


def _form(family: str, named: Mapping[str, Column], d: Array, k: Array) -> Form:
    columns = tuple(named.values())
    at_hand = _stacked(columns, d, k)
    extra = _log_log_d if family == "power_log" else _nothing
    return Form(family, tuple(named), columns, extra, at_hand.mean(0), at_hand.std(0))


def varying(d: Array, k: Array) -> tuple[str, ...]:
    """The letters that can have an exponent of their own."""
    letters = tuple(name for name, values in (("d", d), ("k", k)) if np.ptp(values) > 0)
    if len(letters) < 2:
        return letters
    return ("d",) if np.corrcoef(np.log(d), np.log(k))[0, 1] ** 2 > COLLINEAR else letters


def _stacked(columns: Sequence[Column], d: Array, k: Array) -> Array:
    return (
        np.stack([column(d, k) for column in columns], axis=1) if columns else np.empty((len(d), 0))
    )


def _is_spanned(column: Array, others: Array) -> bool:
    """Whether a constant and one of `others`: (N, p) together give `column`, to rounding."""
    if np.ptp(column) < 1e-9:
        return True
    return any(abs(np.corrcoef(other, column)[0, 1]) > 1 - 1e-9 for other in others.T)
