import math

import numpy as np
import pytest
from scipy import integrate, stats

from orchestrator.inference.law import fit_law, laws_of_intervals
from orchestrator.inference.laws.families import forms
from orchestrator.inference.laws.fit import LEVEL_SD, SLOPE_SD
from orchestrator.inference.laws.intervals import observed, regressed
from orchestrator.inference.laws.scatter import SCALE
from orchestrator.inference.threshold import Law, Threshold

KERNEL_RIDGE = {  # measured n_star of kernel ridge on k-parity, R^2 = 0.5
    1: {10: 8.49, 20: 15.79, 40: 31.78, 80: 59.33},
    2: {10: 45.9, 15: 91.8, 20: 155.2, 30: 330.0},
    3: {8: 97.8, 10: 161.7, 12: 253.9, 15: 456.1},
}


def a_threshold(d, k, n_star, half_width=0.04, status="found"):
    """A threshold whose interval reaches `half_width` nats to either side at 95%."""
    low, high = n_star * math.exp(-half_width), n_star * math.exp(half_width)
    return Threshold(d, k, status, n_star, low, high, confidence=0.95, trials=100)


def planted(formula, points, half_width=0.04):
    return [a_threshold(d, k, formula(d, k), half_width) for d, k in points]


def choose(d, k):
    return math.exp(math.lgamma(d + 1) - math.lgamma(k + 1) - math.lgamma(d - k + 1))


WIDE = [(d, k) for d in (10, 25, 60, 150, 400) for k in (2, 3, 4)]


@pytest.mark.parametrize(
    ("family", "formula", "exponents"),
    [
        ("constant", lambda d, k: 37.0, {}),
        ("power", lambda d, k: 1.7 * d**1.3 * k**0.8, {"d": 1.3, "k": 0.8}),
        ("power_log", lambda d, k: 2 * d * math.log(d) * k**0.5, {"d": 1.0, "k": 0.5}),
        ("binomial", lambda d, k: 0.8 * choose(d, k), {"C(d,k)": 1.0}),
        ("power_in_k", lambda d, k: 3 * d ** (k - 1.0), {"d^k": 1.0, "d": -1.0}),
        ("exponential", lambda d, k: 5 * math.exp(0.012 * d + 0.3 * k), {"d": 0.012, "k": 0.3}),
    ],
)
def test_a_planted_law_is_recovered_and_called_decisive(family, formula, exponents):
    found = fit_law(planted(formula, WIDE), confidence=0.95)
    assert found.family == family
    assert found.decisive
    assert found.weights[family] > 0.95
    assert set(found.exponents) == set(exponents)
    for name, value in exponents.items():
        interval = found.exponents[name]
        assert interval.value == pytest.approx(value, rel=1e-3)
        assert interval.low < value < interval.high
    assert max(map(abs, found.residuals.values())) < 1e-3


def test_the_evidence_of_a_family_is_the_integral_of_likelihood_times_prior():
    """Against nested quadrature over level, slope and scatter, which shares no code with it."""
    found = planted(lambda d, k: 2.0 * d**1.1, [(10, 1), (20, 1), (40, 1), (80, 1)], 0.1)
    found[1] = a_threshold(20, 1, found[1].n_star * 1.1, 0.2)
    y, variance = observed(found)
    d, k = np.array([10.0, 20, 40, 80]), np.ones(4)
    form = next(form for form in forms(d, k) if form.family == "power")
    fit = regressed(form, d, k, y, variance)
    z = stats.zscore(np.log(d))

    def joint(slope, level, log_tau):
        tau = math.exp(log_tau)
        density = stats.norm.pdf(level, 0, LEVEL_SD) * stats.norm.pdf(slope, 0, SLOPE_SD)
        density *= tau * stats.halfcauchy.pdf(tau, scale=SCALE)
        errors = np.sqrt(variance + tau**2)
        return density * np.prod(stats.norm.pdf(y, level + slope * z, errors))

    centre, top = y.mean(), np.cov(y, z, bias=True)[0, 1]
    levels, slopes = np.linspace(-1.5, 1.5, 121) + centre, np.linspace(-1.5, 1.5, 121) + top
    log_taus = np.linspace(math.log(1e-4), math.log(10), 61)
    cube = np.empty((61, 121, 121))
    level, slope = np.meshgrid(levels, slopes, indexing="ij")
    for i, log_tau in enumerate(log_taus):
        tau = math.exp(log_tau)
        cube[i] = stats.norm.pdf(level, 0, LEVEL_SD) * stats.norm.pdf(slope, 0, SLOPE_SD)
        cube[i] *= tau * stats.halfcauchy.pdf(tau, scale=SCALE)
        for y_i, v_i, z_i in zip(y, variance, z, strict=True):
            cube[i] *= stats.norm.pdf(y_i, level + slope * z_i, math.sqrt(v_i + tau**2))
    assert cube[20, 60, 60] == pytest.approx(joint(slopes[60], levels[60], log_taus[20]))
    over_slope = integrate.simpson(cube, x=slopes, axis=2)
    over_level = integrate.simpson(over_slope, x=levels, axis=1)
    brute = integrate.simpson(over_level, x=log_taus)
    assert fit.log_evidence == pytest.approx(math.log(brute), abs=0.01)

    over_others = integrate.simpson(integrate.simpson(cube, x=levels, axis=1), x=log_taus, axis=0)
    cumulative = (np.cumsum(over_others) - over_others / 2) / over_others.sum()
    exponent, unit = fit.exponents(0.95)["d"], np.log(d).std()
    assert unit * exponent.low == pytest.approx(np.interp(0.025, cumulative, slopes), abs=0.015)
    assert unit * exponent.high == pytest.approx(np.interp(0.975, cumulative, slopes), abs=0.015)


