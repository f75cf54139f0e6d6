"""The posterior by plain sums over dense grids: slow, simple, none of the product's own code.

Only constants are shared. One cell: (m, l) on a grid for every form. Two cells: all four unknowns.
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import multivariate_normal

from orchestrator.inference import prior as priors
from orchestrator.inference.link import FORMS


def success(form, level, u):
    reach = 1 - form.lapse_low - form.lapse_high
    anchor = (level - form.lapse_low) / reach
    if form.link == "logistic":
        return form.lapse_low + reach * expit(u + logit(anchor))
    if form.link == "early":
        bend = np.exp(np.minimum(-u * anchor / np.log(1 - anchor), 50))
        return form.lapse_low + reach * (1 - (1 - anchor) ** bend)
    bend = np.exp(np.minimum(u * (1 - anchor) / np.log(anchor), 50))
    return form.lapse_low + reach * anchor**bend


def log_likelihood(form, level, tallies, m, l):
    total = np.zeros(np.broadcast(m, l).shape)
    for t in tallies:
        p = np.clip(success(form, level, np.exp(l) * (np.log(t.n) - m)), 1e-15, 1 - 1e-15)
        total = total + t.successes * np.log(p) + (t.trials - t.successes) * np.log1p(-p)
    return total


def one_cell(ask, tallies, level, quantiles, m_range, l_range=(-5.0, 9.0), count=(1500, 400)):
    """Quantiles of log n_star at one cell whose d and k stand alone."""
    half = np.log(ask.high / ask.low) / 2
    m = np.linspace(*m_range, count[0])[:, None]
    l = np.linspace(*l_range, count[1])[None, :]
    density = np.zeros(count[0])
    for (bend, own), weight in zip(priors.SCALES, priors.SCALE_WEIGHTS, strict=True):
        variance = (0.6 * half + 0.7) ** 2 + bend**2 + own**2
        centre = (np.log(ask.low) + np.log(ask.high)) / 2
        own = priors.SLOPE_SD**2 + priors.OWN_SLOPE_SD**2
        shares = (1 - priors.STRAY_SLOPE, own), (priors.STRAY_SLOPE, own + priors.STRAY_SLOPE_SD**2)
        slope = sum(
            share * np.exp(-0.5 * (l - priors.SLOPE_MEAN) ** 2 / spread) / np.sqrt(spread)
            for share, spread in shares
        )
        log_prior = -0.5 * (m - centre) ** 2 / variance + np.log(slope)
        log_prior = log_prior - 0.5 * np.log(variance)
        for form in FORMS:
            logs = (
                log_prior
                + log_likelihood(form, level, tallies, m, l)
                + np.log(form.weight * weight)
            )
            density += np.exp(logs).sum(1)
    cumulative = np.cumsum(density) - density / 2
    return np.interp(np.array(quantiles) * cumulative[-1], cumulative, m[:, 0])


def two_cells(mean, covariance, form, level, tallies, m_ranges, l_ranges, count=36):
    """Means and standard deviations of (m1, m2), and log evidence, for one form and one scale.

    `mean` (4,) and `covariance` (4, 4) of (m1, m2, l1, l2); `tallies`: two lists.
    """
    m = [np.linspace(*r, count) for r in m_ranges]
    l = [np.linspace(*r, count) for r in l_ranges]
    grid = np.stack(np.meshgrid(m[0], m[1], l[0], l[1], indexing="ij"), axis=-1)
    logs = multivariate_normal(mean, covariance).logpdf(grid)
    for i in range(2):
        own = log_likelihood(form, level, tallies[i], m[i][:, None], l[i][None, :])
        shape = [1, 1, 1, 1]
        shape[i], shape[2 + i] = count, count
        logs = logs + own.reshape(shape)
    step = np.prod([x[1] - x[0] for x in (*m, *l)])
    mass = np.exp(logs - logs.max())
    evidence = np.log(mass.sum() * step) + logs.max()
    mass /= mass.sum()
    means = np.array([(mass * grid[..., i]).sum() for i in range(2)])
    spreads = [np.sqrt((mass * (grid[..., i] - means[i]) ** 2).sum()) for i in range(2)]
    return means, np.array(spreads), evidence
