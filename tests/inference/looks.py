"""Single trials away from a crossing, as a search makes them before a threshold is settled."""

import numpy as np

from orchestrator.inference.threshold import Tally


def looked(ask, n_star):
    """Failures below n_star / 1.6, successes beyond 1.6 n_star, a third of a nat apart and at d."""
    below = n_star / 1.6 * np.exp(-np.arange(0, 4, 0.35))
    above = n_star * 1.6 * np.exp(np.arange(0, 4, 0.35))
    at_d = [] if n_star / 1.6 < ask.d < 1.6 * n_star else [ask.d]
    ns = sorted({round(n) for n in (*below, *at_d, *above) if ask.low <= n <= ask.high})
    return [Tally(ask.d, ask.k, n, int(n > n_star), 1) for n in ns]
