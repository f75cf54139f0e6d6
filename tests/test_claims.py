"""Verdicts on claims: pure rules, and whole experiments with answers of known numbers."""

from dataclasses import replace

import pytest

from orchestrator.answer import Heading, TrialRow, answer
from orchestrator.claims import (
    Judged,
    Sight,
    judged,
    mean_of,
    unjudged,
    verdict_of,
    verdict_of_exponent,
)
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Interval
from orchestrator.spec import ExperimentSpec

WORDS = {
    "name": "cover",
    "target": {"kind": "random_labels"},
    "learner": {"kind": "linear_separator"},
    "success": {"measure": "train_error", "above": 0},
}


def experiment(*theory, axes, **words) -> ExperimentSpec:
    return ExperimentSpec.from_words({**WORDS, "axes": axes, "theory": list(theory), **words})


def told(spec: ExperimentSpec, rows) -> list[Judged]:
    return judged(spec, answer(spec, Heading(spec.id, "finished", None), rows))


def a_row(d: int, n: int, repeat: int, measures: dict[str, float], success: bool) -> TrialRow:
    point = Point(d=d, n=n, k=1)
    return TrialRow(f"{d}-{n}-{repeat}", 0, 1, point, repeat, 0, Outcome.FITTED, success, measures,
                    1.0, 1, False)  # fmt: skip


def steps(d: int, threshold: int) -> list[TrialRow]:
    """Success from `threshold` on, at thirty-two n around it."""
    return [
        a_row(d, n, repeat, {"train_error": float(n >= threshold)}, n >= threshold)
        for n in range(max(1, threshold - 16), threshold + 16)
        for repeat in range(8)
    ]


def sight(claimed: float, low: float, value: float, high: float) -> Sight:
    return Sight(claimed, value, low, high)


@pytest.mark.parametrize(
    ("one", "within", "verdict"),
    [
        (sight(10, 9, 10.5, 12), None, "agrees"),
        (sight(10, 10.1, 11, 12), None, "agrees"),
        (sight(10, 10.5, 11, 12), None, "disagrees"),
        (sight(10, 10.1, 10.2, 12), 0.05, "agrees"),
        (sight(10, 10.4, 11, 12), 0.05, "not decisive"),
        (sight(10, 10.8, 11, 12), 0.05, "disagrees"),
        (sight(10, 0, float("nan"), 8), 0.05, "disagrees"),
        (sight(10, 4, float("nan"), float("inf")), None, "not decisive"),
        (sight(10, 1, 9, 500), None, "not decisive"),
        (sight(10, 1, 10, 500), 0.1, "not decisive"),
        (sight(10, 4, 5, float("inf")), 0.1, "not decisive"),
    ],
)
def test_one_number_agrees_in_its_band_and_disagrees_when_its_interval_is_outside(
    one, within, verdict
):
    assert verdict_of([one], within, 0.95) == verdict


def test_of_many_intervals_a_few_may_miss_by_a_little():
    """20 estimates: the sum of squares at which chi-squared rejects is 37.6."""
    near, beside = sight(10, 9, 10.5, 12), sight(10, 10.1, 11, 12)  # 0.65 and 2.18 deviations
    assert verdict_of([near] * 15 + [beside] * 5, None, 0.95) == "agrees"
    assert verdict_of([near] * 12 + [beside] * 8, None, 0.95) == "disagrees"


def test_a_mean_has_students_interval():
    one = mean_of(2.0, [1.0, 2.0, 3.0], 0.95)
    assert (one.claimed, one.value) == (2.0, 2.0)
    assert one.high - 2.0 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_thresholds_are_judged_beside_their_formula_and_arms_that_it_does_not_name_are_left_out():
    axes = {"d": [40], "n": {"low": 2, "high": 200}}
    spec = experiment(
        {"n_star": "2*d", "kind": "exact", "within": 0.05, "source": "Cover 1965"},
        {"n_star": "3*d", "kind": "exact"},
        {"n_star": "d", "kind": "exact", "learner": "least_squares"},
        axes=axes,
    )
    right, wrong, other = told(spec, steps(40, 80))
    assert (other.measured, other.verdict) == ("nothing of it was asked", "not decisive")
    assert (right.verdict, right.source) == ("agrees", "Cover 1965")
    assert right.claim == "n_star = 2 * d (exact, ±5%)"
    assert right.measured.startswith("79") or right.measured.startswith("80")
    assert wrong.verdict == "disagrees"


def test_exponents_are_judged_by_the_apparent_power_of_d():
    axes = {"d": [20, 40, 80, 160], "n": {"low": 2, "high": 1000}}
    claims = [{"exponents": {"d": power}, "kind": "asymptotic"} for power in (1, 2)]
    spec = experiment(*claims, axes=axes)
    rows = [row for d in (20, 40, 80, 160) for row in steps(d, 2 * d)]
    linear, quadratic = told(spec, rows)
    assert linear.claim == "n_star grows as d^1 (asymptotic)"
    assert (linear.verdict, quadratic.verdict) == ("agrees", "disagrees")


