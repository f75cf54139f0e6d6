import numpy as np

from orchestrator.inference import design, psychometric
from orchestrator.inference.audit import FIRM, looks
from orchestrator.inference.threshold import Asked, Choice, Tally
from tests.inference.looks import looked

ASK = Asked(20, 1, 5, 4000)
CROSSING = [
    Tally(20, 1, n, s, 200) for n, s in ((32, 30), (36, 65), (40, 100), (44, 133), (50, 167))
]


def fit(tallies, tolerance=0.05):
    return psychometric.fit([ASK], tallies, level=0.5, confidence=0.95, tolerance=tolerance)


def choose(tallies, pending=(), trials=32):
    return design.choose(
        fit(tallies), [ASK], tallies, pending, trials=trials, work=lambda d, n, k: 1.0,
        tolerance=0.05,
    )  # fmt: skip


def test_a_narrow_threshold_owes_single_looks_on_both_sides_in_its_range():
    owed = looks(fit(CROSSING), 0)
    assert {count for _, count in owed} == {1}
    ns = [n for n, _ in owed]
    assert min(ns) < 20 < 80 < max(ns)
    assert all(ASK.low <= n <= ASK.high for n in ns)
    assert choose(CROSSING) == [Choice(20, 1, n, 1) for n in ns]


def test_once_looked_at_it_is_settled_and_nothing_is_asked():
    tallies = [*CROSSING, *looked(ASK, 40)]
    assert looks(fit(tallies), 0) == []
    assert fit(tallies).settled(0)
    assert choose(tallies) == []


def test_looks_in_flight_are_not_asked_again():
    first, *rest = looks(fit(CROSSING), 0)
    asked = choose(CROSSING, [Choice(20, 1, first[0], 1)])
    assert [c.n for c in asked] == [n for n, _ in rest]


def test_an_outcome_against_the_curve_is_tried_again_until_it_is_a_lapse_or_a_fall():
    against = [*CROSSING, *looked(ASK, 40), Tally(20, 1, 700, 0, 1)]
    assert looks(fit(against), 0) == [(700, FIRM - 1)]
    lapse = [*against, Tally(20, 1, 700, 2, 2)]
    assert fit(lapse).settled(0)
    fall = [*against, Tally(20, 1, 700, 0, FIRM - 1)]
    assert fit(fall).threshold(0).status == "not_monotone"


def test_points_that_only_make_gaps_are_not_asked_for_ever():
    tallies = [*CROSSING, *looked(ASK, 40)]
    gaps = [Tally(t.d, t.k, t.n, 0, 0, 1) if t.n > 100 else t for t in tallies]
    assert looks(fit(gaps), 0) == []


def test_a_search_across_a_fall_says_not_monotone():
    """Success between 40 and 200 and beyond 1,000, 1% lapses: five searches of at most 400."""
    named = 0
    for seed in range(5):
        rng, counts = np.random.default_rng(seed), {}
        for _ in range(100):
            tallies = [Tally(20, 1, n, s, t) for n, (s, t) in sorted(counts.items())]
            for choice in choose(tallies, trials=4):
                s, t = counts.get(choice.n, (0, 0))
                rise = 1 / (1 + (40 / choice.n) ** 8)
                dip = 1 / (1 + (200 / choice.n) ** 12) - 1 / (1 + (1000 / choice.n) ** 12)
                chance = 0.01 + 0.98 * rise * (1 - dip)
                counts[choice.n] = s + int(rng.binomial(choice.repeats, chance)), t + choice.repeats
        found = fit([Tally(20, 1, n, s, t) for n, (s, t) in sorted(counts.items())]).threshold(0)
        named += found.status == "not_monotone"
    assert named >= 4
