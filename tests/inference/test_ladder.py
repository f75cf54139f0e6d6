from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference.ladder import around, rungs


def test_every_integer_to_32_is_a_rung_and_then_rungs_are_4_percent_apart():
    ladder = rungs(1, 1000).tolist()
    assert ladder[:32] == list(range(1, 33))
    assert ladder[32:38] == [33, 35, 36, 38, 40, 41]
    assert all(b / a < 1.065 for a, b in pairwise(ladder[31:]))


def test_one_ladder_serves_all_ranges():
    whole = set(rungs(1, 100_000).tolist())
    assert set(rungs(50, 700).tolist()) - {50, 700} <= whole


def test_the_fine_ladder_contains_the_coarse_one_and_halves_its_step():
    coarse, fine = set(rungs(1, 5000).tolist()), rungs(1, 5000, fine=True).tolist()
    assert coarse <= set(fine)
    assert all(b / a < 1.035 for a, b in pairwise(fine[63:]))


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.booleans())
def test_rungs_lie_in_their_range_and_include_its_ends(low, extra, fine):
    ladder = rungs(low, low + extra, fine)
    assert ladder[0] == low
    assert ladder[-1] == low + extra
    assert all(a < b for a, b in pairwise(ladder.tolist()))


def test_a_narrow_transition_is_searched_integer_by_integer():
    window = around(1, 1000, 99.5, 103.2, fine=False, every=True)
    assert window.tolist() == list(range(99, 105))


@given(
    st.integers(1, 500), st.integers(0, 500), st.floats(0.1, 2000), st.floats(1, 10), st.booleans()
)
def test_a_window_never_leaves_the_range_and_never_is_empty(low, extra, start, factor, every):
    window = around(low, low + extra, start, start * factor, fine=False, every=every)
    assert len(window) >= 1
    assert low <= window[0] <= window[-1] <= low + extra
