"""The suite's problems are what they say."""

import math

import numpy as np
import pytest

from benchmarks.search.curves import LEVEL, Curve, crossing_at
from benchmarks.search.families import BASE, FAMILIES, LOG_D, Z, problem
from benchmarks.search.problems import Problem, Trials
from orchestrator.inference.threshold import Asked

COUNT = 400

GOLDEN = {
    "base": 6.285599,
    "one": 7.201087,
    "surface": 4.51961,
    "growing_slope": 5.30811,
    "lapse_2": 4.790667,
    "lapse_5": 4.145182,
    "gumbel": 4.699784,
    "probit": 2.494811,
    "binomial": 3.414178,
    "d_log_d": 4.599668,
    "exponential": 2.214874,
    "kink": 3.126559,
    "integer_steps": 2.302585,
    "above_for_large_d": 4.911803,
    "planted": 4.605953,
    "varying": 4.177534,
    "shallow": 4.037377,
    "not_sharp": 3.628447,
    "not_monotone": 6.825497,
    "above_range": 13.259006,
    "below_range": -1.024371,
}


def test_base_problems_follow_the_law_they_state():
    """Bands are 5 standard errors, so a sound generator fails with chance 3e-6."""
    problems = [problem("base", number) for number in range(COUNT)]
    gaps = np.array([[c.log_n_star for c in p.curves] for p in problems])
    gaps = gaps - math.log(2.3) - 1.5 * LOG_D
    u, v = gaps.mean(1), gaps @ Z / (Z @ Z)
    assert np.abs(gaps - u[:, None] - v[:, None] * Z).max() < 1e-9
    assert abs(u.mean()) < 5 * 0.7 / math.sqrt(COUNT)
    assert u.std() == pytest.approx(0.7, abs=5 * 0.7 / math.sqrt(2 * COUNT))
    assert v.std() == pytest.approx(0.4, abs=5 * 0.4 / math.sqrt(2 * COUNT))
    slopes = np.log([p.curves[0].slope / 4 for p in problems])
    assert slopes.std() == pytest.approx(0.3, abs=5 * 0.3 / math.sqrt(2 * COUNT))
    curve = problems[0].curves[0]
    assert (curve.link, curve.lapse_low, curve.lapse_high) == ("probit", 0.01, 0.01)
    assert {(a.low, a.high) for a in problems[0].asked} == {(5, 100_000)}


@pytest.mark.parametrize("family", FAMILIES)
def test_success_is_one_half_at_the_threshold(family):
    for number in range(4):
        for curve in problem(family, number).curves:
            if curve.link == "jump":
                low, high = np.exp(curve.truth)
                assert curve(np.log([low, high])).tolist() == [0.0, 1.0]
                assert high - low == pytest.approx(1.0)
            else:
                assert float(curve(np.array(curve.log_n_star))) == pytest.approx(LEVEL, abs=0.003)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_problem_is_the_same_whenever_it_is_drawn(family):
    one, other = problem(family, 3), problem(family, 3)
    assert (one.asked, one.curves, one.odd) == (other.asked, other.curves, other.odd)
    assert one.curves != problem(family, 4).curves


def test_problems_are_those_of_this_revision():
    """When this changes raise `families.REVISION`, or old results are taken for new ones."""
    assert {name: round(problem(name, 0).curves[0].truth[1], 6) for name in FAMILIES} == GOLDEN


def test_nearly_all_ordinary_thresholds_lie_in_their_range():
    statuses = [
        p.status(i)
        for name in ("base", "surface", "kink", "exponential", "binomial", "d_log_d")
        for p in (problem(name, number) for number in range(50))
        for i in range(len(p.asked))
    ]
    assert statuses.count("found") > 0.98 * len(statuses)


def test_a_range_that_ends_among_the_thresholds_leaves_three_to_six_above():
    for number in range(20):
        p = problem("above_for_large_d", number)
        above = [p.status(i) for i in range(len(p.asked))].count("above_range")
        assert 3 <= above <= 6


def test_success_that_is_not_monotone_rises_and_falls_inside_the_range():
    for number in range(30):
        p = problem("not_monotone", number)
        i = p.odd.index("not_monotone")
        success = p.curves[i](np.linspace(*p.bounds(i), 2_000))
        top = np.maximum.accumulate(success)
        assert (top - success).max() > 0.8


def test_information_is_that_of_the_textbook():
    """A probit of slope s without lapses carries 2 s^2 / pi at its middle."""
    assert crossing_at("probit", 3.0, 4.0).information == pytest.approx(32 / math.pi, rel=1e-6)


def a_sure_problem(planted: bool) -> Problem:
    curve = Curve("probit", math.log(100), 50.0)
    return Problem("sure", 0, (Asked(1, 1, 5, 1_000),), (curve,), planted=planted)


def test_one_false_outcome_is_planted_among_the_first_five_and_no_more():
    trials = Trials(a_sure_problem(planted=True))
    assert [trials.run(0, n) for n in (100, 1_000, 1_000, 5, 1_000, 5)][1:] == [
        False, True, False, True, False,
    ]  # fmt: skip
    late = Trials(a_sure_problem(planted=True))
    for _ in range(5):
        late.run(0, 100)
    assert late.run(0, 1_000)


def test_methods_share_their_luck_and_counts_add_up():
    p = problem("base", 0)
    one, other = Trials(p), Trials(p)
    first = [one.run(3, 500) for _ in range(40)]
    assert [other.run(3, 500) for _ in range(40)] == first
    (tally,) = one.tallies()
    assert (tally.successes, tally.trials, one.spent) == (sum(first), 40, 40)
    assert one.work == 40 * 500 * p.asked[3].d


def test_the_law_of_the_oracle_holds_every_threshold_drawn_from_it():
    gap = np.array([c.log_n_star for c in problem("base", 5).curves]) - BASE.mean
    assert np.abs(gap - BASE.basis @ np.linalg.lstsq(BASE.basis, gap)[0]).max() < 1e-9
