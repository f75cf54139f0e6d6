"""Where between two tried values of a tuned field a better one may lie.

Along one field, through the best setting and its two neighbours, log n_star is taken as a parabola
in the field (in its logarithm on a log range). Where its lowest point promises more than the
tolerance, the value half way to the neighbour on that side enters the race: successive parabolic
interpolation (Brent 1973, Algorithms for Minimization without Derivatives, chapter 5), kept to
bisections so that every (d, k) asks for the same few values. What it promises is an expectation
over the three posteriors. So near a flat optimum nothing enters, as settings that are nearly equal
cost a race most and win it least; and a neighbour known only to be worse leaves room for more.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.plugin import canonical_json
from orchestrator.inference.posterior import Posterior
from orchestrator.spec import Tunable

FINEST = 2
"""Values come at most this many times closer than those the race began with: quarters of a decade
on a log range. Measured on parabolas in log step, three seeds each at tolerance 0.1, for 580 to 920
trials: thresholds end within 3% of the best step's where a half decade costs a factor of 1.9, and
within 12% where it costs 14. With 4 it was 3% for 880 to 1,130; hardly ever refining left 52%."""

ROUGH = 2.0
"""A cell asks for more values once its best is known to this many times the tolerance."""

QUANTILES = 11
"""Values that stand for a posterior of log n_star."""

Array = NDArray[np.float64]


def refined(
    tune: Mapping[str, Tunable],
    settings: Sequence[Mapping[str, Any]],
    posteriors: Sequence[Posterior],
) -> list[dict[str, Any]]:
    """Settings that are worth entering, each once, in a fixed order; those tried are left out."""
    known = {canonical_json(dict(setting)) for setting in settings}
    found: dict[str, dict[str, Any]] = {}
    for i in range(len(posteriors[0].asked)):
        place = _best_known(posteriors, i)
        if place is None:
            continue
        for name in settings[place]:
            value = _between(tune[name], name, settings, posteriors, i, place)
            if value is not None:
                setting = {**settings[place], name: value}
                found.setdefault(canonical_json(setting), setting)
    return [found[name] for name in sorted(found) if name not in known]


def _best_known(posteriors: Sequence[Posterior], i: int) -> int | None:
    """The setting with the least n_star found, once that is roughly known."""
    found = [posterior.threshold(i) for posterior in posteriors]
    standing = [h for h, one in enumerate(found) if one.status == "found" and one.n_star]
    if not standing:
        return None
    place = min(standing, key=lambda h: found[h].n_star or math.inf)
    one = found[place]
    assert one.n_star is not None
    assert one.low is not None
    assert one.high is not None
    wide = one.high - one.low > 2 * ROUGH * posteriors[place].tolerance * one.n_star
    return None if wide else place


def _between(
    tunable: Tunable,
    name: str,
    settings: Sequence[Mapping[str, Any]],
    posteriors: Sequence[Posterior],
    i: int,
    place: int,
) -> float | None:
    """A value of the field beside the best one that promises a lower threshold; None for none."""
    if tunable.choices:
        return None
    at = _scale(tunable)
    line = sorted(_alike(settings, place, name), key=lambda h: at(settings[h][name]))
    middle = line.index(place)
    if not 0 < middle < len(line) - 1:
        return None
    three = line[middle - 1 : middle + 2]
    if any(posteriors[h].threshold(i).trials == 0 for h in three):
        return None
    x = [at(settings[h][name]) for h in three]
    down, up = promises(x, [_quantiles(posteriors[h], i) for h in three])
    if down + up <= math.log1p(posteriors[place].tolerance):
        return None
    other = x[0] if down > up else x[2]
    if abs(other - x[1]) < _step(tunable, at) * 1.5 / FINEST:
        return None
    half = (other + x[1]) / 2
    value = tunable.rounded(math.exp(half) if tunable.spacing == "log" else half)
    return value if min(other, x[1]) < at(value) < max(other, x[1]) else None


def promises(x: Sequence[float], y: Sequence[Array]) -> tuple[float, float]:
    """How far below y[1] the lowest point lies, expected, on the side of x[0] and of x[2].

    x ascends; y are equally likely values of the three, taken in all combinations. A parabola
    without a lowest point between the outer two promises nothing.
    """
    a, b = x[1] - x[0], x[2] - x[1]
    low, middle, high = np.meshgrid(*y, indexing="ij")
    left, right = (low - middle) / a, (high - middle) / b
    curvature = np.maximum((left + right) / (a + b), 1e-12)
    slope = (right * a - left * b) / (a + b)
    lowest = -slope / (2 * curvature)
    depth = np.where((-a < lowest) & (lowest < b), slope**2 / (4 * curvature), 0.0)
    down = float(np.where(lowest < 0, depth, 0.0).mean())
    return down, float(depth.mean()) - down


def _quantiles(posterior: Posterior, i: int) -> Array:
    return np.array([posterior.quantile(i, (q + 0.5) / QUANTILES) for q in range(QUANTILES)])


def _alike(settings: Sequence[Mapping[str, Any]], place: int, name: str) -> list[int]:
    """Places of the settings that differ from one in that field only, itself included."""
    others = {key: value for key, value in settings[place].items() if key != name}
    return [
        h
        for h, setting in enumerate(settings)
        if {key: value for key, value in setting.items() if key != name} == others
    ]


def _scale(tunable: Tunable) -> Callable[[float], float]:
    return math.log if tunable.spacing == "log" else float


def _step(tunable: Tunable, at: Callable[[float], float]) -> float:
    """The widest step between the values that the race began with."""
    places = [at(float(value)) for value in tunable.steps]
    return max(b - a for a, b in pairwise(places))
