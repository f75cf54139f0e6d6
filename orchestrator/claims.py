"""Claims of papers beside what a sweep measured, each with a verdict.

A claim is an entry under `theory` in an experiment file. `judged` is pure: from the experiment and
its answer. What decides is written with each verdict's function; `within` of the entry is what its
author called agreement before anything ran.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold, TrialRow
from orchestrator.inference.threshold import Interval
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.spec.theory import Theory

Verdict = Literal["agrees", "disagrees", "not decisive", "not run"]

CHANCE = 0.01
"""Chance of calling a true claim wrong, because an interval at 95% misses now and then. By hand."""

MOST_ROWS = 2
"""Rows of a table that are written out where a claim is named; the file has them all."""

BEYOND = 3.0
"""Standard deviations at which a claim counts that lies beyond a bound, or beside a value known
without error. By hand."""


@dataclass(frozen=True)
class Judged:
    """One claim: what is said and where, what was measured, and whether the two agree."""

    source: str
    claim: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Sight:
    """One number that a claim speaks of: its value as claimed, and its interval as measured."""

    claimed: float
    value: float
    low: float
    high: float


def judged(spec: ExperimentSpec, found: Answer) -> list[Judged]:
    """Every claim of the experiment file, arm by arm in the order of the file."""
    claims = []
    for entry in spec.theory:
        for arm, answered in zip(spec.arms, found.arms, strict=True):
            if entry.applies_to(arm.target, arm.learner):
                rows = [row for row in found.rows if row.arm == arm.index]
                judge = _judge(entry)
                told = judge(entry, arm, answered, rows)
                if told is not None:
                    claims.append(_named(told, answered.label if len(spec.arms) > 1 else ""))
    return claims


def unjudged(spec: ExperimentSpec) -> list[Judged]:
    """The claims of an experiment that was not run."""
    return [Judged(one.source, _claim(one), "–", "not run") for one in spec.theory]


_Judge = Callable[[Theory, Arm, ArmAnswer, Sequence[TrialRow]], Judged | None]


def _judge(entry: Theory) -> _Judge:
    if entry.exponents:
        return _exponents
    if entry.status is not None:
        return _status
    return _mean if entry.mean is not None else _thresholds


def _named(told: Judged, arm: str) -> Judged:
    return Judged(told.source, f"{told.claim}; {arm}" if arm else told.claim, told.measured,
                  told.verdict)  # fmt: skip


def _thresholds(
    entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]
) -> Judged | None:
    """By `verdict_of` over the ratios n_star / claimed of all thresholds the entry speaks of."""
    pairs = [
        (value.n_star, one)
        for one in answered.thresholds
        if (value := entry.at(arm, one.asked.d, one.asked.k)) is not None
    ]
    if not pairs:
        return None
    sights = [_sight(claimed, one) for claimed, one in pairs]
    known = [one.value / one.claimed for one in sights if math.isfinite(one.value)]
    if len(pairs) == 1 and known:
        one = sights[0]
        measured = f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]"
    elif known:
        measured = f"{min(known):.3f} to {max(known):.3f} times it, at {len(known)} (d, k)"
    else:
        measured = ", ".join(sorted({one.threshold.status for _, one in pairs}))
    confidence = answered.thresholds[0].threshold.confidence
    return Judged(
        entry.source, _claim(entry), measured, verdict_of(sights, entry.within, confidence)
    )


def _sight(claimed: float, one: FoundThreshold) -> Sight:
    """An end that is not known is at 0 or at infinity; so is what was not `found`."""
    found = one.threshold
    return Sight(
        claimed,
        found.n_star if found.n_star is not None and found.status == "found" else math.nan,
        0.0 if found.low is None else found.low,
        math.inf if found.high is None else found.high,
    )


def verdict_of(sights: Sequence[Sight], within: float | None, confidence: float) -> Verdict:
    """Whether numbers that are claimed stand up to their intervals.

    Each lies so many standard deviations outside the band [1 - within, 1 + within] times its claim,
    a point without `within`. The claim disagrees where the sum of their squares is larger than
    chi-squared lets it be with chance `CHANCE`, and else agrees where every estimate is known and,
    with `within`, in its band.
    """
    misses = [_deviations(one, within or 0.0, confidence) for one in sights]
    if stats.chi2.sf(math.fsum(miss * miss for miss in misses), len(sights)) < CHANCE:
        return "disagrees"
    known = all(math.isfinite(one.value) for one in sights)
    near = within is None or not any(misses)
    return "agrees" if sights and known and near else "not decisive"


def _deviations(one: Sight, within: float, confidence: float) -> float:
    """Standard deviations from the estimate to the band, on the side where the band lies."""
    low, high = sorted((one.claimed * (1.0 - within), one.claimed * (1.0 + within)))
    if not math.isfinite(one.value):
        return BEYOND if one.low > high or one.high < low else 0.0
    if low <= one.value <= high:
        return 0.0
    gap, reach = (
        (one.value - high, one.value - one.low)
        if one.value > high
        else (low - one.value, one.high - one.value)
    )
    z = float(stats.norm.isf((1.0 - confidence) / 2.0))
    return z * gap / reach if reach > 0.0 else BEYOND


def _exponents(
    entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]
) -> Judged | None:
    """By the apparent powers over the range that was run: all agree, or one disagrees."""
    powers: Mapping[str, Interval] = answered.power.exponents if answered.power else {}
    known = {letter: powers[letter] for letter in entry.exponents if letter in powers}
    words = (f"{letter}^{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
             for letter, one in known.items())  # fmt: skip
    verdicts = {
        _exponent(entry.exponents[letter], one, entry.within) for letter, one in known.items()
    }
    verdict: Verdict = "not decisive"
    if "disagrees" in verdicts:
        verdict = "disagrees"
    elif verdicts == {"agrees"} and len(known) == len(entry.exponents):
        verdict = "agrees"
    return Judged(entry.source, _claim(entry), ", ".join(words) or "no law yet", verdict)


def _exponent(claimed: float, one: Interval, within: float | None) -> Verdict:
    """Agreement is an interval that holds the exponent and, with `within`, an estimate so near."""
    reach = within or 0.0
    if one.low > claimed + reach or one.high < claimed - reach:
        return "disagrees"
    if within is None or abs(one.value - claimed) <= within:
        return "agrees"
    return "not decisive"


def _status(entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]) -> Judged:
    """By what the thresholds are said to be; one that is undecided leaves it open."""
    where = entry.where
    found = [
        one.threshold.status
        for one in answered.thresholds
        if where is None or where.holds(d=one.asked.d, k=one.asked.k)
    ]
    verdict: Verdict = "not decisive"
    if found and all(one == entry.status for one in found):
        verdict = "agrees"
    elif any(one not in (entry.status, "undecided") for one in found):
        verdict = "disagrees"
    return Judged(entry.source, _claim(entry), ", ".join(sorted(set(found))) or "–", verdict)


def _mean(entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]) -> Judged | None:
    """By `verdict_of` over the mean of the measure at each point, by Student's t."""
    assert entry.mean is not None
    assert entry.measure is not None
    confidence = answered.thresholds[0].threshold.confidence if answered.thresholds else 0.95
    values: dict[tuple[int, int, int], list[float]] = {}
    for row in rows:
        point = row.point
        letters = {"d": point.d, "n": point.n, "k": point.k}
        if entry.measure in row.measures and (entry.where is None or entry.where.holds(**letters)):
            at = (point.d, point.n, point.k)
            values.setdefault(at, []).append(row.measures[entry.measure])
    sights = [
        mean_of(float(entry.mean.at(d=d, n=n, k=k)), some, confidence)
        for (d, n, k), some in sorted(values.items())
        if len(some) > 1
    ]
    if not sights:
        return Judged(entry.source, _claim(entry), "–", "not decisive")
    one = sights[0]
    ratios = [sight.value / sight.claimed for sight in sights if sight.claimed]
    measured = (
        f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]"
        if len(sights) == 1
        else f"{min(ratios):.3f} to {max(ratios):.3f} times it, at {len(sights)} (d, n, k)"
    )
    return Judged(
        entry.source, _claim(entry), measured, verdict_of(sights, entry.within, confidence)
    )


