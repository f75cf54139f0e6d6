import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.inference import psychometric
from orchestrator.inference.coupling import couple, hat_weights
from orchestrator.inference.likelihood import Table, log_likelihood
from orchestrator.inference.link import FORMS
from orchestrator.inference.nodes import evenly
from orchestrator.inference.prior import prior
from orchestrator.inference.settings import Settings
from orchestrator.inference.threshold import Asked, Tally
from tests.inference import brute

ASK = Asked(d=20, k=1, low=5, high=400)


def fit(asked, tallies, *, level=0.5, confidence=0.95, tolerance=0.05):
    return psychometric.fit(asked, tallies, level=level, confidence=confidence, tolerance=tolerance)


def at(n, successes, trials, *, d=20, k=1, gaps=0):
    return Tally(d, k, n, successes, trials, gaps)


def counts(curve, ns, trials, rng, *, d=20, k=1):
    """Tallies drawn from a success curve: curve maps n to a chance."""
    return [Tally(d, k, int(n), int(rng.binomial(trials, curve(n))), trials) for n in ns]


def logistic(n_star, slope):
    return lambda n: 1 / (1 + (n_star / n) ** slope)


SITUATIONS = {
    "one failure": ([at(30, 0, 1)], 0.5),
    "one success": ([at(30, 1, 1)], 0.5),
    "a bracket": ([at(10, 0, 1), at(100, 1, 1)], 0.5),
    "a contradiction": ([at(10, 1, 1), at(40, 0, 3), at(100, 3, 3)], 0.5),
    "a smooth curve": ([at(25, 3, 20), at(35, 8, 20), at(45, 13, 20), at(60, 18, 20)], 0.5),
    "a step": ([at(39, 0, 12), at(40, 12, 12)], 0.5),
    "another level": ([at(25, 3, 20), at(35, 8, 20), at(45, 13, 20), at(60, 18, 20)], 0.75),
    "many trials": ([at(36, 120, 300), at(40, 165, 300), at(45, 205, 300)], 0.5),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_one_threshold_agrees_with_sums_over_a_dense_grid(name):
    """Quantiles within 5% of the central interval's width, or half a grid step."""
    tallies, level = SITUATIONS[name]
    posterior = fit([ASK], tallies, level=level)
    shares = (0.025, 0.25, 0.5, 0.75, 0.975)
    mine = np.array([posterior.quantile(0, share) for share in shares])
    reach = (math.log(5) - 3, math.log(400) + 3)
    wide = mine[-1] - mine[0]
    window = (max(reach[0], mine[0] - 3 * wide), min(reach[1], mine[-1] + 3 * wide))
    exact = brute.one_cell(ASK, tallies, level, shares, window)
    np.testing.assert_allclose(mine, exact, atol=0.05 * (exact[-1] - exact[0]))


def test_two_thresholds_agree_with_sums_over_all_four_unknowns(monkeypatch):
    """Means within a tenth of a standard deviation, spreads within 8%, evidence within 0.1 nats."""
    cells = ((10, 1), (30, 1))
    believed = prior(cells, [Asked(10, 1, 5, 400), Asked(30, 1, 5, 400)])
    data = [
        [at(14, 1, 6), at(20, 3, 6), at(28, 5, 6)],
        [at(50, 1, 4), at(90, 4, 4)],
    ]
    tables = [clean_table(own, centre) for own, centre in zip(data, (3.0, 4.2), strict=True)]
    slope, exponent = 1.8, 0.4
    monkeypatch.setattr("orchestrator.inference.coupling.STRAY_SLOPE", 0.0)
    for scale in (1, 4):
        one = Settings(*(np.array([x]) for x in (scale, slope, exponent, 0.0, 0.0)))
        mine = couple(believed, tables, np.array([0, 1]), np.ones(1), one)
        covariance = np.zeros((4, 4))
        covariance[:2, :2] = believed.covariance[scale]
        covariance[2:, 2:] = believed.own_slope**2 * np.eye(2)
        centres = np.concatenate([believed.mean, slope + exponent * believed.log_d])
        ranges = [(2.0, 4.0), (3.2, 5.2)], [(c - 1.2, c + 1.2) for c in centres[2:]]
        means, spreads, evidence = brute.two_cells(
            centres, covariance, FORMS[0], 0.5, data, *ranges
        )
        sizes = np.sqrt(np.diag(mine.covariance[0]))
        np.testing.assert_allclose(mine.mean[0], means, atol=0.1 * spreads.min())
        np.testing.assert_allclose(sizes, spreads, rtol=0.08)
        assert mine.log_evidence[0] == pytest.approx(evidence, abs=0.1)


def clean_table(tallies, centre):
    """One cell's likelihood under the first form, on nodes a nat around `centre`."""
    m = evenly(np.array([centre - 1]), np.array([centre + 1]), 64)
    l = np.linspace(-0.5, 4.0, 40)
    counts = tuple((t.n, t.successes, t.trials - t.successes) for t in tallies)
    logs = log_likelihood(counts, FORMS[:1], 0.5, m.x[0], l)
    top = logs.max((0, 2))
    return Table(m, l, top, np.exp(logs - top[:, None]))


def test_weights_of_hats_are_means_of_broken_lines():
    """Against a sum over a dense grid, inside the nodes and beyond both ends."""
    nodes = np.linspace(-1.0, 2.0, 7)[None, :]
    values = np.array([0.3, 2.0, 1.0, 0.0, 1.5, 0.2, 0.7])
    for centre in (-2.5, 0.3, 1.9, 4.0):
        x = np.linspace(centre - 8 * 0.4, centre + 8 * 0.4, 40_001)
        density = np.exp(-0.5 * ((x - centre) / 0.4) ** 2)
        exact = (np.interp(x, nodes[0], values) * density).sum() / density.sum()
        weights = hat_weights(nodes, np.array([[centre]]), np.array([[0.4]]))
        assert weights[0, 0] @ values == pytest.approx(exact, abs=1e-6)
        assert weights.sum() == pytest.approx(1.0, abs=1e-9)


@given(st.permutations(range(9)), st.integers(0, 2**16))
@settings(max_examples=8, deadline=None)
def test_the_order_of_tallies_and_how_they_are_split_change_no_bit(order, seed):
    rng = np.random.default_rng(seed)
    asked = [Asked(10, 1, 5, 400), Asked(30, 1, 5, 400)]
    tallies = [
        Tally(d, 1, int(n), int(rng.integers(0, 5)), 4)
        for d in (10, 20, 30)
        for n in (2 * d, 3 * d, 4 * d)
    ]
    halves = [Tally(t.d, t.k, t.n, t.successes // 2, 2) for t in tallies]
    rest = [Tally(t.d, t.k, t.n, t.successes - t.successes // 2, 2) for t in tallies]
    one = fit(asked, tallies)
    two = fit(asked, [halves[i] for i in order] + rest)
    for i in range(2):
        assert one.threshold(i) == two.threshold(i)
        assert one.log_n_star(i) == two.log_n_star(i)


def test_the_order_in_which_thresholds_are_asked_changes_nothing_but_the_order():
    asked = [Asked(10, 1, 5, 400), Asked(30, 1, 8, 900)]
    tallies = [at(20, 2, 4, d=10), at(60, 3, 4, d=30)]
    one, two = fit(asked, tallies), fit(asked[::-1], tallies)
    assert one.threshold(0) == two.threshold(1)
    assert one.threshold(1) == two.threshold(0)


@given(st.integers(33, 48), st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_a_further_success_near_the_crossing_lowers_the_threshold_and_a_failure_raises_it(n, seed):
    rng = np.random.default_rng(seed)
    tallies = counts(logistic(40, 5), (20, 30, 40, 55, 75), 6, rng)
    before = fit([ASK], tallies).quantile(0, 0.5)
    assert fit([ASK], [*tallies, at(n, 1, 1)]).quantile(0, 0.5) <= before + 2e-3
    assert fit([ASK], [*tallies, at(n, 0, 1)]).quantile(0, 0.5) >= before - 2e-3


def test_with_no_trials_nothing_is_claimed():
    threshold = fit([ASK], []).threshold(0)
    assert threshold.status == "undecided"
    assert (threshold.n_star, threshold.low, threshold.high) == (None, None, None)


def test_other_levels_are_crossed_where_the_curve_crosses_them():
    """Level 0.8 of a logistic curve of slope 6: n_star = 40 * 4^(1/6) = 50.4; 4,000 trials."""
    rng = np.random.default_rng(2)
    tallies = counts(logistic(40, 6), (30, 36, 42, 48, 54, 62), 700, rng)
    threshold = fit([ASK], tallies, level=0.8).threshold(0)
    assert threshold.n_star == pytest.approx(40 * 4 ** (1 / 6), rel=0.03)
    assert threshold.n10_n90[0] == pytest.approx(40 * 9 ** (-1 / 6), rel=0.08)
    assert threshold.n10_n90[1] == pytest.approx(40 * 9 ** (1 / 6), rel=0.08)


def test_a_neighbour_is_predicted_by_the_law():
    rng = np.random.default_rng(3)
    asked = [Asked(d, 1, 5, 2000) for d in (10, 20, 40, 80)]
    tallies = [
        tally
        for d in (10, 20, 80)
        for tally in counts(
            logistic(2 * d, 8), np.rint(2 * d * np.array([0.8, 0.9, 1, 1.1, 1.25])), 40, rng, d=d
        )
    ]
    posterior = fit(asked, tallies)
    mean, spread = posterior.log_n_star(2)
    assert abs(mean - math.log(80)) < 3 * spread < 0.6
    assert not posterior.settled(2)


def test_k_that_follows_d_and_a_lone_threshold_are_no_trouble():
    asked = [Asked(d, d // 10, 5, 400) for d in (50, 100, 200)]
    tallies = [at(32, 4, 8, d=100, k=10), at(16, 4, 8, d=50, k=5)]
    assert fit(asked, tallies).threshold(1).n_star == pytest.approx(32, rel=0.4)
    assert fit([ASK], [at(40, 4, 8)]).threshold(0).n_star == pytest.approx(40, rel=0.4)


@pytest.mark.parametrize("off_law", [0.0, 0.1, 0.5])
def test_95_percent_intervals_cover_whether_or_not_a_law_holds(off_law):
    """150 thresholds of 50 sweeps; a method that covers 95% covers under 132 with chance 3e-4."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(50):
        exponent, slope = rng.normal(1.2, 0.4), math.exp(rng.normal(2.0, 0.5))
        asked = [Asked(d, 1, 2, 20_000) for d in (10, 20, 40)]
        stars = [3 * d**exponent * math.exp(rng.normal(0, off_law)) for d in (10, 20, 40)]
        tallies = []
        for ask, star in zip(asked, stars, strict=True):
            shift = math.exp(rng.normal(0, 0.4) / slope)
            places = star * shift * np.exp(np.array([-1.6, -0.8, 0, 0.8, 1.6]) / slope)
            ns = np.unique(np.maximum(np.rint(places), 2))
            tallies += counts(logistic(star, slope), ns, 12, rng, d=ask.d)
        posterior = fit(asked, tallies)
        covered += sum(
            posterior.quantile(i, 0.025) <= math.log(stars[i]) <= posterior.quantile(i, 0.975)
            for i in range(3)
        )
    assert covered >= 132


def test_draws_have_the_marginals_that_are_reported():
    """4,000 draws: quartiles within five standard errors of a quantile, chance 1e-5."""
    asked = [Asked(10, 1, 5, 400), Asked(30, 1, 5, 400)]
    posterior = fit(asked, [at(14, 1, 3, d=10), at(28, 3, 3, d=10), at(60, 1, 3, d=30)])
    samples = posterior.samples(4000, np.random.default_rng(0))
    assert samples.shape == (4000, 2)
    for i in range(2):
        for share in (0.25, 0.5, 0.75):
            below = (samples[:, i] < posterior.quantile(i, share)).mean()
            assert below == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 4000))


def test_cells_that_obey_one_law_are_drawn_together():
    asked = [Asked(d, 1, 5, 2000) for d in (20, 21)]
    samples = fit(asked, [at(40, 2, 4)]).samples(2000, np.random.default_rng(0))
    assert np.corrcoef(samples.T)[0, 1] > 0.7


def test_the_curve_rises_inside_its_band_and_crosses_the_level_at_n_star():
    rng = np.random.default_rng(5)
    posterior = fit([ASK], counts(logistic(40, 6), (25, 32, 40, 50, 62), 50, rng))
    ns = np.linspace(10, 150, 60)
    median, low, high = (np.array(band) for band in posterior.curve(0)(ns))
    assert (np.diff(median) > 0).all()
    assert ((low <= median) & (median <= high)).all()
    n_star = posterior.threshold(0).n_star
    assert posterior.curve(0)([n_star])[0][0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "tallies", "words"),
    [
        ([], [], "no threshold is asked"),
        ([Asked(5, 1, 9, 8)], [], "range 9..8 of n is empty"),
        ([ASK], [at(9, 3, 2)], "impossible tally"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, tallies, words):
    with pytest.raises(ValueError, match=words):
        fit(asked, tallies)


def test_the_posterior_is_a_value():
    posterior = fit([ASK], [at(40, 4, 8)])
    with pytest.raises(dataclasses.FrozenInstanceError):
        posterior.tolerance = 0.9
