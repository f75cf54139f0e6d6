"""The least that a threshold can cost: an oracle that knows the curve but not its place.

Success at n has chance P(log n - m), m = log n_star. One trial at n tells of m the Fisher
information

    I(n) = (dP / d log n)^2 / (P (1 - P)),

s^2 / 4 at the middle of a logistic curve of slope s. N trials estimate m without bias with variance
at least 1 / (N I) (Cramér 1946, section 32.3), and so in expectation when N is chosen on the way,
as any search does (Wolfowitz 1947, Ann. Math. Stat. 18, 215). The oracle therefore needs

    trials    min over n of 1 / (I(n) v)
    seconds   min over n of c(n) / (I(n) v)

where c(n) are the seconds of one trial in the grid's packs or in the searches', whichever are less,
and v is the variance of m at which the interval is as narrow as asked: (high - low) / (2 n_star) =
tolerance, or, where that is less to ask, all but 1 - confidence of the probability within the
integer step of n_star.

P is the closed form where there is one, else the curve fitted to all trials at hand, those of the
grid and of every search. Thresholds are priced one by one: a law that joins them tells each what
the others found, which can save a search up to the share of all but one of them. What the oracle is
spared, finding the place and the slope and making sure that success does not fall again, is what
the second half of the goal, twice the bound, leaves to a search.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]
"""P(success) at real n."""

Price = Callable[[int], float]
"""Seconds of one trial at n."""

SUCCESS = (0.05, 0.95)
"""Chances of success at which the oracle may try: beyond, what an outcome tells hangs on tails that
nobody knows (of parity at n = d - 1 one success would tell everything). Chosen by hand."""

STEPS = 50
"""A derivative is taken over this part of the width from 10% to 90%, on either side."""

NEAR = 0.1
"""Seconds at n are averaged over n with a Gaussian of this width, in nats: two rungs of the ladder.
Chosen by hand; the least of seconds that scatter would be too little."""


@dataclass(frozen=True)
class Bound:
    """What an oracle spends on one threshold; seconds and trials are least at different n."""

    trials: float
    seconds: float


def bound(curve: Curve, width: float, n_star: float, wanted: float, price: Price) -> Bound:
    """The bound for one threshold.

    `width` is that of the curve from 10% to 90% in nats, `wanted` the variance of log n_star, and
    `price` the seconds of a trial at n.
    """
    n = np.arange(max(1, math.floor(n_star / 2)), math.ceil(2 * n_star) + 1)
    told = information(curve, n.astype(float), width / STEPS)
    allowed = told > 0
    trials = 1 / (told[allowed] * wanted)
    prices = np.array([price(int(each)) for each in n[allowed]])
    return Bound(float(trials.min()), float((trials * prices).min()))


def information(curve: Curve, n: Array, step: float) -> Array:
    """Fisher information on log n_star of one trial at each n; 0 where chances leave `SUCCESS`.

    `step` is that of the derivative, in nats.
    """
    below, middle, above = (curve(n * math.exp(move)) for move in (-step, 0.0, step))
    told = ((above - below) / (2 * step)) ** 2 / np.maximum(middle * (1 - middle), 1e-12)
    allowed = (SUCCESS[0] <= middle) & (middle <= SUCCESS[1])
    return np.asarray(np.where(allowed, told, 0.0))


def variance_wanted(n_star: float, tolerance: float, confidence: float) -> float:
    """The largest variance of log n_star at which the threshold is known as asked."""
    z = float(norm.ppf((1 + confidence) / 2))
    by_tolerance = math.log((1 + tolerance) / (1 - tolerance)) / (2 * z)
    step = math.ceil(n_star) - 1
    below, above = math.log(n_star / max(step, 0.5)), math.log((step + 1) / n_star)

    def outside(spread: float) -> float:
        return float(norm.sf(below / spread) + norm.sf(above / spread)) - (1 - confidence)

    by_step = brentq(outside, 1e-9, 10.0) if min(below, above) > 0 else 0.0
    return max(by_tolerance, by_step) ** 2


def price_of(n: Sequence[int], seconds: Sequence[float], trials: Sequence[int]) -> Price:
    """Seconds of one trial at n, from those that trials near it took; at the ends beyond them."""
    at, spent, count = np.log(np.asarray(n, float)), np.asarray(seconds), np.asarray(trials)

    def price(where: int) -> float:
        log_n = min(max(math.log(where), at.min()), at.max())
        weight = np.exp(-(((at - log_n) / NEAR) ** 2) / 2)
        return float((weight @ spent) / (weight @ count))

    return price
