import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.inference import design, psychometric
from orchestrator.inference.threshold import Asked, Choice, Tally
from tests.inference.looks import looked

ASKED = [Asked(d, 1, 5, 400) for d in (10, 20, 40)]
EVEN = lambda d, n, k: 1.0


def choose(
    tallies, pending=(), *, asked=ASKED, trials=32, work=EVEN, tolerance=0.05, aim="thresholds"
):
    posterior = psychometric.fit(asked, tallies, level=0.5, confidence=0.95, tolerance=tolerance)
    return design.choose(
        posterior, asked, tallies, pending, trials=trials, work=work, tolerance=tolerance, aim=aim
    )


def bracketed(asked=ASKED, trials=8, slope=6.0):
    """Expected counts of logistic curves that cross at 2d."""
    places = np.exp(np.array([-0.35, -0.15, 0.0, 0.15, 0.35]))
    return [
        Tally(a.d, a.k, n, round(trials / (1 + (2 * a.d / n) ** slope)), trials)
        for a in asked
        for n in np.rint(2 * a.d * places).astype(int).tolist()
    ] + [tally for a in asked for tally in looked(a, 2 * a.d)]


def total(choices, d=None):
    return sum(c.repeats for c in choices if d in (None, c.d))


def test_the_first_round_spreads_over_every_cell_and_its_range():
    first = choose([])
    for ask in ASKED:
        ns = [c.n for c in first if c.d == ask.d]
        assert ns
        assert all(ask.low <= n <= ask.high for n in ns)
    ns = [math.log(c.n) for c in first]
    assert max(ns) - min(ns) > 1.5
    assert all(c.repeats <= 2 for c in first)


@given(st.permutations(range(15)), st.integers(1, 40))
@settings(max_examples=5, deadline=None)
def test_a_round_depends_on_values_only_and_never_exceeds_its_size(order, trials):
    tallies = bracketed()[:15]
    one = choose(tallies, trials=trials)
    assert one == choose([tallies[i] for i in order], trials=trials)
    assert 1 <= total(one) <= trials
    assert all(c.repeats >= 1 for c in one)
    assert len({(c.d, c.k, c.n) for c in one}) == len(one)


def test_choices_lie_on_the_ladder_near_the_crossing_and_come_in_blocks():
    chosen = choose(bracketed(), tolerance=0.02)
    assert total(chosen) == 32
    assert all(0.6 < c.n / (2 * c.d) < 1.6 for c in chosen)
    assert np.mean([c.repeats >= 4 for c in chosen]) > 0.7


def test_nothing_is_asked_once_everything_is_settled():
    assert choose(bracketed(trials=400), tolerance=0.1) == []


def test_what_is_in_flight_is_not_asked_again():
    """Enough is pending to settle all: the round shrinks to the least there is."""
    pending = [
        Choice(d, 1, round(2 * d * place), 200) for d in (10, 20, 40) for place in (0.9, 1.0, 1.1)
    ]
    assert total(choose(bracketed(), pending, tolerance=0.1)) <= 2
    assert total(choose(bracketed(), [], tolerance=0.1)) == 32


def test_pending_trials_of_one_cell_send_the_round_to_the_others():
    pending = [Choice(20, 1, 40, 300)]
    chosen = choose(bracketed(), pending, tolerance=0.03)
    assert total(chosen, d=20) <= 4
    assert total(chosen) == 32


def test_no_more_is_asked_than_the_tolerance_needs():
    tallies = bracketed(trials=60)
    close = [choose(tallies, tolerance=t, trials=10_000) for t in (0.045, 0.04, 0.03)]
    sizes = [total(choices) for choices in close]
    assert sizes[0] < sizes[1] < sizes[2] < 3_000


