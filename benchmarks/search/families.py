"""The families of problems. Problem number p of a family is the same for ever.

A family is a function from its random stream to a problem. Unless it says otherwise it is `base`
with one thing changed: d at 16 values log-spaced from 10 to 300; with z = log d standardised over
them, log n_star = log 2.3 + 1.5 log d + u + v z, u ~ N(0, 0.7^2), v ~ N(0, 0.4^2); success has
probability q + (1 - 2q) Phi(s (log n - log n_star)), s = 4 exp(N(0, 0.3^2)), q = 1%; n from 5 to
100,000. Parameters of the other families are chosen by hand so that thresholds lie well inside
that range, and so that what was built to be odd is clearly so.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from benchmarks.search.curves import AS_LOGISTIC, Curve, Dip, Link, crossing_at
from benchmarks.search.problems import Law, Problem
from orchestrator.inference.threshold import Asked, Status

Array = NDArray[np.float64]
Rng = np.random.Generator
Family = Callable[[Rng], Problem]

REVISION = 1
"""Raised when any family draws other problems than before; results of another revision are void."""

DS = tuple(round(d) for d in np.geomspace(10, 300, 16))
LOW, HIGH = 5, 100_000
LOG_D = np.log(DS)
Z = (LOG_D - LOG_D.mean()) / LOG_D.std()
LEVEL_SD, TILT_SD = 0.7, 0.4
LAPSE = 0.01


def problem(family: str, number: int) -> Problem:
    """Problem `number` of a family, by name."""
    rng = np.random.default_rng([*family.encode(), number, 0])
    return replace(FAMILIES[family](rng), family=family, number=number)


# drawing the parts


def _asked(cells: Sequence[tuple[int, int]], low: int = LOW, high: int = HIGH) -> tuple[Asked, ...]:
    return tuple(Asked(d, k, low, high) for d, k in cells)


def _along_d(ds: Sequence[int] = DS) -> tuple[Asked, ...]:
    return _asked([(d, 1) for d in ds])


def _tilted(mean: Array) -> Law:
    """A law over `DS` known up to a factor and an exponent."""
    return Law(mean, np.column_stack([np.full(len(DS), LEVEL_SD), TILT_SD * Z]))


def _drawn(rng: Rng, law: Law) -> Array:
    return law.mean + law.basis @ rng.normal(size=law.basis.shape[1])


def _slope(rng: Rng) -> float:
    return float(4 * np.exp(rng.normal(0, 0.3)))


def _curves(
    log_n_star: Array, slope: float | Array, link: Link = "probit", lapse: float | Array = LAPSE
) -> tuple[Curve, ...]:
    shape = log_n_star.shape
    slopes, lapses = np.broadcast_to(slope, shape), np.broadcast_to(lapse, shape)
    return tuple(
        crossing_at(link, float(m), float(s), float(q), float(q))
        for m, s, q in zip(log_n_star, slopes, lapses, strict=True)
    )


def _with(asked: tuple[Asked, ...], curves: tuple[Curve, ...], law: Law | None = None) -> Problem:
    return Problem("", 0, asked, curves, law)


BASE = _tilted(np.log(2.3) + 1.5 * LOG_D)


def _like_base(rng: Rng, *, link: Link = "probit", lapse: float = LAPSE) -> Problem:
    log_n_star = _drawn(rng, BASE)
    return _with(_along_d(), _curves(log_n_star, _slope(rng), link, lapse), BASE)


# ordinary thresholds


def base(rng: Rng) -> Problem:
    """As above."""
    return _like_base(rng)


def planted(rng: Rng) -> Problem:
    """A false outcome among the first five."""
    return replace(_like_base(rng), planted=True)


def lapse_2(rng: Rng) -> Problem:
    """Lapses q = 2%."""
    return _like_base(rng, lapse=0.02)


def lapse_5(rng: Rng) -> Problem:
    """Lapses q = 5%."""
    return _like_base(rng, lapse=0.05)


def probit(rng: Rng) -> Problem:
    """No lapses at all."""
    return _like_base(rng, lapse=0.0)


def gumbel(rng: Rng) -> Problem:
    """The Gumbel link, or its mirror image."""
    return _like_base(rng, link="early" if rng.random() < 0.5 else "late")


def one(rng: Rng) -> Problem:
    """One threshold, log n_star ~ N(middle of the range, 1.5^2)."""
    law = Law(np.array([math.log(LOW * HIGH) / 2]), np.array([[1.5]]))
    return _with(_along_d([20]), _curves(_drawn(rng, law), _slope(rng)), law)


def surface(rng: Rng) -> Problem:
    """Five d by three k: exponents N(1.2, 0.3^2) and N(1.5, 0.5^2), and a small product term."""
    cells = [(d, k) for d in (10, 20, 40, 80, 160) for k in (2, 3, 4)]
    x, y = np.log(np.array(cells, dtype=np.float64)).T
    x, y = x - x.mean(), y - y.mean()
    columns = [np.full(len(cells), LEVEL_SD), 0.3 * x, 0.5 * y, 0.15 * x * y / (x.std() * y.std())]
    law = Law(6.5 + 1.2 * x + 1.5 * y, np.column_stack(columns))
    return _with(_asked(cells), _curves(_drawn(rng, law), _slope(rng)), law)


def growing_slope(rng: Rng) -> Problem:
    """Slope s grows like d to a power uniform in 0.3 to 1, and is as in base in the middle."""
    slopes = _slope(rng) * np.exp(rng.uniform(0.3, 1.0) * (LOG_D - LOG_D.mean()))
    return _with(_along_d(), _curves(_drawn(rng, BASE), slopes), BASE)


def varying(rng: Rng) -> Problem:
    """Each d has a slope of its own, N(0, 0.3^2) about the common log s; q grows from 0 to 5%."""
    slopes = _slope(rng) * np.exp(rng.normal(0, 0.3, len(DS)))
    lapses = np.linspace(0, 0.05, len(DS))
    return _with(_along_d(), _curves(_drawn(rng, BASE), slopes, lapse=lapses), BASE)


def shallow(rng: Rng) -> Problem:
    """Logistic with a slope log-uniform in 0.7 to 2: n grows 80 to 500,000 fold from 10% to 90%."""
    slope = float(np.exp(rng.uniform(math.log(0.7), math.log(2.0))))
    return _with(_along_d(), _curves(_drawn(rng, BASE), slope, "logistic"), BASE)


def binomial(rng: Rng) -> Problem:
    """n_star = c C(d, 2), log c ~ N(-1, 0.5^2)."""
    log_n_star = gammaln(np.array(DS) + 1) - gammaln(np.array(DS) - 1) - gammaln(3)
    return _known_law(rng, log_n_star - 1.0, 0.5)


def d_log_d(rng: Rng) -> Problem:
    """n_star = c d log d, log c ~ N(0.5, 0.7^2)."""
    return _known_law(rng, 0.5 + LOG_D + np.log(LOG_D), 0.7)


def _known_law(rng: Rng, mean: Array, spread: float) -> Problem:
    """n_star exactly c times a law; the oracle is not told the exponent."""
    log_n_star = mean + rng.normal(0, spread)
    return _with(_along_d(), _curves(log_n_star, _slope(rng)), _tilted(mean))


def exponential(rng: Rng) -> Problem:
    """n_star = exp(c d) times a factor, d = 8, 10 .. 38, c ~ N(0.12, 0.03^2)."""
    ds = list(range(8, 40, 2))
    x = np.array(ds, dtype=np.float64)
    law = Law(2.5 + 0.12 * x, np.column_stack([np.full(len(ds), LEVEL_SD), 0.03 * (x - x.mean())]))
    return _with(_along_d(ds), _curves(_drawn(rng, law), _slope(rng)), law)


def kink(rng: Rng) -> Problem:
    """The exponent changes between two of the middle d: 0.5 to 1.2 on one side, 1.5 to 2.2 beyond,
    or the other way round.
    """
    at = LOG_D[rng.integers(5, 11)]
    centres = (0.85, 1.85) if rng.random() < 0.5 else (1.85, 0.85)
    before, after = np.minimum(LOG_D - at, 0.0), np.maximum(LOG_D - at, 0.0)
    law = Law(
        6.5 + centres[0] * before + centres[1] * after,
        np.column_stack([np.full(len(DS), LEVEL_SD), 0.2 * before, 0.2 * after]),
    )
    theta = np.append(rng.normal(), rng.uniform(-0.35, 0.35, 2) / 0.2)
    return _with(_along_d(), _curves(law.mean + law.basis @ theta, _slope(rng)), law)


def integer_steps(rng: Rng) -> Problem:
    """A jump between two whole numbers at c d, log c ~ N(0.3, 0.5^2)."""
    log_n_star = LOG_D + rng.normal(0.3, 0.5)
    curves = tuple(Curve("jump", math.log(math.floor(math.exp(m)) + 0.5), 1e3) for m in log_n_star)
    return _with(_along_d(), curves)


def above_for_large_d(rng: Rng) -> Problem:
    """The range ends among the thresholds: those of the largest 3 to 6 d lie above it."""
    found = _like_base(rng)
    ordered = sorted(curve.log_n_star for curve in found.curves)
    cut = len(DS) - int(rng.integers(3, 7))
    high = max(round(math.exp((ordered[cut - 1] + ordered[cut]) / 2)), 4 * LOW)
    return replace(found, asked=tuple(replace(ask, high=high) for ask in found.asked))


# thresholds built to be odd: alone in half of the problems, else beside two ordinary ones


def not_sharp(rng: Rng) -> Problem:
    """Logistic of slope 0.05 to 0.25 in log n, through one half inside the range."""
    slope = rng.uniform(0.05, 0.25)
    return _odd(rng, "not_sharp", lambda m: Curve("logistic", m, slope))


def not_monotone(rng: Rng) -> Problem:
    """Success falls to 1% again 1 to 2.5 nats after it rose, in two of three cases for 1 to 2.5."""
    start = rng.uniform(1.0, 2.5)
    end = start + rng.uniform(1.0, 2.5) if rng.random() < 2 / 3 else math.inf
    slope = AS_LOGISTIC * _slope(rng) * 2

    def curve(m: float) -> Curve:
        return Curve("probit", m, slope / AS_LOGISTIC, LAPSE, LAPSE, Dip(m + start, m + end, slope))

    return _odd(rng, "not_monotone", curve)


def above_range(rng: Rng) -> Problem:
    """n_star lies 1 to 4 nats above the range."""
    slope, beyond = _slope(rng), rng.uniform(1, 4)
    at = math.log(HIGH) + beyond
    return _odd(rng, "above_range", lambda m: crossing_at("probit", at, slope, LAPSE, LAPSE), 2)


def below_range(rng: Rng) -> Problem:
    """n_star lies 1 to 4 nats below the range."""
    slope, beyond = _slope(rng), rng.uniform(1, 4)
    at = math.log(LOW) - beyond
    return _odd(rng, "below_range", lambda m: crossing_at("probit", at, slope, LAPSE, LAPSE), 0)


def _odd(
    rng: Rng, status: Status, curve: Callable[[float], Curve], among: int | None = None
) -> Problem:
    """One threshold with this curve, alone or as one of three (`among`: which one, else any)."""
    ds = (10, 30, 100)
    place = int(rng.integers(3)) if among is None else among
    log_n_star = 6.0 + 1.2 * (np.log(ds) - math.log(30)) + rng.normal(0, 0.5)
    ordinary = _curves(log_n_star, _slope(rng))
    odd = curve(float(log_n_star[place]))
    if rng.random() < 0.5:
        return replace(_with(_along_d([ds[place]]), (odd,)), odd=(status,))
    curves = tuple(odd if i == place else ordinary[i] for i in range(3))
    marks = tuple(status if i == place else None for i in range(3))
    return replace(_with(_along_d(ds), curves), odd=marks)


ORDINARY: dict[str, Family] = {
    family.__name__: family
    for family in (
        base, one, surface, growing_slope, lapse_2, lapse_5, gumbel, probit, binomial, d_log_d,
        exponential, kink, integer_steps, above_for_large_d, planted, varying, shallow,
    )
}  # fmt: skip
ODD: dict[str, Family] = {
    family.__name__: family for family in (not_sharp, not_monotone, above_range, below_range)
}
FAMILIES = {**ORDINARY, **ODD}

ALONE = ("one",)
"""Families of a single threshold."""

PROBLEMS = 200
"""Problems of each family in a whole run."""