@pytest.mark.parametrize("half_width", [0.005, 0.02, 0.05, 0.1])
def test_measured_staircase_thresholds_at_one_k_do_not_decide_for_a_power(half_width):
    at_two = [a_threshold(d, 2, n, half_width) for d, n in KERNEL_RIDGE[2].items()]
    found = fit_law(at_two, confidence=0.95)
    assert not found.decisive
    assert found.weights["binomial"] > 0.2
    apparent = fit_law(at_two, confidence=0.95, family="power")
    assert apparent.exponents["d"].high < 2, "an exact C(d, 2) looks like less than d^2 here"


def test_measured_staircase_thresholds_at_three_values_of_k_lean_to_k_in_the_exponent():
    """No formula is exact at these d, so the evidence must not be called decisive."""
    everything = [
        a_threshold(d, k, n, 0.05) for k, column in KERNEL_RIDGE.items() for d, n in column.items()
    ]
    found = fit_law(everything, confidence=0.95)
    assert not found.decisive
    assert found.weights["binomial"] + found.weights["power_in_k"] > 0.95
    staircase = fit_law(everything, confidence=0.95, family="binomial").exponents["C(d,k)"]
    assert staircase.low < 1 < staircase.high


def test_three_thresholds_on_a_line_are_too_few_to_be_decisive():
    found = fit_law(planted(lambda d, k: 2.0 * d, [(10, 1), (20, 1), (40, 1)]), confidence=0.95)
    assert found.family == "power"
    assert not found.decisive
    assert found.exponents["d"].value == pytest.approx(1.0, abs=0.01)
    assert found.prefactor.low < 2.0 < found.prefactor.high


@pytest.mark.parametrize("status", ["undecided", "above_range", "not_sharp"])
def test_thresholds_that_are_not_found_do_not_count(status):
    points = planted(lambda d, k: 2.0 * d, [(10, 1), (20, 1)])
    assert fit_law([*points, a_threshold(40, 1, 5.0, status=status)], confidence=0.95) is None
    assert fit_law([*points, a_threshold(40, 1, 80.0)], confidence=0.95) is not None


def test_a_letter_that_follows_the_other_has_no_exponent():
    tied = planted(lambda d, k: 0.33 * d, [(50, 5), (100, 10), (200, 20)])
    assert set(fit_law(tied, family="power").exponents) == {"d"}
    free = [*tied, a_threshold(100, 40, 75.0)]
    assert set(fit_law(free, family="power").exponents) == {"d", "k"}


def test_a_letter_that_does_not_vary_has_no_exponent():
    found = planted(lambda d, k: 9.0 * k**0.6, [(100, 10), (100, 20), (100, 40)])
    assert set(fit_law(found, family="power").exponents) == {"k"}
    assert "power_log" not in fit_law(found).weights


def test_families_that_are_equal_or_undefined_on_the_data_do_not_compete():
    single = fit_law(planted(lambda d, k: d, [(10, 1), (20, 1), (40, 1)]))
    assert "binomial" not in single.weights, "C(d, 1) is d"
    beyond = fit_law(planted(lambda d, k: d, [(1, 2), (2, 2), (4, 2)]))
    assert set(beyond.weights) == {"constant", "power", "exponential"}
    with pytest.raises(ValueError, match="no 'binomial' law"):
        fit_law(planted(lambda d, k: d, [(10, 1), (20, 1), (40, 1)]), family="binomial")


def test_asking_for_a_family_changes_neither_weights_nor_decision():
    points = planted(lambda d, k: choose(d, k), WIDE)
    free, asked = fit_law(points), fit_law(points, family="power")
    assert asked.weights == free.weights
    assert asked.decisive == free.decisive
    assert asked.family == "power" != free.family


