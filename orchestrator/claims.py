"""Claims of papers beside what a sweep measured, each with a verdict.

A claim is an entry under `theory` in an experiment file. `judged` is pure: from the experiment and
its answer. What decides is written with each verdict's function; `within` of the entry is what its
author called agreement before anything ran.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy import stats

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold, TrialRow
from orchestrator.inference.law import fit_law
from orchestrator.inference.mean import mean_interval
from orchestrator.inference.threshold import Interval, Threshold
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.spec.theory import Theory

Verdict = Literal["agrees", "disagrees", "not decisive", "not run"]

CHANCE = 0.01
"""Chance of calling a true claim wrong, because an interval at 95% misses now and then. By hand."""

VAGUE = 0.25
"""Half an interval's width, relative to the claim (of exponents: absolute), at which it is too wide
to confirm anything, unless `within` allows as much. By hand."""

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

    @property
    def half_width(self) -> float:
        """Of the interval; infinite where the number or an end is not known."""
        ends = (self.value, self.low, self.high)
        return (self.high - self.low) / 2.0 if all(map(math.isfinite, ends)) else math.inf


def judged(spec: ExperimentSpec, found: Answer) -> list[Judged]:
    """Every claim of the experiment file in its order, by arms; none is left out."""
    claims: list[Judged] = []
    for entry in spec.theory:
        before = len(claims)
        for arm, answered in zip(spec.arms, found.arms, strict=True):
            if entry.applies_to(arm.target, arm.learner):
                rows = [row for row in found.rows if row.arm == arm.index]
                told = _judge(entry)(entry, arm, answered, rows)
                if told is not None:
                    claims.append(_named(told, answered.label if len(spec.arms) > 1 else ""))
        if len(claims) == before:
            nothing = "nothing of it was asked"
            claims.append(Judged(entry.source, _claim(entry), nothing, "not decisive"))
    return claims


def unjudged(spec: ExperimentSpec) -> list[Judged]:
    """The claims of an experiment that was not run."""
    return [Judged(one.source, _claim(one), "–", "not run") for one in spec.theory]


Letter = Literal["d", "k"]

_Judge = Callable[[Theory, Arm, ArmAnswer, Sequence[TrialRow]], Judged | None]


def _judge(entry: Theory) -> _Judge:
    if entry.exponents:
        return _exponents
    if entry.status is not None:
        return _status
    return _mean if entry.mean is not None else _thresholds


def _named(told: Judged, arm: str) -> Judged:
    return replace(told, claim=f"{told.claim}; {arm}") if arm else told


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
    confidence = answered.thresholds[0].threshold.confidence
    measured = _measured(sights, [one.threshold.status for _, one in pairs], "(d, k)")
    return Judged(
        entry.source, _claim(entry), measured, verdict_of(sights, entry.within, confidence)
    )


def _measured(sights: Sequence["Sight"], statuses: Sequence[str], at: str) -> str:
    """What was found, as numbers where it was, and what became of the others."""
    known = [one for one in sights if math.isfinite(one.value)]
    others = Counter(status for status in statuses if status != "found")
    words = [f"{count} {status}" for status, count in sorted(others.items())]
    if len(known) == 1 and len(sights) == 1:
        words = [f"{known[0].value:.4g} [{known[0].low:.4g}, {known[0].high:.4g}]", *words]
    elif known and all(one.claimed for one in known):
        ratios = [one.value / one.claimed for one in known]
        words = [f"{min(ratios):.3f} to {max(ratios):.3f} times it, at {len(known)} {at}", *words]
    elif known:
        values = [one.value for one in known]
        words = [f"{min(values):.4g} to {max(values):.4g}, at {len(known)} {at}", *words]
    return ", ".join(words) or "–"


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
    chi-squared lets it be with chance `CHANCE`, or the largest than its share of that. It agrees
    where every number is known well enough to have told it from another (`VAGUE`) and, with
    `within`, lies in its band.
    """
    misses = [_deviations(one, within or 0.0, confidence) for one in sights]
    if stats.chi2.sf(math.fsum(miss * miss for miss in misses), len(sights)) < CHANCE:
        return "disagrees"
    if any(2.0 * stats.norm.sf(miss) < CHANCE / len(sights) for miss in misses):
        return "disagrees"
    sharp = all(one.half_width <= max(VAGUE, within or 0.0) * abs(one.claimed) for one in sights)
    near = within is None or all(
        abs(one.value - one.claimed) <= within * abs(one.claimed) for one in sights
    )
    return "agrees" if sights and sharp and near else "not decisive"


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
    """By the apparent powers over the range that was run: all agree, or one disagrees.

    With `where` they are the powers of those thresholds alone, by their intervals: degrees of a
    polynomial, say, each have a power of d of their own. All of them have to be found: leaving out
    one above the range would bend the powers down.
    """
    law, lost = answered.power, 0
    if entry.where is not None:
        chosen = _where(entry, answered)
        lost = sum(one.status != "found" for one in chosen)
        confidence = chosen[0].confidence if chosen else 0.95
        law = fit_law(chosen, confidence=confidence, family="power")
    powers: Mapping[str, Interval] = law.exponents if law else {}
    known = {letter: powers[letter] for letter in entry.exponents if letter in powers}
    words = (f"{letter}^{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
             for letter, one in known.items())  # fmt: skip
    measured = ", ".join(words) or "no law yet"
    verdict = "not decisive" if lost else _of_exponents(entry, known)
    if lost:
        measured += f"; {lost} of {len(chosen)} thresholds not found"
    return Judged(entry.source, _claim(entry), measured, verdict)


