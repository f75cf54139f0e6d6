"""How far thresholds stray from a law: tau, the sd in nats of a part of its own at each (d, k).

A law is an idealisation that finite d bends, so tau is never known to be 0. Its prior is
half-Cauchy (Gelman 2006, Bayesian Analysis 1:515).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SCALE = 0.01
"""Scale of tau, nats, chosen by coverage of exponents in simulated sweeps, where a half or double
of it changes little: measured thresholds of six exactly known systems lie within 1-5% of their
formulas at d from 10 to 200, most of it a bend that exponents take up."""


def log_prior(scatters: Array) -> Array:
    """Log probability of each of `scatters`, ascending: each stands for its share of log tau, the
    first for all below, the last for all above; they sum to 1.
    """
    edges = np.sqrt(scatters[1:] * scatters[:-1])
    below = np.concatenate([[0.0], 2 / np.pi * np.arctan(edges / SCALE), [1.0]])
    return np.log(np.diff(below))
