"""From log n to a chance of success: links and lapses, all anchored at the crossing itself.

Every form is written so that success is exactly `level` at log n = m, and rises there at the
slope of a logistic curve of steepness s: m is log n_star under each of them, whatever the level
and the lapses. Forms are weighted by how well they explain the data (`coupling`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Link = Literal["logistic", "early", "late"]

STEEPEST = 40.0
"""Bound on |s (log n - m)|: beyond it a link is 0 or 1 to the last bit of a float64."""

FLOOR = 1e-3
"""Smallest lapse: one false outcome must never have probability zero. Chosen by hand."""


@dataclass(frozen=True)
class Form:
    """A shape of the success curve: P = lapse_low + (1 - lapse_low - lapse_high) * link.

    `early` is the complementary log-log link 1 - exp(-e^u), whose upper end is reached fast,
    `late` its mirror image exp(-e^-u). `weight` is its prior weight, not normalised.
    """

    link: Link
    lapse_low: float
    lapse_high: float
    weight: float


FORMS = (
    Form("logistic", FLOOR, FLOOR, 0.30),
    Form("early", FLOOR, FLOOR, 0.12),
    Form("late", FLOOR, FLOOR, 0.12),
    Form("logistic", 0.02, 0.02, 0.14),
    Form("logistic", 0.06, 0.06, 0.08),
    Form("logistic", FLOOR, 0.04, 0.08),
    Form("logistic", 0.04, FLOOR, 0.08),
    Form("logistic", FLOOR, 0.12, 0.04),
    Form("logistic", 0.12, 0.12, 0.04),
)
"""The forms that are averaged; weights chosen by hand: mostly clean curves, lapses as a remedy."""

ROOM = 0.75
"""A lapse takes at most this share of what lies beyond the level, so that a crossing exists."""


def admissible(forms: Sequence[Form], level: float) -> tuple[Form, ...]:
    """The forms with lapses that leave room for a crossing at `level`; equal ones merged."""
    merged: dict[tuple[Link, float, float], Form] = {}
    for form in forms:
        low = min(form.lapse_low, ROOM * level)
        high = min(form.lapse_high, ROOM * (1.0 - level))
        known = merged.get((form.link, low, high))
        weight = form.weight + (known.weight if known else 0.0)
        merged[form.link, low, high] = replace(form, lapse_low=low, lapse_high=high, weight=weight)
    return tuple(merged.values())


def anchor(form: Form, level: float) -> float:
    """The link's value where success is `level`."""
    return (level - form.lapse_low) / (1.0 - form.lapse_low - form.lapse_high)


def chances(form: Form, level: float, u: Array) -> tuple[Array, Array]:
    """Chances of success and of failure at u = s (log n - m), any shape; both in (0, 1)."""
    reach = 1.0 - form.lapse_low - form.lapse_high
    rise, fall = _link(form.link, anchor(form, level), u)
    return form.lapse_low + reach * rise, form.lapse_high + reach * fall


def _link(link: Link, anchor: float, u: Array) -> tuple[Array, Array]:
    """The link and one minus it; the link is `anchor` at 0 and has slope anchor * (1 - anchor)."""
    if link == "logistic":
        odds = np.exp(np.clip(u, -STEEPEST, STEEPEST)) * (anchor / (1.0 - anchor))
        return odds / (1.0 + odds), 1.0 / (1.0 + odds)
    if link == "early":
        hazard = -math.log1p(-anchor)
        fall = np.exp(-hazard * np.exp(np.clip(u * (anchor / hazard), -STEEPEST, 6.0)))
        return 1.0 - fall, fall
    hazard = -math.log(anchor)
    rise = np.exp(-hazard * np.exp(np.clip(-u * ((1.0 - anchor) / hazard), -STEEPEST, 6.0)))
    return rise, 1.0 - rise


def offset(form: Form, level: float, success: float) -> float:
    """The u at which the form's success chance is `success`, moved inside its reach if need be."""
    reach = 1.0 - form.lapse_low - form.lapse_high
    at = anchor(form, level)
    wanted = min(max((success - form.lapse_low) / reach, 0.005), 0.995)
    if form.link == "logistic":
        return math.log(wanted / (1 - wanted)) - math.log(at / (1 - at))
    if form.link == "early":
        hazard = -math.log1p(-at)
        return math.log(-math.log1p(-wanted) / hazard) * hazard / at
    hazard = -math.log(at)
    return -math.log(-math.log(wanted) / hazard) * hazard / (1.0 - at)
