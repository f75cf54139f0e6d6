"""Prices of search, grid and oracle on real learners; what was trained is trained once."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.known_thresholds import records
from benchmarks.known_thresholds.bound import bound, price_of, variance_wanted
from benchmarks.known_thresholds.costs import Cost, Costs, judged
from benchmarks.known_thresholds.records import Records
from benchmarks.known_thresholds.runs import Runner
from benchmarks.known_thresholds.systems import SYSTEMS, System, cover, full_rank, grid_at
from benchmarks.known_thresholds.training import trained
from orchestrator.inference.ladder import rungs

TINY = System("tiny", 1.0, (("cover", ("axes.d=[4]", "search.tolerance=0.3")),), exact=cover)


def logistic(slope, n_star):
    return lambda n: 1 / (1 + (n_star / n) ** slope)


def test_closed_forms_are_what_the_literature_says():
    assert cover(20, np.array([40.0]))[0] == pytest.approx(0.5)
    assert full_rank(60, np.array([59.0, 60.0, 61.0])) == pytest.approx(
        [0, 0.2888, 0.5776], abs=1e-4
    )


def test_an_oracle_at_the_middle_of_a_logistic_curve_needs_4_over_s2_v():
    least = bound(logistic(8, 50), math.log(81) / 8, 50, 0.01, lambda n: 3.0)
    assert least.trials == pytest.approx(4 / (8**2 * 0.01), rel=0.01)
    assert least.seconds == pytest.approx(3 * least.trials)


def test_an_oracle_goes_where_a_trial_tells_most_per_second():
    least = bound(logistic(4, 50), math.log(81) / 4, 50, 0.01, lambda n: n**3.0)
    assert least.seconds < 0.7 * 50**3 * least.trials


def test_as_many_trials_as_the_bound_give_the_variance_wanted():
    """Of 4,000 estimates the variance is within 5 standard errors; the bound's own bias is 1%."""
    curve, wanted, rng = logistic(6, 40), 0.02**2, np.random.default_rng(0)
    trials = round(bound(curve, math.log(81) / 6, 40, wanted, lambda n: 1.0).trials)
    shares = rng.binomial(trials, curve(40.0), size=4_000) / trials
    estimates = math.log(40) - np.log(shares / (1 - shares)) / 6
    assert estimates.var() == pytest.approx(wanted, rel=0.01 + 5 * math.sqrt(2 / 4_000))


def test_a_threshold_is_wanted_to_its_tolerance_or_to_its_integer_step():
    z = norm.ppf(0.975)
    assert variance_wanted(200.4, 0.03, 0.95) == pytest.approx((0.03 / z) ** 2, rel=1e-3)
    spread = math.sqrt(variance_wanted(8.5, 0.01, 0.95))
    inside = norm.cdf(math.log(9 / 8.5) / spread) - norm.cdf(math.log(8 / 8.5) / spread)
    assert inside == pytest.approx(0.95)


def test_seconds_at_n_are_those_of_trials_near_it():
    price = price_of([10, 20, 400], [1.0, 2.0, 90.0], [10, 10, 30])
    assert [price(n) for n in (1, 20, 400, 9_000)] == pytest.approx([0.1, 0.2, 3.0, 3.0], rel=1e-3)


@pytest.mark.parametrize("name", SYSTEMS)
def test_theory_speaks_of_every_threshold_and_its_grid_climbs_the_ladder(name):
    for spec in SYSTEMS[name].specs(0):
        for arm in spec.arms:
            for asked in spec.asked(arm):
                n_star = spec.theory_at(arm, asked.d, asked.k).n_star
                (alone,) = (grid := grid_at(spec, arm, asked)).arms
                assert (alone.target, alone.learner) == (arm.target, arm.learner)
                ladder = rungs(max(1, math.ceil(n_star / 10)), math.floor(10 * n_star))
                assert grid.n_grid(alone, asked.d, asked.k) == tuple(ladder)


def test_seconds_of_trials_add_up_to_what_training_took():
    (spec,) = TINY.specs(0)
    started = time.process_time()
    found = trained(spec)
    spent = time.process_time() - started
    training = sum(one.cpu_s for one in found.tried)
    assert all(one.cpu_s > 0 for one in found.tried)
    assert 0 < training < spent
    assert training + found.deciding_s < spent


def test_what_was_trained_is_not_trained_again(tmp_path):
    first = Runner(Records(tmp_path)).runs(TINY, seeds=2)
    text = (tmp_path / "tiny.jsonl").read_text()
    assert Runner(Records(tmp_path), trains=False).runs(TINY, seeds=2) == first
    assert (tmp_path / "tiny.jsonl").read_text() == text
    with pytest.raises(LookupError):
        Runner(Records(tmp_path), trains=False).runs(TINY, seeds=3)


def test_a_narrow_interval_far_from_theory_is_not_good(tmp_path):
    runs = Runner(Records(tmp_path)).runs(TINY, seeds=1)
    (close,), (far,) = judged(TINY, runs), judged(replace(TINY, within=0.0), runs)
    assert close.is_known(close.found[0])
    assert (close.good, far.good) == (1, 0)


def test_a_line_that_a_kill_cut_off_spoils_no_other(tmp_path):
    (spec,), kept = TINY.specs(0), Records(tmp_path)
    (tmp_path / "tiny.jsonl").write_text('{"sweep": "0')
    kept.add("tiny", spec, found := trained(spec))
    assert kept.find("tiny", spec) == found


def test_records_of_other_sources_are_void(tmp_path, monkeypatch):
    (spec,), kept = TINY.specs(0), Records(tmp_path)
    kept.add("tiny", spec, trained(spec))
    monkeypatch.setattr(records, "_sources", lambda parts: "others")
    assert kept.find("tiny", spec) is None


def test_a_long_grid_is_measured_by_few_repeats_and_scaled_up(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.known_thresholds.runs.MOST_S", 0.0)
    (few,) = judged(TINY, Runner(Records(tmp_path)).runs(TINY, seeds=1))
    (whole,) = judged(TINY, Runner(Records(tmp_path), whole=True).runs(TINY, seeds=1))
    assert (few.repeats, whole.repeats) == (4, 20)
    assert few.costs.grid.trials == whole.costs.grid.trials
    assert few.costs.search == whole.costs.search


@pytest.mark.parametrize(
    ("search", "oracle", "verdict"),
    [
        (5, 4, "20x reached"),
        (6, 4, "SHORT of 20x, which the bound allows"),
        (11, 6, "within twice the bound"),
        (13, 6, "SHORT of twice the bound"),
    ],
)
def test_a_search_is_held_to_20_times_where_the_oracle_is_that_cheap(search, oracle, verdict):
    judged_so = Costs(Cost(1, search), Cost(1, 100), Cost(1, oracle), as_packed=search)
    assert judged_so.verdict == verdict
