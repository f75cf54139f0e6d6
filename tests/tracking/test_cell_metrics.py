"""The figures of a cell: what MLflow is told of its trials."""

import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tracking.cell_metrics import (
    Figure,
    Told,
    aggregate_figures,
    in_batches,
    success_of,
    trial_figures,
)
from tests.tracking.values import A_SPEC


def told(repeat: int, outcome: str | None = "fitted", time_ms: int = 5, **measures: float) -> Told:
    return Told(repeat, outcome, measures, 0.5, 2, time_ms)


def values(figures: list[Figure]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


def test_a_trial_is_one_step_of_its_measures():
    figures = trial_figures(told(7, train_error=0.25))
    assert values(figures) == {
        "trial.train_error": 0.25,
        "trial.outcome": 0.0,
        "trial.seconds": 0.5,
        "trial.attempt": 2.0,
    }
    assert {(figure.step, figure.time_ms) for figure in figures} == {(7, 5)}


def test_every_outcome_has_its_number():
    numbers = {
        outcome: values(trial_figures(told(0, outcome)))["trial.outcome"]
        for outcome in ("fitted", "diverged", "out_of_budget", None)
    }
    assert numbers == {"fitted": 0.0, "diverged": 1.0, "out_of_budget": 2.0, None: 3.0}


def test_aggregates_count_answers_and_not_gaps():
    trials = [told(0, loss=1.0, time_ms=1), told(1, None, time_ms=2), told(2, loss=4.0, time_ms=3)]
    figures = aggregate_figures(trials, lambda outcome, measures: measures.get("loss", 9.0) < 2.0)
    assert values(figures) == {
        "trials": 2.0,
        "success_rate": 0.5,
        "loss.mean": 2.5,
        "loss.sd": math.sqrt(4.5),
    }
    assert {(figure.step, figure.time_ms) for figure in figures} == {(2, 3)}


def test_a_trial_that_diverged_counts_as_a_failure_and_has_no_mean():
    figures = aggregate_figures(
        [told(0, "diverged"), told(1, loss=1.0)], lambda outcome, m: "loss" in m
    )
    assert values(figures) == {"trials": 2.0, "success_rate": 0.5, "loss.mean": 1.0}


def test_there_are_no_aggregates_of_gaps_alone():
    assert aggregate_figures([told(0, None)], None) == []


def test_nothing_that_is_not_finite_is_told():
    huge = [told(0, loss=1.7e308, bad=math.inf), told(1, loss=1.7e308, bad=math.nan)]
    figures = [*trial_figures(huge[0]), *aggregate_figures(huge, None)]
    assert all(math.isfinite(figure.value) for figure in figures)
    assert "trial.bad" not in values(figures)
    assert values(figures)["trials"] == 2.0


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 12))
def test_batches_keep_order_and_size_and_tear_no_group_that_fits(sizes: list[int], limit: int):
    groups = [
        [Figure(f"m{index}", float(i), 0, 0) for i in range(size)]
        for index, size in enumerate(sizes)
    ]
    batches = in_batches(groups, limit)
    assert [figure for batch in batches for figure in batch] == [
        figure for group in groups for figure in group
    ]
    assert all(len(batch) <= limit for batch in batches)
    for group in groups:
        if 0 < len(group) <= limit:
            assert sum(group[0] in batch or group[-1] in batch for batch in batches) == 1


def test_the_criterion_is_read_from_the_canonical_spec():
    succeeds = success_of(A_SPEC.canonical)
    assert succeeds is not None
    assert succeeds("fitted", {"train_error": 0.1})
    assert not succeeds("fitted", {"train_error": 0.0})
    assert succeeds("out_of_budget", {}) is None
    assert success_of("{}") is None
