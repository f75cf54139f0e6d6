import math

import numpy as np
import pytest

from orchestrator.inference import psychometric
from orchestrator.inference.threshold import Asked, Tally
from tests.inference.looks import looked

ASK = Asked(d=20, k=1, low=5, high=400)


def fit(tallies, *, ask=ASK, tolerance=0.05, confidence=0.95):
    return psychometric.fit([ask], tallies, level=0.5, confidence=confidence, tolerance=tolerance)


def at(n, successes, trials, gaps=0):
    return Tally(20, 1, n, successes, trials, gaps)


def smooth(trials, *, slope=8.0, n_star=40.0, gaps=0):
    """Tallies at the expected counts of a logistic curve."""
    ns = (28, 33, 38, 41, 45, 50, 58)
    chances = [1 / (1 + (n_star / n) ** slope) for n in ns]
    return [at(n, round(p * trials), trials, gaps) for n, p in zip(ns, chances, strict=True)]


def test_a_crossing_inside_the_range_is_found_with_an_interval_that_holds_it():
    threshold = fit(smooth(40)).threshold(0)
    assert threshold.status == "found"
    assert threshold.low < 40 < threshold.high
    assert threshold.trials == 280
    assert threshold.n10_n90[0] < threshold.low < threshold.high < threshold.n10_n90[1]


def test_success_never_reached_is_above_range_with_only_a_lower_bound():
    posterior = fit([at(20, 0, 1), at(100, 0, 4), at(200, 0, 1), at(400, 0, 10)])
    threshold = posterior.threshold(0)
    assert threshold.status == "above_range"
    assert threshold.low > 300
    assert (threshold.n_star, threshold.high) == (None, None)
    assert posterior.settled(0)


def test_success_from_the_start_is_below_range_with_only_an_upper_bound():
    threshold = fit([at(5, 10, 10), at(30, 4, 4)]).threshold(0)
    assert threshold.status == "below_range"
    assert threshold.high < 6
    assert (threshold.n_star, threshold.low) == (None, None)


def test_three_failures_at_the_top_are_no_proof_that_the_threshold_lies_above():
    posterior = fit([at(400, 0, 2)])
    assert posterior.threshold(0).status == "undecided"
    assert not posterior.settled(0)


def test_success_that_hardly_depends_on_n_is_not_sharp():
    flat = [at(n, s, 60) for n, s in [(5, 25), (15, 27), (40, 31), (120, 33), (400, 35)]]
    threshold = fit(flat).threshold(0)
    assert threshold.status == "not_sharp"
    assert threshold.n_star is None


def test_success_that_falls_again_is_not_monotone():
    dip = [at(10, 0, 10), at(15, 9, 10), at(20, 1, 10), at(25, 2, 10), at(40, 10, 10)]
    assert fit(dip).threshold(0).status == "not_monotone"


def test_few_trials_are_undecided_or_unsettled():
    posterior = fit([at(20, 0, 1), at(60, 1, 1)])
    assert posterior.threshold(0).status in ("undecided", "found")
    assert not posterior.settled(0)


def test_the_stop_rule_is_the_width_of_the_interval():
    tallies = [*smooth(40), *looked(ASK, 40)]
    posterior = fit(tallies, tolerance=0.5)
    threshold = posterior.threshold(0)
    half = (threshold.high - threshold.low) / (2 * threshold.n_star)
    assert posterior.settled(0)
    assert fit(tallies, tolerance=half * 1.01).settled(0)
    assert not fit(tallies, tolerance=half * 0.99).settled(0)


def test_a_jump_between_integers_is_settled_within_one_step_whatever_the_tolerance():
    ask = Asked(20, 1, 2, 100)
    tallies = [at(19, 0, 10), at(20, 10, 10), *looked(ask, 19.5)]
    posterior = fit(tallies, ask=ask, tolerance=0.001)
    threshold = posterior.threshold(0)
    assert threshold.status == "found"
    assert 19 <= threshold.low <= threshold.n_star <= threshold.high <= 20
    assert posterior.settled(0)


def test_gaps_widen_the_interval_to_what_they_could_have_been():
    without = fit(smooth(40)).threshold(0)
    gaps = [*smooth(40), at(36, 0, 0, gaps=60)]
    with_gaps = fit(gaps).threshold(0)
    assert with_gaps.low < 0.95 * without.low
    assert with_gaps.high >= without.high
    assert with_gaps.gaps == 60
    assert with_gaps.widened
    assert not without.widened


def test_more_than_one_gap_in_ten_inside_the_transition_is_undecided():
    few, many = fit(smooth(40, gaps=3)).threshold(0), fit(smooth(40, gaps=6)).threshold(0)
    assert (few.status, many.status) == ("found", "undecided")
    assert many.n_star == pytest.approx(40, rel=0.05)


def test_gaps_far_from_the_transition_do_not_matter():
    far = fit([*smooth(40), at(300, 0, 0, gaps=40)]).threshold(0)
    assert far.status == "found"


def test_a_threshold_whose_trials_only_make_gaps_is_left_alone():
    posterior = fit([at(30, 0, 2), at(60, 0, 1, gaps=30)])
    assert posterior.settled(0)
    assert posterior.threshold(0).status == "undecided"


def test_one_false_outcome_does_not_move_a_threshold():
    sound = fit(smooth(40)).log_n_star(0)[0]
    low_lapse = fit([*smooth(40), at(8, 1, 1)]).log_n_star(0)[0]
    high_lapse = fit([*smooth(40), at(300, 0, 1)]).log_n_star(0)[0]
    assert abs(low_lapse - sound) < 0.02
    assert abs(high_lapse - sound) < 0.02


def test_a_plateau_below_one_is_a_lapse_and_not_a_gentle_slope():
    """Success levels off at 90%: n_star of P = 0.9 logistic(8 log(n / 40)) is 41.2."""
    ns = np.array([20, 28, 34, 38, 42, 46, 52, 60, 90, 140])
    chances = 0.9 / (1 + (40 / ns) ** 8.0)
    tallies = [at(int(n), round(p * 60), 60) for n, p in zip(ns, chances, strict=True)]
    posterior = fit(tallies)
    exact = 40 * (0.5 / 0.4) ** (1 / 8)
    assert math.exp(posterior.log_n_star(0)[0]) == pytest.approx(exact, rel=0.02)
