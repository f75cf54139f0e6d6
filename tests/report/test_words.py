import math
from dataclasses import replace

import pytest

from orchestrator.inference.threshold import Interval, Law, Threshold
from orchestrator.report import words
from tests.report.builders import a_found, a_law, an_arm


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (45.93, "45.9"),
        (0.01234, "0.0123"),
        (12_345.6, "12\u202f346"),
        (-2.5, "−2.50"),
        (3.25e9, "3.25e+09"),
        (0.0, "0"),
        (None, "not known"),
        (math.nan, "not known"),
        (math.inf, "∞"),
    ],
)
def test_numbers_have_three_digits_and_no_false_ones(value, text):
    assert words.number(value) == text


def a_threshold(status, n_star=None, low=None, high=None):
    return Threshold(10, 2, status, n_star, low, high, 0.95, trials=40)


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (a_threshold("found", 45.9, 44.0, 48.0), "45.9"),
        (a_threshold("above_range", low=400.0), "> 400"),
        (a_threshold("below_range", high=2.5), "< 2.50"),
        (a_threshold("undecided"), "not known"),
        (a_threshold("undecided", low=10.0, high=90.0), "not known"),
    ],
)
def test_a_bound_is_written_as_a_bound_and_nothing_as_not_known(threshold, text):
    assert words.n_star(threshold) == text


def test_an_interval_without_an_estimate_is_still_told():
    assert words.interval(a_threshold("undecided", low=10.0, high=90.0)) == "10.0 to 90.0"
    assert words.interval(a_threshold("above_range", low=400.0)) == "one-sided"
    assert words.interval(a_threshold("undecided")) == "not known"


def test_an_interval_that_gaps_widened_says_so():
    widened = replace(a_threshold("found", 45.9, 44.0, 48.0), widened=True)
    assert words.interval(widened) == "44.0 to 48.0, widened for gaps"


def a_law_of(family, exponents):
    values = {name: Interval(value, value - 0.1, value + 0.1) for name, value in exponents.items()}
    return Law(family, values, {family: 0.97, "constant": 0.03}, decisive=True)


@pytest.mark.parametrize(
    ("family", "exponents", "text"),
    [
        ("power", {"d": 1.98}, "n* ∝ d¹·⁹⁸"),
        ("power", {"d": 0.41, "k": -0.5}, "n* ∝ d⁰·⁴¹ k⁻⁰·⁵⁰"),
        ("power_log", {"d": 1.0}, "n* ∝ d¹·⁰⁰ log d"),
        ("binomial", {"C(d,k)": 1.02}, "n* ∝ C(d,k)¹·⁰²"),
        ("exponential", {"d": 0.31, "k": 0.2}, "n* ∝ exp(0.31 d + 0.20 k)"),
        ("constant", {}, "n* ∝ 1"),
    ],
)
def test_every_family_has_its_formula(family, exponents, text):
    assert words.growth(a_law_of(family, exponents)) == text


def test_a_law_that_is_not_decisive_says_so():
    founds = [a_found(d, n_star=4.0 * d)[0] for d in (10, 20, 40)]
    doubtful = an_arm(founds, a_law(founds, {"d": (1.0, 0.9, 1.1)}, decisive=False))
    decisive = an_arm(founds, a_law(founds, {"d": (1.0, 0.9, 1.1)}, decisive=True))
    assert "not decisive" in words.law_sentence(doubtful)
    assert "not decisive" not in words.law_sentence(decisive)
    assert "1.00 in d (95\u202f% interval 0.90 to 1.10)" in words.law_sentence(decisive)


def test_another_family_also_says_how_it_looks_as_a_power():
    founds = [a_found(d, n_star=4.0 * d)[0] for d in (10, 20, 40)]
    law = a_law(founds, {"C(d,k)": (1.02, 0.96, 1.08)}, family="binomial")
    power = a_law(founds, {"d": (1.93, 1.85, 2.01)})
    said = words.law_sentence(an_arm(founds, law, power=power))
    assert "1.02 in C(d,k)" in said
    assert "looks like a power of 1.93 in d (95\u202f% interval 1.85 to 2.01)" in said


def test_arms_go_by_what_tells_them_apart():
    net, kernel = an_arm([], None, "two_layer"), an_arm([], None, "kernel_ridge")
    assert words.short_names([net, kernel]) == ["two_layer", "kernel_ridge"]
    dense = an_arm([], None, "two_layer", target="dense_parity")
    assert words.short_names([net, dense]) == ["sparse_parity", "dense_parity"]
    widths = [
        replace(net, learner={"kind": "two_layer", "width": width, "batch": 32})
        for width in (64, 256)
    ]
    assert words.short_names(widths) == ["width = 64", "width = 256"]
    assert words.short_names([*widths, kernel]) == [
        "two_layer(width = 64)",
        "two_layer(width = 256)",
        "kernel_ridge",
    ]
    assert words.short_names([net, net]) == [net.label, net.label]


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (245, "4 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_read_like_durations(seconds, text):
    assert words.duration(seconds) == text
