"""From trials to thresholds, laws and comparisons: one pure function."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from orchestrator.answer import Answer, Heading, TrialRow, answer, as_json
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.spec import ExperimentSpec

STANDING = Heading("0123456789abcdef", "finished", "tolerance")


def a_spec(**changes: object) -> ExperimentSpec:
    words = {
        "name": "two-arms",
        "target": {"kind": "sparse_parity"},
        "learner": [{"kind": "kernel_ridge"}, {"kind": "two_layer"}],
        "axes": {"d": [10, 20, 40], "k": 2, "n": {"low": 5, "high": 4000}},
        "success": {"measure": "test_accuracy", "above": 0.9},
        **changes,
    }
    return ExperimentSpec.from_words(words)


def rows(arm: int, d: int, n_star: float, **more: object) -> Iterator[TrialRow]:
    """Eight trials at each of nine n around `n_star`, with success as a logistic curve has it."""
    for step in range(-4, 5):
        n = max(1, round(n_star * 2 ** (step / 4)))
        wins = round(8 / (1 + (n_star / n) ** 8))
        for repeat in range(8):
            yield TrialRow(
                key=f"{arm} {d} {n} {repeat} {more}",
                arm=arm,
                round=0,
                point=Point(d=d, n=n, k=2),
                repeat=repeat,
                seed=0,
                outcome=Outcome.FITTED,
                success=repeat < wins,
                measures={"test_accuracy": 1.0 if repeat < wins else 0.5},
                seconds=0.1,
                attempt=1,
                cached=False,
                **more,  # type: ignore[arg-type]
            )


def two_arms() -> list[TrialRow]:
    found = [row for d in (10, 20, 40) for row in rows(0, d, 0.5 * d**2)]
    return found + [row for d in (10, 20, 40) for row in rows(1, d, 3.0 * d)]


def test_thresholds_laws_and_comparisons_follow_from_the_trials():
    found = answer(a_spec(), STANDING, two_arms())
    kernel, network = found.arms
    assert [one.threshold.n_star for one in kernel.thresholds] == pytest.approx(
        [50, 200, 800], rel=0.05
    )
    assert network.power is not None
    assert network.power.exponents["d"].value == pytest.approx(1.0, abs=0.05)
    (comparison,) = found.comparisons
    assert [ratio for _, _, ratio, _, _ in comparison.ratios] == pytest.approx(
        [50 / 30, 200 / 60, 800 / 120], rel=0.07
    )
    ((letter, gap, low, high),) = comparison.exponent_gaps
    assert letter == "d"
    assert low < 1.0 < high
    assert gap == pytest.approx(1.0, abs=0.1)


def test_the_order_of_trials_changes_nothing():
    spec, found = a_spec(), two_arms()
    assert as_json(answer(spec, STANDING, found[::-1])) == as_json(answer(spec, STANDING, found))


def test_no_trials_leave_every_threshold_undecided_and_no_law():
    found = as_json(answer(a_spec(), STANDING, []))
    assert {one["status"] for arm in found["arms"] for one in arm["thresholds"]} == {"undecided"}
    assert [arm["law"] for arm in found["arms"]] == [None, None]


def test_settings_that_were_tuned_are_never_pooled():
    """Two ridges whose thresholds are a factor of three apart: the answer is the better one's."""
    spec = a_spec(
        learner={"kind": "kernel_ridge"}, axes={"d": 10, "k": 2, "n": {"low": 5, "high": 4000}}
    )
    found = [*rows(0, 10, 50, tuned={"ridge": 0.1}), *rows(0, 10, 150, tuned={"ridge": 10.0})]
    (one,) = answer(spec, STANDING, found).arms[0].thresholds
    assert dict(one.tuned) == {"ridge": 0.1}
    assert one.threshold.n_star == pytest.approx(50, rel=0.05)
    assert one.threshold.trials == 72


def test_a_candidate_that_was_not_tried_holds_a_tuned_threshold_open():
    spec = a_spec(
        learner={"kind": "kernel_ridge"},
        axes={"d": 10, "k": 2, "n": {"low": 5, "high": 4000}},
        tune={"ridge": [0.1, 10.0, 1000.0]},
    )
    tried = [*rows(0, 10, 50, tuned={"ridge": 0.1}), *rows(0, 10, 150, tuned={"ridge": 10.0})]
    (one,) = answer(spec, STANDING, tried).arms[0].thresholds
    assert (one.threshold.status, dict(one.tuned)) == ("undecided", {"ridge": 0.1})
    assert [dict(rival.tuned)["ridge"] for rival in one.rivals if rival.contends] == [1000.0]
    last = rows(0, 10, 400, tuned={"ridge": 1000.0})
    (one,) = answer(spec, STANDING, [*tried, *last]).arms[0].thresholds
    assert one.threshold.status == "found"
    assert [dict(rival.tuned)["ridge"] for rival in one.rivals] == [10.0, 1000.0]
    assert not any(rival.contends for rival in one.rivals)
    assert one.threshold.low < 50 < one.threshold.high


def test_ratios_cover_as_often_as_the_thresholds_do():
    """2,000 pairs of skewed 95% intervals: coverage is within 0.92 and 0.98 (six standard
    deviations of a binomial at 0.95)."""
    from orchestrator.inference.comparison import difference
    from orchestrator.inference.threshold import Interval

    chance, inside = np.random.Generator(np.random.Philox(key=7)), 0
    for _ in range(2000):
        ends = [chance.gamma(9.0, size=4000) for _ in range(2)]
        truth, draws = 0.0, []
        for sample in ends:
            value, low, high = np.quantile(sample, [0.5, 0.025, 0.975])
            shift = chance.gamma(9.0)
            draws.append(Interval(shift, shift - (high - value), shift + (value - low)))
            truth += (1 if sample is ends[0] else -1) * value
        gap = difference(*draws)
        inside += gap.low <= truth <= gap.high
    assert 0.92 < inside / 2000 < 0.98


def test_a_found_answer_as_json_holds_numbers_only():
    found = as_json(answer(a_spec(), STANDING, two_arms()))
    for arm in found["arms"]:
        for one in arm["thresholds"]:
            assert one["status"] == "found"
            assert all(math.isfinite(one[name]) for name in ("n_star", "low", "high"))


def test_an_empty_answer_has_nothing_to_compare():
    found: Answer = answer(a_spec(), STANDING, [])
    assert found.comparisons[0].ratios == ()
    assert found.comparisons[0].exponent_gaps == ()