def test_exponents_where_something_holds_are_those_of_these_thresholds_alone():
    """n_star is 2 d at k = 1 and 20 d^2 / 8 at k = 2: no power of d over the whole range."""
    axes = {"d": [8, 16, 32, 64], "k": [1, 2], "n": {"low": 2, "high": 40000}}
    claims = [
        {"exponents": {"d": power}, "where": f"k == {k}", "kind": "asymptotic"}
        for k, power in ((1, 1), (2, 2), (2, 1))
    ]
    rows = [
        replace(row, point=row.point.model_copy(update={"k": k}), key=f"{row.key} {k}")
        for k, crossing in ((1, lambda d: 2 * d), (2, lambda d: 5 * d * d // 2))
        for d in (8, 16, 32, 64)
        for row in steps(d, crossing(d))
    ]
    linear, quadratic, wrong = told(experiment(*claims, axes=axes), rows)
    assert linear.claim == "n_star grows as d^1 where k == 1 (asymptotic)"
    assert (linear.verdict, quadratic.verdict, wrong.verdict) == ("agrees", "agrees", "disagrees")


@pytest.mark.parametrize("within", [None, 0.5])
def test_exponents_of_picked_thresholds_are_open_where_one_of_them_was_not_found(within):
    """Three lie on 2 d; the last is above the range, where the whole arm's law would bend."""
    axes = {"d": [20, 40, 80, 160], "n": {"low": 2, "high": 200}}
    claim = {"exponents": {"d": 1}, "where": "d >= 20", "kind": "asymptotic", "within": within}
    rows = [row for d in (20, 40, 80) for row in steps(d, 2 * d)]
    rows += [a_row(160, n, repeat, {"train_error": 0.0}, False)
             for n in range(190, 201) for repeat in range(8)]  # fmt: skip
    (one,) = told(experiment(claim, axes=axes), rows)
    assert one.measured.endswith("; 1 of 4 thresholds not found")
    assert one.verdict == "not decisive"


@pytest.mark.parametrize(("claimed", "within", "verdict"), [
    (1.1, 0.2, "agrees"), (1.1, None, "disagrees"), (1.3, 0.2, "disagrees"),
    (1.3, 0.28, "not decisive"),
])  # fmt: skip
def test_with_a_band_an_exponent_agrees_whose_interval_misses_the_claimed_value(
    claimed, within, verdict
):
    assert verdict_of_exponent(claimed, Interval(1.0, 0.97, 1.04), within) == verdict


def test_a_status_is_a_claim():
    axes = {"d": [40], "n": {"low": 2, "high": 60}}
    claims = [{"status": one, "kind": "exact"} for one in ("above_range", "found")]
    rows = [a_row(40, n, repeat, {"train_error": 0.0}, False)
            for n in range(2, 61) for repeat in range(8)]  # fmt: skip
    above, found = told(experiment(*claims, axes=axes), rows)
    assert (above.measured, above.verdict) == ("above_range", "agrees")
    assert found.verdict == "disagrees"


def test_a_mean_of_a_measure_may_depend_on_n():
    spec = experiment(
        {"measure": "train_error", "mean": "n/(10*d)", "within": 0.1, "where": "n >= 20",
         "kind": "exact"},
        axes={"d": [10], "n": [10, 20, 40]}, search={"kind": "grid"}, repeats=4,
    )  # fmt: skip
    rows = [
        a_row(10, n, repeat, {"train_error": (0.9 if n < 20 else n / 100) + 0.001 * repeat}, True)
        for n in (10, 20, 40)
        for repeat in range(4)
    ]
    (one,) = told(spec, rows)
    assert one.verdict == "agrees"
    assert one.measured.endswith("times it, at 2 (d, n, k)")


def test_a_mean_over_survivors_is_none():
    spec = experiment({"measure": "train_error", "mean": 0.5, "kind": "exact"},
                      axes={"d": [10], "n": [20]}, search={"kind": "grid"})  # fmt: skip
    rows = [a_row(10, 20, repeat, {"train_error": 0.5 + 0.001 * repeat} if repeat else {}, True)
            for repeat in range(4)]  # fmt: skip
    (one,) = told(spec, rows)
    assert (one.measured, one.verdict) == ("–; 1 of 4 trials have none", "not decisive")


def test_a_mean_of_ones_does_not_rule_out_a_chance_of_98_percent():
    assert verdict_of([mean_of(0.98, [1.0] * 10, 0.95)], None, 0.95) != "disagrees"


def test_one_miss_by_far_is_not_hidden_by_many_hits():
    held, missed = sight(10, 9, 10, 11), sight(10, 12, 12.5, 13)
    assert verdict_of([held] * 39 + [missed], None, 0.95) == "disagrees"


def test_what_was_not_run_says_so():
    spec = experiment({"status": "found", "kind": "exact"}, axes={"d": [4], "n": [1, 9]},
                      search={"kind": "grid"})  # fmt: skip
    assert [one.verdict for one in unjudged(spec)] == ["not run"]
