"""Laws from outcomes: against sums over dense grids, and at their stated rates."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from benchmarks.laws import FAMILIES, a_problem, fit, fixed, judge
from orchestrator.inference.coupling import STRAY
from orchestrator.inference.law import exponents_settled, laws_of
from orchestrator.inference.laws.families import forms
from orchestrator.inference.laws.fit import LEVEL_SD, SLOPE_SD
from orchestrator.inference.laws.outcomes import SCATTERS, Outcomes, fitted
from orchestrator.inference.laws.scatter import log_prior
from orchestrator.inference.link import FORMS
from orchestrator.inference.prior import (
    SLOPE_EXPONENT,
    SLOPE_EXPONENT_SD,
    SLOPE_MEAN,
    STRAY_SLOPE,
    STRAY_SLOPE_SD,
    prior,
)
from orchestrator.inference.prior import (
    SLOPE_SD as LOG_S_SD,
)
from orchestrator.inference.psychometric import fit as fit_posterior
from orchestrator.inference.threshold import Asked, Tally
from tests.inference.brute import log_likelihood
from tests.inference.looks import looked

DS = (10, 20, 40)


def a_posterior(slope=8.0, trials=12, exponent=1.2, ds=DS, k=1, high=200):
    """Outcomes as even as counts allow, at seven n around n_star = 2 d^exponent."""
    asked, tallies = [], []
    for d in ds:
        n_star = 2 * d**exponent
        asked.append(Asked(d, k, 2, round(high * n_star)))
        tallies += looked(asked[-1], n_star)
        for step in np.linspace(-2, 2, 7):
            n = round(n_star * math.exp(step / slope))
            won = round(trials / (1 + (n_star / n) ** slope))
            tallies.append(Tally(d, k, n, won, trials))
    return fit_posterior(asked, tallies, level=0.5, confidence=0.95, tolerance=0.05)


def power_of(posterior):
    outcomes = Outcomes.of(posterior, range(len(posterior.asked)))
    form = next(form for form in forms(outcomes.d, outcomes.k) if form.family == "power")
    return outcomes, fitted(outcomes, form)


def test_exponent_and_scatter_are_the_integral_over_everything():
    """Level and slope of the law, tau, the curve's forms and three slopes s, all summed;
    slopes by draws from their prior. Scatters under 0.03 are left out on both sides.
    """
    posterior = a_posterior(trials=6)
    _, found = power_of(posterior)
    kept = found.scatters >= SCATTERS[3]
    loose = found.weights[kept].sum()
    found = replace(
        found,
        weights=found.weights[kept] / loose,
        means=found.means[kept],
        covariances=found.covariances[kept],
        scatters=found.scatters[kept],
    )
    believed = prior(posterior.cells, posterior.asked)
    unit = stats.qmc.MultivariateNormalQMC(np.zeros(5), rng=np.random.default_rng(0)).random(1024)
    level = SLOPE_MEAN + LOG_S_SD * unit[:, :1]
    exponent = SLOPE_EXPONENT + SLOPE_EXPONENT_SD * unit[:, 1:2]
    strays = np.random.default_rng(1).random((1024, 3)) < STRAY_SLOPE
    own = np.where(strays, math.hypot(believed.own_slope, STRAY_SLOPE_SD), believed.own_slope)
    draws = level + exponent * believed.log_d + own * unit[:, 2:]
    m = np.linspace(-0.8, 0.8, 65)[None, :] + np.log([2 * d**1.2 for d in DS])[:, None]
    weights = np.array([form.weight for form in FORMS])
    weights = weights / weights.sum()
    # each cell's likelihood by form, draw of its slope, and m; a cell may stray to any form
    by_form = np.empty((3, len(FORMS), len(draws), m.shape[1]))
    for cell, d in enumerate(DS):
        own = [t for t in posterior.tallies if t.d == d]
        for number, form in enumerate(FORMS):
            by_form[cell, number] = log_likelihood(
                form, 0.5, own, m[cell][None, :], draws[:, cell][:, None]
            )
    top = by_form.max((1, 2, 3), keepdims=True)
    likely = np.exp(by_form - top)
    stray = np.einsum("f,cfdm->cdm", weights, likely)
    mixed = (1 - STRAY) * likely + STRAY * stray[:, None]  # (cell, form, draw, m)

    z = stats.zscore(np.log(DS))
    centre = float(np.mean([posterior.log_n_star(i)[0] for i in range(3)]))
    levels = centre + np.linspace(-0.5, 0.5, 25)
    slopes = 1.2 * np.log(DS).std() + np.linspace(-0.4, 0.4, 33)
    level, slope = (grid.ravel() for grid in np.meshgrid(levels, slopes, indexing="ij"))
    prior_here = stats.norm.logpdf(level, centre, LEVEL_SD) + stats.norm.logpdf(slope, 0, SLOPE_SD)
    step = m[0, 1] - m[0, 0]
    logs = []
    for tau, share in zip(SCATTERS[3:], np.exp(log_prior(SCATTERS))[3:], strict=True):
        # thresholds about the law, by cell: (laws, m), rows that sum to 1
        spread = np.exp(
            -0.5 * ((m[:, None, :] - (level + slope * z[:, None])[:, :, None]) / tau) ** 2
        )
        spread /= tau * math.sqrt(2 * math.pi) / step
        total = np.zeros(len(level))
        for number, weight in enumerate(weights):
            each = np.ones((len(draws), len(level)))
            for cell in range(3):
                each *= mixed[cell, number] @ spread[cell].T
            total += weight * each.mean(0)
        logs.append(np.log(total + 1e-300) + prior_here + math.log(share))
    joint = logsumexp(np.array(logs), axis=0).reshape(len(levels), len(slopes))
    marginal = np.exp(joint - joint.max()).sum(0)
    cumulative = (np.cumsum(marginal) - marginal / 2) / marginal.sum()
    exponent, unit = found.exponents(0.95)["d"], np.log(DS).std()
    width = unit * (exponent.high - exponent.low)
    for share, value in ((0.025, exponent.low), (0.5, exponent.value), (0.975, exponent.high)):
        assert unit * value == pytest.approx(np.interp(share, cumulative, slopes), abs=0.1 * width)
    by_scatter = logsumexp(np.array(logs), axis=1)
    brute = np.exp(by_scatter - logsumexp(by_scatter))
    mine = [found.weights[found.scatters == tau].sum() for tau in SCATTERS[3:]]
    np.testing.assert_allclose(mine, brute, atol=0.05)


@pytest.mark.parametrize(("row", "seed"), [(3, 3), (6, 1), (7, 0), (8, 1)])
def test_a_law_that_is_no_power_is_named_although_thresholds_are_sought_under_a_power(row, seed):
    """Here tight laws that contradict the outcomes claim absurd evidence on the way."""
    problem = a_problem(row, seed, 0.0)
    laws = laws_of(fit(problem, fixed(problem)))
    preferred = laws.law()
    assert preferred.family == problem.family
    for name, exponent in problem.exponents.items():
        assert preferred.exponents[name].low < exponent < preferred.exponents[name].high


def test_exponents_are_covered_and_families_are_not_misnamed():
    """A sound 95% interval fails this with chance 9e-4 (at most 11 of 16, binomial)."""
    problems = [a_problem(row, seed, 0.0) for row in (3, 7) for seed in range(8)]
    judged = [judge(problem, fixed(problem)) for problem in problems]
    assert sum(all(one.covered) for one in judged) > 11
    assert sum(one.named == "wrong" for one in judged) <= 2
    assert {FAMILIES[row][0] for row in (3, 7)} == {"exponential", "binomial"}


def test_a_threshold_above_its_range_keeps_the_law_from_bending_down():
    """Half the dimensions grow as d^2; beyond them nothing succeeds up to a range that would do
    for d^1.5 but not for d^2."""
    near = a_posterior(exponent=2.0, ds=(10, 14, 20), trials=3)
    beyond = [Asked(80, 1, 2, round(2 * 80**1.9))]
    failures = [Tally(80, 1, round(2 * 80**x), 0, 12) for x in (1.7, 1.8, 1.9)]
    both = fit_posterior(
        [*near.asked, *beyond],
        [*near.tallies, *failures],
        level=0.5,
        confidence=0.95,
        tolerance=0.05,
    )
    assert both.threshold(3).status == "above_range"
    without = laws_of(near).law("power").exponents["d"]
    with_it = laws_of(both).law("power").exponents["d"]
    assert with_it.low > without.low


def test_more_trials_settle_exponents_and_few_do_not():
    assert not exponents_settled(a_posterior(trials=2), 0.05)
    assert exponents_settled(a_posterior(trials=200), 0.1)


def test_thresholds_far_better_known_than_their_law_holds_settle_the_exponents():
    """Thresholds off a power by 20% to either side, known to 1%: trials would narrow nothing."""
    asked, tallies = [], []
    for d, off in ((10, 1.2), (20, 0.8), (40, 1.2), (80, 0.8)):
        n_star = 20 * d * off
        asked.append(Asked(d, 1, 2, 100_000))
        for factor in (0.9, 0.95, 1.0, 1.05, 1.1):
            won = round(400 / (1 + factor**-12))
            tallies.append(Tally(d, 1, round(n_star * factor), won, 400))
    posterior = fit_posterior(asked, tallies, level=0.5, confidence=0.95, tolerance=0.05)
    exponent = laws_of(posterior).law("power").exponents["d"]
    assert exponent.high - exponent.low > 0.2
    assert exponents_settled(posterior, 0.05)


def test_two_thresholds_have_no_exponent_and_are_settled_as_such():
    assert laws_of(a_posterior(ds=(10, 20))) is None
    assert exponents_settled(a_posterior(ds=(10, 20), trials=200), 0.01)
    assert not exponents_settled(a_posterior(ds=(10, 20), trials=1), 0.01)