def test_cells_without_a_bracket_come_before_precision_elsewhere():
    asked = [*ASKED, Asked(300, 1, 5, 400_000)]
    tallies = bracketed(slope=12.0)
    work = lambda d, n, k: float(n)
    chosen = choose(tallies, asked=asked, work=work, tolerance=0.03)
    assert total(chosen, d=300) >= 1


def test_of_equal_gains_the_cheaper_is_taken_first():
    asked = [Asked(20, 1, 5, 400), Asked(20, 2, 5, 400)]
    tallies = bracketed(asked)
    work = lambda d, n, k: 50.0 if k == 2 else 1.0
    chosen = choose(tallies, asked=asked, work=work, tolerance=0.03)
    assert sum(c.repeats for c in chosen if c.k == 1) > sum(c.repeats for c in chosen if c.k == 2)


def test_an_expensive_cell_is_not_starved():
    """Only the dear cell is unsettled once the cheap one is done: it gets the whole round."""
    asked = [Asked(20, 1, 5, 400), Asked(20, 2, 5, 400)]
    cheap = [Tally(t.d, t.k, t.n, t.successes * 40, t.trials * 40) for t in bracketed(asked[:1])]
    dear = bracketed(asked[1:])
    work = lambda d, n, k: 1e6 if k == 2 else 1.0
    looks = looked(asked[0], 40)
    chosen = choose([*cheap, *dear, *looks], asked=asked, work=work, tolerance=0.05)
    assert {c.k for c in chosen} == {2}


def test_a_steep_transition_is_searched_at_every_integer():
    ask = [Asked(200, 1, 50, 800)]
    tallies = [
        Tally(200, 1, n, s, 6) for n, s in [(190, 0), (200, 0), (206, 6), (210, 6), (230, 6)]
    ]
    tallies += looked(ask[0], 203)
    ns = [c.n for c in choose(tallies, asked=ask, tolerance=0.002)]
    assert set(ns) <= set(range(198, 210))
    assert set(ns) - {199, 200, 203, 204, 208}


def test_a_jump_between_two_rungs_far_apart_is_pinned_however_steep_it_looks():
    """Success from n = 3,001 on, in 10 million: the more outcomes agree, the steeper the curve."""
    ask, counts = Asked(20, 1, 1, 10**7), {}
    for _ in range(150):
        tallies = [Tally(20, 1, n, s, t) for n, (s, t) in sorted(counts.items())]
        chosen = choose(tallies, asked=[ask], tolerance=0.002, trials=8)
        if not chosen:
            break
        for c in chosen:
            s, t = counts.get(c.n, (0, 0))
            counts[c.n] = s + c.repeats * (c.n > 3000), t + c.repeats
    else:
        pytest.fail("still unsettled after 150 rounds")


def test_exponents_are_those_that_a_law_can_have():
    """Where k follows d nearly, only d has an exponent; with one cell its threshold is the goal."""
    asked = [Asked(d, k, 5, 4000) for d, k in ((10, 1), (21, 2), (40, 4), (79, 8), (160, 16))]
    chosen = choose(bracketed(asked), asked=asked, tolerance=0.05, aim="exponents")
    assert total(chosen, d=10) + total(chosen, d=160) > total(chosen) / 2
    alone = [Asked(20, 1, 5, 400)]
    assert all(
        abs(math.log(c.n / 40)) < 1 for c in choose(bracketed(alone), asked=alone, aim="exponents")
    )


def test_work_that_is_not_positive_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"work of a trial at d=10, n=\d+, k=1 is 0.0"):
        choose(bracketed(), work=lambda d, n, k: 0.0)


def test_a_range_without_a_crossing_is_probed_at_its_end():
    ask = [Asked(20, 1, 5, 100)]
    tallies = [Tally(20, 1, n, 0, 2) for n in (10, 30, 60, 90)]
    chosen = choose(tallies, asked=ask)
    assert max(c.n for c in chosen) >= 90


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_small_rounds_are_filled_too(trials):
    assert 1 <= total(choose(bracketed(), trials=trials)) <= trials
