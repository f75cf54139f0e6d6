"""The page's tables, as rows of words; the template only places them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.answer import Answer, ArmAnswer, Comparison, FoundThreshold, Rival
from orchestrator.inference.threshold import Threshold
from orchestrator.report import words

MOST_GAP_ROWS = 200
"""Rows of the table of gaps; what is beyond is counted in its last line. Chosen by hand."""


@dataclass(frozen=True)
class ThresholdRow:
    """One threshold in words. `exact` is n_star to the last digit, for whoever copies it."""

    d: int
    k: int
    n_star: str
    exact: float | None
    interval: str
    theory: str
    note: int | None
    against_theory: str
    finding: str
    transition: str
    trials: int
    gaps: int
    tuned: str


@dataclass(frozen=True)
class SettingRow:
    """A setting of a tuned learner at one (d, k) in words; `standing` says how it did."""

    d: int
    k: int
    tuned: str
    n_star: str
    interval: str
    trials: int
    standing: str


@dataclass(frozen=True)
class ArmTable:
    """An arm with its law and its thresholds. `sources` are what `note` in a row points to.

    `settings` are all that were tried of a tuned learner, those chosen among them.
    """

    label: str
    colour: int
    level: str
    confidence: str
    n_counts: str
    terms: tuple[words.Term, ...]
    sentence: str
    weights: tuple[tuple[str, float], ...]
    rows: tuple[ThresholdRow, ...]
    sources: tuple[str, ...]
    settings: tuple[SettingRow, ...] = ()

    @property
    def has_theory(self) -> bool:
        """Whether theory says anything about this arm."""
        return any(row.theory for row in self.rows)

    @property
    def explained(self) -> list[tuple[str, str]]:
        """What the findings mean, for those that occur and are not plain."""
        seen = dict.fromkeys(row.finding for row in self.rows)
        return [
            (words.STATUSES[one], words.EXPLAINED[one]) for one in seen if one in words.EXPLAINED
        ]

    @property
    def has_tuned(self) -> bool:
        """Whether any threshold was reached with tuned settings."""
        return any(row.tuned for row in self.rows)


def arm_table(arm: ArmAnswer, number: int) -> ArmTable:
    """The arm in words."""
    sources = list(dict.fromkeys(_source(found) for found in arm.thresholds if _source(found)))
    law = arm.law
    return ArmTable(
        label=arm.label,
        colour=number,
        level=words.percent(arm.level),
        confidence=words.percent(words.confidence(arm)),
        n_counts=arm.n_counts,
        terms=tuple(words.terms(law)) if law else (),
        sentence=words.law_sentence(arm),
        weights=tuple(
            (words.FAMILIES.get(name, name), weight)
            for name, weight in sorted(law.weights.items(), key=lambda one: -one[1])
        )
        if law
        else (),
        rows=tuple(_row(found, sources) for found in arm.thresholds),
        sources=tuple(sources),
        settings=tuple(row for found in arm.thresholds for row in _settings(found)),
    )


def _settings(found: FoundThreshold) -> Iterator[SettingRow]:
    """The chosen setting, then those it was chosen from, best first."""
    if not found.rivals:
        return
    yield _setting(found.tuned, found.threshold, "chosen")
    for rival in found.rivals:
        standing = "may be the best" if rival.contends else _beaten(rival)
        yield _setting(rival.tuned, rival.threshold, standing)


def _setting(tuned: Mapping[str, Any], threshold: Threshold, standing: str) -> SettingRow:
    return SettingRow(
        d=threshold.d,
        k=threshold.k,
        tuned=_tuned(tuned),
        n_star=words.n_star(threshold),
        interval=words.interval(threshold),
        trials=threshold.trials,
        standing=standing,
    )


def _beaten(rival: Rival) -> str:
    barred = rival.threshold.status in ("not_sharp", "not_monotone")
    return words.STATUSES[rival.threshold.status] if barred else "worse"


def _tuned(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in setting.items())


def _source(found: FoundThreshold) -> str:
    if found.theory is None:
        return ""
    return ", ".join(part for part in (found.theory_kind, found.theory_source) if part)


def _row(found: FoundThreshold, sources: list[str]) -> ThresholdRow:
    one, source = found.threshold, _source(found)
    ends = one.n10_n90
    return ThresholdRow(
        d=found.asked.d,
        k=found.asked.k,
        n_star=words.n_star(one),
        exact=one.n_star,
        interval=words.interval(one),
        theory="" if found.theory is None else words.number(found.theory),
        note=sources.index(source) + 1 if source else None,
        against_theory=_against_theory(found),
        finding=one.status,
        transition=words.between(*ends) if ends else words.UNKNOWN,
        trials=one.trials,
        gaps=one.gaps,
        tuned=_tuned(found.tuned),
    )


def _against_theory(found: FoundThreshold) -> str:
    one, theory = found.threshold, found.theory
    if not theory:
        return ""
    if one.n_star is None:
        return words.UNKNOWN
    low, high = (None if end is None else end / theory for end in (one.low, one.high))
    return f"{words.number(one.n_star / theory)} ({words.between(low, high)})"


@dataclass(frozen=True)
class ComparisonTable:
    """Two arms against each other: rows (d, k, ratio, interval), and sentences on exponents."""

    first: str
    second: str
    confidence: str
    ratios: tuple[tuple[int, int, str, str], ...]
    gaps: tuple[str, ...]
    missing: int
    farthest: "Farthest | None"


@dataclass(frozen=True)
class Farthest:
    """The ratio at the largest d (and k) at which it is known."""

    at: str
    ratio: str
    interval: str


def comparison_table(answer: Answer, comparison: Comparison) -> ComparisonTable:
    """The comparison in words."""
    names = words.short_names(answer.arms)
    first, second = names[comparison.first], names[comparison.second]
    asked = {
        (one.asked.d, one.asked.k)
        for index in (comparison.first, comparison.second)
        for one in answer.arms[index].thresholds
    }
    return ComparisonTable(
        first=first,
        second=second,
        confidence=words.percent(words.confidence(answer.arms[comparison.first])),
        ratios=tuple(
            (d, k, words.number(ratio), words.between(low, high))
            for d, k, ratio, low, high in comparison.ratios
        ),
        gaps=tuple(_gap(first, second, *gap) for gap in comparison.exponent_gaps),
        missing=len(asked) - len(comparison.ratios),
        farthest=_farthest(comparison),
    )


def _farthest(comparison: Comparison) -> Farthest | None:
    if not comparison.ratios:
        return None
    d, k, ratio, low, high = max(comparison.ratios, key=lambda row: row[:2])
    return Farthest(f"d = {d}, k = {k}", words.number(ratio), words.between(low, high))


def _gap(first: str, second: str, letter: str, gap: float, low: float, high: float) -> str:
    said = (
        f"Apparent exponent of {letter}, {first} minus {second}: "
        f"{words.exponent_value(gap)} ({words.between_exponents(low, high)})."
    )
    if low > 0 or high < 0:
        slower = second if low > 0 else first
        return f"{said} The interval excludes 0: {slower} grows more slowly with {letter}."
    return f"{said} The interval contains 0: the data do not tell the exponents apart."


@dataclass(frozen=True)
class GapRow:
    """Trials without an answer at one point, and why."""

    arm: str
    d: int
    k: int
    n: int
    count: int
    reasons: str
    keys: tuple[str, ...]


def gap_rows(answer: Answer) -> list[GapRow]:
    """All gaps by arm, point and reasons; at most `MOST_GAP_ROWS` rows."""
    keys: dict[tuple[int, int, int, int, tuple[str, ...]], list[str]] = {}
    for row in answer.rows:
        if row.outcome is None:
            at = (row.arm, row.point.d, row.point.k, row.point.n, row.reasons)
            keys.setdefault(at, []).append(row.key)
    names = words.short_names(answer.arms)
    return [
        GapRow(names[arm], d, k, n, len(found), "; ".join(why) or "no reason given", tuple(found))
        for (arm, d, k, n, why), found in sorted(keys.items())
    ][:MOST_GAP_ROWS]


def summary(answer: Answer) -> str:
    """How the asked thresholds ended: `8 of 10 thresholds found, 1 undecided`."""
    statuses = Counter(one.threshold.status for arm in answer.arms for one in arm.thresholds)
    total, found = statuses.total(), statuses.pop("found", 0)
    rest = [f"{number} {words.STATUSES.get(one, one)}" for one, number in statuses.items()]
    return ", ".join([f"{found} of {words.count(total, 'threshold')} found", *rest])