def _of_exponents(entry: Theory, known: Mapping[Letter, Interval]) -> Verdict:
    """All of those that are claimed agree, or one disagrees."""
    verdicts = {
        verdict_of_exponent(entry.exponents[letter], one, entry.within)
        for letter, one in known.items()
    }
    if "disagrees" in verdicts:
        return "disagrees"
    whole = len(known) == len(entry.exponents)
    return "agrees" if whole and verdicts == {"agrees"} else "not decisive"


def _where(entry: Theory, answered: ArmAnswer) -> list[Threshold]:
    """The thresholds that the entry's `where` holds at."""
    where = entry.where
    return [
        one.threshold
        for one in answered.thresholds
        if where is None or where.holds(d=one.asked.d, k=one.asked.k)
    ]


def verdict_of_exponent(claimed: float, one: Interval, within: float | None) -> Verdict:
    """Whether an exponent's interval stands up to the band [claimed - within, claimed + within].

    It disagrees where the two do not meet. It agrees where the estimate lies inside the band and
    the interval is narrow enough (`VAGUE`); as for thresholds, the interval then need not hold the
    claimed value itself. Without `within` the band is that value, which the interval has to hold.
    """
    reach = within or 0.0
    if one.low > claimed + reach or one.high < claimed - reach:
        return "disagrees"
    sharp = (one.high - one.low) / 2.0 <= max(VAGUE, reach)
    near = within is None or abs(one.value - claimed) <= within
    return "agrees" if sharp and near else "not decisive"


def _status(entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]) -> Judged:
    """By what the thresholds are said to be; one that is undecided leaves it open."""
    found = [one.status for one in _where(entry, answered)]
    verdict: Verdict = "not decisive"
    if found and all(one == entry.status for one in found):
        verdict = "agrees"
    elif any(one not in (entry.status, "undecided") for one in found):
        verdict = "disagrees"
    return Judged(entry.source, _claim(entry), ", ".join(sorted(set(found))) or "–", verdict)


def _mean(entry: Theory, arm: Arm, answered: ArmAnswer, rows: Sequence[TrialRow]) -> Judged | None:
    """By `verdict_of` over the mean of the measure at each point.

    A point with a trial that has no such number, a gap or one that diverged, has no mean: that of
    the others would be a mean over survivors.
    """
    assert entry.measure is not None
    confidence = answered.thresholds[0].threshold.confidence if answered.thresholds else 0.95
    values = {
        (d, n, k): some
        for (d, n, k), some in values_at(rows, entry.measure).items()
        if entry.where is None or entry.where.holds(d=d, n=n, k=k)
    }
    sights, without = [], 0
    for (d, n, k), some in sorted(values.items()):
        missing = sum(map(math.isnan, some))
        claimed = entry.mean_at(d, n, k)
        without += missing
        whole = not missing and len(some) > 1 and claimed is not None
        unknown = Sight(claimed or 0.0, math.nan, -math.inf, math.inf)
        sights.append(mean_of(claimed or 0.0, some, confidence) if whole else unknown)
    measured = _measured(sights, [], "(d, n, k)")
    if without:
        measured += f"; {without} of {sum(map(len, values.values()))} trials have none"
    return Judged(
        entry.source, _claim(entry), measured, verdict_of(sights, entry.within, confidence)
    )


def values_at(rows: Iterable[TrialRow], measure: str) -> dict[tuple[int, int, int], list[float]]:
    """The measure in every trial at each (d, n, k); NaN in a trial that has no such number."""
    values: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for row in rows:
        point = row.point
        values[point.d, point.n, point.k].append(row.measures.get(measure, math.nan))
    return values


def mean_of(claimed: float, values: Sequence[float], confidence: float) -> Sight:
    """The mean of at least two values beside its claim, by `mean_interval`."""
    found = mean_interval(values, confidence)
    return Sight(claimed, found.value, found.low, found.high)


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