def mean_of(claimed: float, values: Sequence[float], confidence: float) -> Sight:
    """The mean of at least two values with Student's interval."""
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    reach = float(stats.t.isf((1.0 - confidence) / 2.0, len(values) - 1))
    half = reach * math.sqrt(spread / len(values))
    return Sight(claimed, mean, mean - half, mean + half)


def _claim(entry: Theory) -> str:
    """What an entry says, in a few words."""
    if entry.exponents:
        powers = " ".join(f"{letter}^{value:g}" for letter, value in entry.exponents.items())
        said = f"n_star grows as {powers}"
    elif entry.status is not None:
        said = entry.status
    elif entry.mean is not None:
        said = f"mean {entry.measure} = {entry.mean}"
    elif entry.n_star is not None:
        said = f"n_star = {entry.n_star}"
    elif len(entry.table) > MOST_ROWS:
        said = f"n_star as in a table of {len(entry.table)} (d, k)"
    else:
        said = "n_star = " + ", ".join(
            f"{row.n_star:g} at d = {row.d}" + ("" if row.k is None else f", k = {row.k}")
            for row in entry.table
        )
    where = f" where {entry.where.text}" if entry.where else ""
    return f"{said}{where} ({entry.kind}{_reach(entry)})"


def _reach(entry: Theory) -> str:
    if entry.within is None:
        return ""
    return f", ±{entry.within:g}" if entry.exponents else f", ±{100.0 * entry.within:g}%"
