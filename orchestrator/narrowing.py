"""How the intervals of a sweep narrowed as its trials came in.

The trials of the first rounds are judged as if no others had been run, at a few rounds from the
first to the last. Pure, from the answer's own rows; what was fitted is remembered, because a page
about a running sweep is made often and its early rounds no longer change.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from orchestrator.answer import Answer, TrialRow
from orchestrator.domain.plugin import canonical_json
from orchestrator.inference.best import best
from orchestrator.inference.psychometric import fit
from orchestrator.inference.threshold import Asked, Tally, Threshold

MOST_LOOKS = 9
"""Rounds that are looked at; chosen by hand."""
MOST_FITS = 96
"""Fits of one arm: one per setting and look. Chosen by hand, for seconds."""
MOST_ASKED = 60
"""Thresholds of an arm that are judged again; a fit couples them all, at a cost beyond linear.
Chosen by hand, for seconds."""


@dataclass(frozen=True)
class Look:
    """What was known after `round`: a threshold and its own trials so far, per asked threshold."""

    round: int
    thresholds: tuple[Threshold, ...]
    trials: tuple[int, ...]


Counts = dict[str, dict[tuple[int, int, int], list[int]]]
"""Successes, trials and gaps by (d, k, n), by setting."""


def narrowing(answer: Answer, arm: int, most: int = MOST_LOOKS) -> list[Look]:
    """Looks at one arm, earliest first, the last one at everything, which is the answer itself.

    Empty where all trials came in one round, or where there are too many thresholds or settings to
    judge them again in seconds. `trials` count those of all settings, gaps left out.
    """
    found = answer.arms[arm].thresholds
    own = sorted((row for row in answer.rows if row.arm == arm), key=lambda row: row.round)
    settings = {canonical_json(dict(row.tuned)) for row in own}
    most = min(most, MOST_FITS // max(len(settings), 1))
    rounds = looked_at(sorted({row.round for row in own}), most)
    if len(rounds) < 2 or len(found) > MOST_ASKED:
        return []
    counts: Counts = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    spent: Counter[tuple[int, int]] = Counter()
    looks = []
    for number, group in groupby(own, key=lambda row: row.round):
        rows = list(group)
        _count(rows, counts)
        spent.update((row.point.d, row.point.k) for row in rows if row.outcome is not None)
        if number in rounds:
            at_end = number == own[-1].round
            known = tuple(one.threshold for one in found)
            known = known if at_end else _thresholds(answer, arm, counts)
            trials = tuple(spent[one.asked.d, one.asked.k] for one in found)
            looks.append(Look(number, known, trials))
    return looks


def looked_at(rounds: Sequence[int], most: int) -> set[int]:
    """At most `most` of the rounds, denser early, the last among them.

    Counted from the first and by fixed ratios, so that they stay as more rounds follow.
    """
    if len(rounds) <= most:
        return set(rounds)
    for ratio in (1.5, 2.0, 4.0):
        places = {round(ratio**power) - 1 for power in range(40)} & set(range(len(rounds)))
        if len(places) < most:
            break
    chosen = [rounds[place] for place in sorted(places)]
    return {*chosen[: most - 1], rounds[-1]} if most else set()


def _count(rows: Sequence[TrialRow], counts: Counts) -> None:
    for row in rows:
        at = (row.point.d, row.point.k, row.point.n)
        count = counts[canonical_json(dict(row.tuned))][at]
        count[0] += row.success is True
        count[1] += row.success is not None
        count[2] += row.success is None


def _thresholds(answer: Answer, arm: int, counts: Counts) -> tuple[Threshold, ...]:
    found = answer.arms[arm].thresholds
    tolerance = answer.search.tolerance if answer.search else 0.05
    settings = [
        tuple(Tally(*at, *count) for at, count in sorted(counts[setting].items()))
        for setting in sorted(counts)
    ]
    return _judged(
        tuple(one.asked for one in found),
        tuple(settings),
        answer.arms[arm].level,
        found[0].threshold.confidence,
        tolerance,
    )


@lru_cache(maxsize=256)
def _judged(
    asked: tuple[Asked, ...],
    settings: tuple[tuple[Tally, ...], ...],
    level: float,
    confidence: float,
    tolerance: float,
) -> tuple[Threshold, ...]:
    posteriors = [
        fit(asked, tallies, level=level, confidence=confidence, tolerance=tolerance)
        for tallies in settings
    ]
    return tuple(best(posteriors, index).threshold for index in range(len(asked)))
