"""Single trials away from a crossing, such as a search makes before it calls a threshold settled."""

import numpy as np

from orchestrator.inference.threshold import Tally


def looked(ask, n_star):
    """A failure at every half nat below n_star / 1.6 and a success beyond 1.6 n_star, in range."""
    below = n_star / 1.6 * np.exp(-np.arange(0, 4, 0.5))
    above = n_star * 1.6 * np.exp(np.arange(0, 4, 0.5))
    ns = sorted({round(n) for n in (*below, *above) if ask.low <= n <= ask.high})
    return [Tally(ask.d, ask.k, n, int(n > n_star), 1) for n in ns]
