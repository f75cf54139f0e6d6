"""What more trials would bring, against what they bring."""

import math

import numpy as np
import pytest

from orchestrator.inference.outlook import prospect
from orchestrator.inference.psychometric import fit
from orchestrator.inference.threshold import Asked, Tally
from orchestrator.search.planning import Goal, Group, plan, posterior
from tests.inference.looks import looked

ASK = Asked(20, 1, 5, 800)
N_STAR = 60.0


def success(n, slope):
    return 1 / (1 + math.exp(-slope * math.log(n / N_STAR)))


def known(trials, *, slope=8.0, gaps=0, ask=ASK, tolerance=0.05):
    """The posterior after that many trials at each of seven n around the crossing."""
    ns = [round(N_STAR * 1.12**step) for step in range(-3, 4)]
    tallies = [Tally(20, 1, n, round(success(n, slope) * trials), trials, gaps) for n in ns]
    tallies += looked(ask, N_STAR)
    return fit([ask], tallies, level=0.5, confidence=0.95, tolerance=tolerance)


def searched(slope, tolerance, seed):
    """(trials so far, predicted to settle) after every round of eight of a whole search."""
    rng, goal = np.random.default_rng(seed), Goal(tolerance=tolerance)
    counts, spent, told = {}, 0, []
    while True:
        tallies = tuple(Tally(20, 1, n, s, t) for n, (s, t) in sorted(counts.items()))
        group = Group((ASK,), tallies)
        if tallies:
            told.append((spent, prospect([posterior(group, goal)], 0).to_settle))
        asked = plan([group], 8, goal)
        if not asked:
            return told
        for _, choice in asked:
            won = rng.random(choice.repeats) < success(choice.n, slope)
            s, t = counts.get(choice.n, (0, 0))
            counts[choice.n] = s + int(won.sum()), t + choice.repeats
            spent += choice.repeats


def test_the_trials_foretold_are_those_it_takes():
    """Half-way through six searches; one prediction in four is off by more than a factor of two,
    and a median of six by more than 2.5 in fewer than one seed in a hundred."""
    ratios = []
    for slope, seed in ((6.0, 0), (6.0, 1), (10.0, 2), (10.0, 3), (20.0, 4), (20.0, 5)):
        told = searched(slope, 0.06, seed)
        total = told[-1][0]
        spent, foretold = min(told, key=lambda one: abs(one[0] - total / 2))
        ratios.append(foretold / (total - spent))
        assert told[-1][1] == 0, "settled"
    assert 0.4 < np.median(ratios) < 2.5


def test_four_times_the_trials_halve_an_interval():
    few, many = known(20), known(80)
    halved = prospect([many], 0).half_width / prospect([few], 0).half_width
    assert halved == pytest.approx(0.5, abs=0.1)
    assert prospect([few], 0).to_halve == pytest.approx(3 * 7 * 20, rel=0.5)


def test_a_looser_tolerance_takes_fewer_trials():
    needed = [prospect([known(6, tolerance=t)], 0).to_settle for t in (0.01, 0.02, 0.04)]
    assert needed[0] > 2 * needed[1] > 4 * needed[2] > 0


def test_a_settled_threshold_needs_nothing_and_says_what_halving_takes():
    found = prospect([known(60, tolerance=0.2)], 0)
    assert (found.stands, found.to_settle) == ("settled", 0)
    assert found.to_halve > 100


def test_gaps_are_no_reason_to_go_on():
    found = prospect([known(60, gaps=70, tolerance=0.2)], 0)
    assert (found.stands, found.to_settle) == ("gaps", None)


def test_trials_that_gaps_may_swallow_are_not_foretold():
    found = prospect([known(60, gaps=40, tolerance=0.05)], 0)
    assert (found.stands, found.to_settle) == ("open", None)


def test_nothing_is_left_to_halve_inside_one_integer_step():
    jump = [Tally(20, 1, 59, 0, 40), Tally(20, 1, 60, 40, 40), *looked(ASK, 59.5)]
    found = fit([ASK], jump, level=0.5, confidence=0.95, tolerance=0.05)
    assert prospect([found], 0).stands == "settled"
    assert prospect([found], 0).to_halve is None


def test_with_nothing_tried_the_answer_is_still_open():
    found = prospect([fit([ASK], [], level=0.5, confidence=0.95, tolerance=0.05)], 0)
    assert (found.stands, found.half_width, found.to_settle) == ("open", None, None)
