"""Axes: which points an experiment asks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.inference.ladder import rungs
from orchestrator.spec import ExperimentSpec
from orchestrator.spec.axes import spaced


def a_spec(axes: dict[str, Any], kind: str = "threshold") -> ExperimentSpec:
    return ExperimentSpec.from_words(
        {
            "name": "axes",
            "target": {"kind": "random_labels"},
            "learner": {"kind": "linear_separator"},
            "axes": axes,
            "success": {"measure": "train_error", "above": 0},
            "search": {"kind": kind},
        }
    )


def points(axes: dict[str, Any]) -> list[tuple[int, int]]:
    spec = a_spec({"n": {"low": 1, "high": 9}, **axes})
    return [(asked.d, asked.k) for asked in spec.asked(spec.arms[0])]


def test_a_product_walks_k_inside_d():
    assert points({"d": [10, 20], "k": [1, 2]}) == [(10, 1), (10, 2), (20, 1), (20, 2)]


def test_a_single_number_is_an_axis():
    assert points({"d": 10}) == [(10, RandomLabels.default_k)]


def test_k_may_follow_d_and_equal_points_count_once():
    assert points({"d": [10, 50], "k": ["d/10", 5]}) == [(10, 1), (10, 5), (50, 5)]


def test_d_may_follow_k_whatever_the_order_of_words():
    expected = [(10, 1), (20, 2)]
    assert points({"d": "10*k", "k": [1, 2]}) == expected
    assert points({"k": [1, 2], "d": "10*k"}) == expected


def test_points_are_taken_as_they_stand():
    assert points({"points": [[10, 2], {"d": 5, "k": 1}]}) == [(10, 2), (5, 1)]


def test_zipped_axes_are_walked_together():
    assert points({"zip": {"d": [10, 20, 40], "k": [1, 2, "d/10"]}}) == [(10, 1), (20, 2), (40, 4)]
    assert points({"zip": {"k": [1, 2], "d": ["10*k", 7]}}) == [(10, 1), (7, 2)]


def test_a_zipped_n_belongs_to_its_pair():
    spec = a_spec({"zip": {"d": [10, 10, 20], "n": [5, "2*d", 9]}}, kind="grid")
    arm = spec.arms[0]
    assert [(a.d, a.k, a.low, a.high) for a in spec.asked(arm)] == [(10, 1, 5, 20), (20, 1, 9, 9)]
    assert spec.n_grid(arm, 10, 1) == (5, 20)


def test_a_letter_beside_a_zip_holds_at_every_step_of_it():
    zipped = {"zip": {"d": [10, 20], "n": [5, "2*d+k"]}}

    def asked(**beside: Any) -> list[tuple[int, int, int]]:
        spec = a_spec({**zipped, **beside}, kind="grid")
        assert ExperimentSpec.from_canonical(spec.canonical).id == spec.id
        return [(a.d, a.k, a.high) for a in spec.asked(spec.arms[0])]

    assert asked(k=2) == [(10, 2, 5), (20, 2, 42)]
    assert asked(k="d/10") == [(10, 1, 5), (20, 2, 42)]
    zipped["zip"]["d"] = ["5*k", 20]
    assert asked(k=2) == [(10, 2, 5), (20, 2, 42)]
    zipped["zip"]["d"] = [10, 20]
    assert asked(k=[1, 2]) == [(10, 1, 5), (10, 2, 5), (20, 1, 41), (20, 2, 42)]


def test_d_may_stand_beside_a_zip_of_k_and_n():
    spec = a_spec({"zip": {"k": [1, 2], "n": [5, "4*d"]}, "d": "10*k"}, kind="grid")
    assert [(a.d, a.k, a.high) for a in spec.asked(spec.arms[0])] == [(10, 1, 5), (20, 2, 80)]


def test_a_range_of_d_is_spaced_and_rounded():
    assert points({"d": {"low": 10, "high": 50, "count": 3}}) == [(10, 1), (30, 1), (50, 1)]
    log = points({"d": {"low": 10, "high": 1000, "count": 3, "spacing": "log"}})
    assert log == [(10, 1), (100, 1), (1000, 1)]


def test_ends_of_n_are_rounded_inward():
    spec = a_spec({"d": [10, 15], "n": {"low": "d/4", "high": "sqrt(d)*3"}})
    assert [(a.low, a.high) for a in spec.asked(spec.arms[0])] == [(3, 9), (4, 11)]


def test_a_whole_float_is_a_whole_number():
    assert points({"d": [1e1, 20.0]}) == [(10, 1), (20, 1)]


def test_a_grid_takes_the_values_given_the_count_or_the_ladder():
    def grid(n: Any) -> tuple[int, ...]:
        spec = a_spec({"d": 10, "n": n}, kind="grid")
        return spec.n_grid(spec.arms[0], 10, 1)

    assert grid([30, 10, "2*d"]) == (10, 20, 30)
    assert grid({"low": 10, "high": 1000, "count": 3, "spacing": "log"}) == (10, 100, 1000)
    assert grid({"low": 1, "high": 4, "count": 100}) == (1, 2, 3, 4)
    assert grid({"low": 10, "high": 100}) == tuple(rungs(10, 100))


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(2, 50), st.booleans())
def test_spaced_values_ascend_between_both_ends(low: int, more: int, count: int, log: bool):
    found = spaced(low, low + more, count, "log" if log else "linear")
    assert (found[0], found[-1]) == (low, low + more)
    assert list(found) == sorted(set(found))
    assert len(found) <= count


def test_a_target_with_a_k_of_its_own_uses_it_without_a_k_axis(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RandomLabels, "default_k", 3)
    assert points({"d": 10}) == [(10, 3)]