def test_order_and_units_do_not_matter():
    points = planted(lambda d, k: 1.7 * d**1.3 * k**0.8 * (1 + 0.05 * (d % 7)), WIDE)
    forward, backward = fit_law(points), fit_law(points[::-1])
    assert backward.exponents["d"].value == pytest.approx(forward.exponents["d"].value, abs=1e-7)
    scaled = [a_threshold(10 * t.d, t.k, t.n_star) for t in points]
    power = fit_law(points, family="power"), fit_law(scaled, family="power")
    assert power[1].exponents["d"].low == pytest.approx(power[0].exponents["d"].low, abs=1e-7)


def test_intervals_contain_the_planted_exponent_at_their_stated_rate():
    """200 laws with scatter 0.05 and errors of 0.03: a sound 90% interval covers fewer than 165 or
    more than 195 of them with chance below 3e-3 (binomial).
    """
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        points = [
            a_threshold(d, 1, 2 * d**1.2 * math.exp(rng.normal(0, math.hypot(0.05, 0.03))), 0.0588)
            for d in (10, 17, 30, 52, 90, 160)
        ]
        interval = fit_law(points, confidence=0.9, family="power").exponents["d"]
        covered += interval.low < 1.2 < interval.high
    assert 165 <= covered <= 195


def test_an_interval_of_one_integer_step_is_never_taken_as_certain():
    exact = [Threshold(d, 1, "found", n, n, n, 0.95, 50) for d, n in ((8, 9), (16, 17), (32, 33))]
    found = fit_law(exact)
    assert found.exponents["d"].high - found.exponents["d"].low > 0.01


# forecasts


def test_a_forecast_holds_the_law_and_the_scatter_about_it():
    """Thresholds on a power law but for 10% to either side: one more will stray as far."""
    strays = [(10, 1.1), (20, 0.9), (40, 1.1), (80, 0.9), (160, 1.1), (320, 0.9)]
    law = fit_law([a_threshold(d, 1, 2 * d * off, 0.01) for d, off in strays])
    seen = law.predict(57, 1)
    assert seen.low < 2 * 57 * 0.9 < 2 * 57 * 1.1 < seen.high
    assert seen.value == pytest.approx(2 * 57, rel=0.05)


def test_an_undecided_forecast_spans_what_families_say():
    """Three thresholds near d = 10 tell a power from an exponential as little as d = 40 differs."""
    points = planted(lambda d, k: 2.0 * d, [(9, 1), (10, 1), (11, 1)])
    law = fit_law(points)
    power, exponential = math.log(2 * 40), math.log(20) + 0.1 * 30
    seen = law.predict(40, 1)
    assert not law.decisive
    assert math.log(seen.low) < power < exponential < math.log(seen.high)


def test_a_forecast_agrees_with_draws_from_the_posterior():
    """Against 200,000 draws of family, scatter, coefficients and threshold: ends to 0.02 nats."""
    points = planted(lambda d, k: 1.7 * d**1.3 * (1 + 0.05 * (d % 7)), [(d, 1) for d in DS], 0.1)
    laws = laws_of_intervals(points, 0.95)
    rng = np.random.default_rng(3)
    drawn = []
    for fit in laws.fits:
        count = round(200_000 * laws.weights[fit.form.family])
        at = np.append(1.0, (fit.form.basis(np.array([200.0]), np.ones(1))[0])[1:])
        for weight, mean, spread, tau in zip(
            fit.weights, fit.means, fit.covariances, fit.scatters, strict=True
        ):
            own = rng.multivariate_normal(mean, spread, round(count * weight))
            offset = fit.form.offset(np.array([200.0]), np.ones(1))[0]
            drawn.append(own @ at + offset + rng.normal(0, tau, len(own)))
    low, middle, high = np.quantile(np.concatenate(drawn), [0.025, 0.5, 0.975])
    seen = laws.law().predict(200, 1)
    assert math.log(seen.low) == pytest.approx(low, abs=0.02)
    assert math.log(seen.value) == pytest.approx(middle, abs=0.02)
    assert math.log(seen.high) == pytest.approx(high, abs=0.02)


DS = (10, 17, 30, 52, 90)


def test_a_forecast_says_nothing_of_what_no_threshold_shows():
    one_k = fit_law(planted(lambda d, k: d**2, [(10, 2), (20, 2), (40, 2)]))
    with pytest.raises(ValueError, match="k was 2 at every threshold"):
        one_k.predict(20, 3)
    tied = fit_law(planted(lambda d, k: 0.33 * d, [(50, 5), (100, 10), (200, 20)]))
    assert tied.predict(400, 40).low > 100
    with pytest.raises(ValueError, match="there k is about 40"):
        tied.predict(400, 80)
    with pytest.raises(ValueError, match="not fitted"):
        Law("power", {}, {}, decisive=True).predict(10, 1)
