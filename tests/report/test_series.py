import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from orchestrator.inference.threshold import Tally
from orchestrator.report.series import (
    POOL_TRIALS,
    POOL_WITHIN,
    band,
    collapsed,
    fitted,
    gathered,
    law_curve,
    letters,
    lines,
    mark,
    pooled,
    rates,
    reach,
    shown,
    wilson,
)
from tests.report.builders import a_found, a_law, an_answer, an_answer_with_k, an_arm


def with_tallies(*counts):
    """A threshold at d = 10, k = 2 with tallies (n, successes, trials, gaps)."""
    return replace(a_found()[0], tallies=tuple(Tally(10, 2, *one) for one in counts))


def test_wilson_intervals_cover_a_rate_about_as_often_as_they_say():
    """Exact coverage by summing the binomial, no sampling; averaged over rates it is near 95%."""
    trials = 20
    covered = [
        sum(
            binom.pmf(s, trials, rate)
            for s in range(trials + 1)
            if wilson(s, trials, 0.95)[0] <= rate <= wilson(s, trials, 0.95)[1]
        )
        for rate in np.linspace(0.05, 0.95, 37)
    ]
    assert 0.94 < np.mean(covered) < 0.97


def test_gaps_are_neither_successes_nor_trials():
    found = with_tallies((40, 3, 4, 2), (50, 0, 0, 5))
    (only,) = rates(found)
    assert (only.successes, only.trials, only.gaps, only.rate) == (3, 4, 2, 0.75)


def test_pooling_keeps_every_trial_and_stays_narrow():
    found = a_found(rounds=8)[0]
    pools, raw = pooled(found), rates(found)
    assert sum(one.trials for one in pools) == sum(one.trials for one in raw)
    assert sum(one.successes for one in pools) == sum(one.successes for one in raw)
    assert len(pools) < len(raw)
    assert all(a.n < b.n for a, b in itertools.pairwise(pools))


def test_a_full_pool_takes_no_more_and_a_distant_n_stands_alone():
    wide = round(100 * POOL_WITHIN) + 1
    assert [one.trials for one in pooled(with_tallies((100, 1, 1, 0), (wide, 1, 1, 0)))] == [1, 1]
    full = with_tallies((100, 4, POOL_TRIALS, 0), (101, 1, 1, 0))
    assert [one.trials for one in pooled(full)] == [POOL_TRIALS, 1]


def test_the_fitted_curve_spans_what_was_tried():
    found = a_found()[0]
    fit = band(found)
    tried = [tally.n for tally in found.tallies]
    assert fit.n[0] <= min(tried)
    assert fit.n[-1] == pytest.approx(max(max(tried), found.threshold.n10_n90[1]))
    assert np.all(fit.low <= fit.median)
    assert np.all(fit.median <= fit.high)
    assert band(with_tallies()) is None
    assert len(band(with_tallies((7, 1, 1, 0))).n) == 100


def test_a_bound_is_a_mark_without_a_value():
    above, below = (mark(a_found(status=status)[0]) for status in ("above_range", "below_range"))
    assert (above.kind, above.value, above.high) == ("above", None, None)
    assert (below.kind, below.value, below.low) == ("below", None, None)
    assert mark(a_found(status="undecided")[0]).kind == "unknown"
    assert mark(a_found(n_star=40.0)[0], divisor=10.0).value == pytest.approx(4.0, rel=0.2)


def test_letters_are_those_that_vary():
    assert letters(an_answer()) == ["d"]
    assert letters(an_answer_with_k()) == ["d", "k"]
    ks = [a_found(100, k, 10.0 * k)[0] for k in (2, 4, 8)]
    assert letters(an_answer(arms=(an_arm(ks, None),))) == ["k"]


def test_thresholds_lie_on_lines_of_equal_k_or_of_k_in_proportion_to_d():
    fixed = an_arm([a_found(d, k)[0] for d in (10, 20) for k in (1, 2)], None)
    assert [line.name for line in lines(fixed, "d")] == ["k = 1", "k = 2"]
    shares = an_answer_with_k().arms[0]
    assert [line.name for line in lines(shares, "d")] == ["k/d = 0.1", "k/d = 0.2", "k/d = 0.4"]
    assert [[one.asked.d for one in line.thresholds] for line in lines(shares, "d")] == [
        [50, 100, 200]
    ] * 3
    rising = an_arm([a_found(d, k)[0] for d, k in ((8, 3), (16, 4), (40, 5))], None)
    (line,) = lines(rising, "d")
    assert line.name == ""
    assert [line.name for line in lines(shares, "k")] == ["d = 50", "d = 100", "d = 200"]


def test_the_drawn_law_passes_through_its_own_values_and_ends_where_they_end():
    founds = [a_found(d, n_star=4.0 * d)[0] for d in (10, 20, 40)]
    arm = an_arm(founds, a_law(founds, {"d": (1.0, 0.9, 1.1)}, fit=lambda d, k: float(d)))
    x, y = law_curve(arm, lines(arm, "d")[0], "d")
    assert (x[0], x[-1]) == pytest.approx((10, 40))
    assert y[0] == pytest.approx(fitted(arm, founds[0]))
    slopes = np.diff(np.log(y)) / np.diff(np.log(x))
    assert slopes == pytest.approx(np.ones(len(slopes)))
    assert math.log(founds[1].threshold.n_star / fitted(arm, founds[1])) == pytest.approx(
        arm.law.residuals[(20, 2)]
    )


def test_a_threshold_the_law_did_not_use_has_no_fitted_value():
    used = [a_found(d, n_star=4.0 * d)[0] for d in (10, 20, 40)]
    above = a_found(80, status="above_range")[0]
    arm = an_arm([*used, above], a_law(used, {"d": (1.0, 0.9, 1.1)}))
    assert fitted(arm, above) is None
    assert fitted(an_arm(used, None), used[0]) is None


def test_collapsed_curves_pass_the_level_at_one():
    one = collapsed(a_found(n_star=70.0)[0])
    assert np.interp(0.0, np.log(one.curve.n), one.curve.median) == pytest.approx(0.5, abs=0.01)
    low, high = reach([one])
    assert low < 1 < high
    assert collapsed(a_found(status="above_range")[0]) is None


def test_marks_that_are_too_many_are_drawn_together_and_none_is_lost():
    found = with_tallies(*((n, n % 3, 3, 1) for n in range(10, 700)))
    few = gathered(found, 50)
    assert len(few) == 50
    assert sum(one.trials for one in few) == sum(one.trials for one in rates(found))
    assert sum(one.gaps for one in few) == 690
    assert all(a.n < b.n for a, b in itertools.pairwise(few))
    assert gathered(found, 5000) == rates(found)


def test_a_picture_shows_at_most_two_dozen_thresholds_the_outermost_among_them():
    founds = [a_found(d, rounds=1)[0] for d in range(10, 110)]
    drawn = shown(an_arm(founds, None))
    assert len(drawn) == 24
    assert (drawn[0], drawn[-1]) == (founds[0], founds[-1])
    assert shown(an_arm(founds[:5], None)) == founds[:5]
