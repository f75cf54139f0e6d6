"""What a sweep found: from an experiment and its trials to thresholds and laws.

`answer` is a pure function, so the table, the report and MLflow all show the same numbers, and a
finished sweep can be judged again at another level without training.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from typing import Any, Protocol, TypeVar

from orchestrator.domain.curves import Curves
from orchestrator.domain.learner import Outcome
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.inference.best import Best, best, is_settled
from orchestrator.inference.comparison import exponent_gaps, ratios
from orchestrator.inference.law import Laws, laws_of, laws_of_intervals
from orchestrator.inference.outlook import Prospect, prospect
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.psychometric import fit
from orchestrator.inference.threshold import Asked, Law, Tally, Threshold
from orchestrator.plan.asks import ArmTally
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.spec.parts import Search
from orchestrator.spec.theory import Theory
from orchestrator.spec.tuning import MOST_SETTINGS

MOST_FITTED = 24
"""Settings of an Optuna search that get a threshold of their own, each a fit of its curve. Chosen
by hand, for seconds."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial of a sweep as a row: where it stands, how it ended, what it measured.

    `outcome` is None for a gap. `success` is None for a gap and derived from the stored measure
    otherwise. `curves` are measures as they were logged while learning: ((step, value), …) by name.
    """

    key: str
    arm: int
    round: int
    point: Point
    repeat: int
    seed: int
    outcome: Outcome | None
    success: bool | None
    measures: Mapping[str, float]
    seconds: float
    attempt: int
    cached: bool
    reasons: tuple[str, ...] = ()
    tuned: Mapping[str, Any] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)


class Curve(Protocol):
    """The fitted success curve of one threshold, with its band, at given n."""

    def __call__(
        self, n: Sequence[float]
    ) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Posterior median, lower and upper end of the success probability at each n."""


@dataclass(frozen=True)
class Rival:
    """Another setting of a tuned learner at the same (d, k), by its own trials alone.

    `contends` says that it may yet be the best one.
    """

    tuned: Mapping[str, Any]
    threshold: Threshold
    contends: bool


@dataclass(frozen=True)
class FoundThreshold:
    """A threshold with what stands beside it in tables and pictures.

    For a tuned learner it is the threshold at the best of the settings that were tried, with an
    interval that bears the choice (`inference.best`); trials, tallies and curve are those of the
    chosen setting, `tuned`, alone. `rivals` are the other settings, best first.
    """

    asked: Asked
    threshold: Threshold
    tallies: tuple[Tally, ...]
    curve: Curve
    theory: float | None = None
    theory_kind: str | None = None
    theory_source: str | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    prospect: Prospect | None = None
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True)
class ArmAnswer:
    """Everything found for one arm. `n_counts` says what n counts.

    `law` has the family that the data prefer; `power` the apparent powers of d and k over the range
    at hand, whichever family that is, so that arms can be compared letter by letter. `means` are
    the file's claims about means of measures that speak of this arm.
    """

    target: Mapping[str, Any]
    learner: Mapping[str, Any]
    label: str
    level: float
    n_counts: str
    thresholds: tuple[FoundThreshold, ...]
    law: Law | None
    power: Law | None = None
    means: tuple[Theory, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two arms side by side: ratios of thresholds at (d, k), and gaps of apparent exponents.

    `ratios` are (d, k, ratio, low, high): first arm's n_star over the second's. `exponent_gaps` are
    (letter, gap, low, high): first arm's exponent minus the second's.
    """

    first: int
    second: int
    ratios: tuple[tuple[int, int, float, float, float], ...]
    exponent_gaps: tuple[tuple[str, float, float, float], ...]


@dataclass(frozen=True)
class Answer:
    """A sweep's whole answer. `started` and `ended` are seconds since the epoch."""

    sweep: str
    name: str
    question: str
    criterion: str
    status: str
    stopped_by: str | None
    finished_trials: int
    gaps: int
    arms: tuple[ArmAnswer, ...]
    comparisons: tuple[Comparison, ...] = ()
    spec_source: str = ""
    started: float | None = None
    ended: float | None = None
    rows: tuple[TrialRow, ...] = ()
    search: Search | None = None


@dataclass(frozen=True)
class Heading:
    """Where a sweep stands, apart from its trials."""

    sweep: str
    status: str
    stopped_by: str | None
    spec_source: str = ""
    started: float | None = None
    ended: float | None = None


def answer(spec: ExperimentSpec, heading: Heading, rows: Sequence[TrialRow]) -> Answer:
    """Everything that can be said of a sweep from its trials; `rows` in any order.

    Raises nothing for few or no trials: thresholds are then `undecided`.
    """
    arms = tuple(_arm_answer(spec, arm, rows) for arm in spec.arms)
    return Answer(
        sweep=heading.sweep,
        name=spec.name,
        question=spec.question,
        criterion=str(spec.success),
        status=heading.status,
        stopped_by=heading.stopped_by,
        finished_trials=sum(row.outcome is not None for row in rows),
        gaps=sum(row.outcome is None for row in rows),
        arms=arms,
        comparisons=tuple(
            _compare(first, second, arms) for first, second in combinations(range(len(arms)), 2)
        ),
        spec_source=heading.spec_source,
        started=heading.started,
        ended=heading.ended,
        rows=tuple(sorted(rows, key=lambda row: (row.arm, row.point.d, row.point.k, row.point.n))),
        search=spec.search,
    )


def _arm_answer(spec: ExperimentSpec, arm: Arm, rows: Sequence[TrialRow]) -> ArmAnswer:
    found = _thresholds(spec, arm, [row for row in rows if row.arm == arm.index])
    laws = _laws(spec, arm, found)
    return ArmAnswer(
        target=arm.target.settings,
        learner=arm.learner.settings,
        label=arm.label,
        level=spec.search.level,
        n_counts=arm.learner.n_counts,
        thresholds=tuple(found),
        law=laws.law() if laws else None,
        power=laws.law("power") if laws else None,
        means=tuple(
            entry
            for entry in spec.theory
            if entry.mean is not None and entry.applies_to(arm.target, arm.learner)
        ),
    )


def _laws(spec: ExperimentSpec, arm: Arm, found: Sequence[FoundThreshold]) -> Laws | None:
    """Laws from all outcomes; of a tuned learner from its intervals, which bear its choices."""
    if any(one.rivals for one in found):
        return laws_of_intervals([one.threshold for one in found], spec.search.confidence)
    tallies = sorted((t for one in found for t in one.tallies), key=lambda t: (t.d, t.k, t.n))
    return laws_of(_fitted(spec, spec.asked(arm), tallies))


def _thresholds(spec: ExperimentSpec, arm: Arm, rows: Sequence[TrialRow]) -> list[FoundThreshold]:
    """Every asked threshold of an arm, at its best setting; settings are never pooled."""
    asked = spec.asked(arm)
    settings = _settings(spec, arm, [(row.tuned, row) for row in rows])
    tallies = [_tallies(own) for _, own in settings]
    posteriors = [_fitted(spec, asked, own) for own in tallies]
    found = []
    for index, one in enumerate(asked):
        theory, answer = spec.theory_at(arm, one.d, one.k), best(posteriors, index)
        chosen = answer.chosen
        found.append(
            FoundThreshold(
                asked=one,
                threshold=answer.threshold,
                tallies=tuple(t for t in tallies[chosen] if (t.d, t.k) == (one.d, one.k)),
                curve=posteriors[chosen].curve(index),
                theory=theory.n_star if theory else None,
                theory_kind=theory.kind if theory else None,
                theory_source=theory.source if theory else None,
                tuned=settings[chosen][0],
                prospect=prospect(posteriors, index) if spec.search.kind == "threshold" else None,
                rivals=_rivals([setting for setting, _ in settings], posteriors, index, answer),
            )
        )
    return found


def _settings(
    spec: ExperimentSpec, arm: Arm, tuned: Sequence[tuple[Mapping[str, Any], _T]]
) -> list[tuple[Mapping[str, Any], list[_T]]]:
    """Every setting with what belongs to it: those tried, and those to be tried, in a fixed order.

    Of the settings of an Optuna search, which tries each at few points, the `MOST_FITTED` that were
    tried most.
    """
    begun = spec.candidates(arm) if spec.tune else ()
    names: dict[str, Mapping[str, Any]] = {canonical_json(one): one for one in begun}
    groups: dict[str, list[_T]] = {name: [] for name in names}
    for setting, one in tuned:
        name = canonical_json(dict(setting))
        names.setdefault(name, setting)
        groups.setdefault(name, []).append(one)
    kept = sorted(names, key=lambda name: (-len(groups[name]), name))
    if spec.search.kind == "optuna":
        kept = kept[:MOST_FITTED]
    return [(names[name], groups[name]) for name in sorted(kept)] or [({}, [])]


def _rivals(
    settings: Sequence[Mapping[str, Any]],
    posteriors: Sequence[Posterior],
    index: int,
    answer: Best,
) -> tuple[Rival, ...]:
    others = [
        Rival(setting, posterior.threshold(index), place in answer.contenders)
        for place, (setting, posterior) in enumerate(zip(settings, posteriors, strict=True))
        if place != answer.chosen
    ]
    return tuple(sorted(others, key=lambda one: one.threshold.n_star or math.inf))


def _fitted(spec: ExperimentSpec, asked: Sequence[Asked], tallies: Sequence[Tally]) -> Posterior:
    search = spec.search
    return _fit(tuple(asked), tuple(tallies), search.level, search.confidence, search.tolerance)


@lru_cache(maxsize=MOST_SETTINGS)
def _fit(
    asked: tuple[Asked, ...],
    tallies: tuple[Tally, ...],
    level: float,
    confidence: float,
    tolerance: float,
) -> Posterior:
    """Kept, because a running sweep is looked at often and few of its settings change meanwhile."""
    return fit(asked, tallies, level=level, confidence=confidence, tolerance=tolerance)


def nearest(found: Answer, most: int) -> list[str]:
    """Keys of the answered trials whose n is nearest their threshold, as a ratio; `most` of them.

    Where a threshold is not known, nearest the middle of its range.
    """
    middles = {
        (index, one.asked.d, one.asked.k): one.threshold.n_star
        or math.sqrt(one.asked.low * one.asked.high)
        for index, arm in enumerate(found.arms)
        for one in arm.thresholds
    }

    def distance(row: TrialRow) -> float:
        return abs(math.log(row.point.n / middles[_place(row)]))

    asked = [row for row in found.rows if row.outcome is not None and _place(row) in middles]
    return [row.key for row in heapq.nsmallest(most, asked, distance)]


def _place(row: TrialRow) -> tuple[int, int, int]:
    return row.arm, row.point.d, row.point.k


def with_curves(found: Answer, curves: Mapping[str, Curves]) -> Answer:
    """The same with learning curves, by key, in its rows."""
    if not curves:
        return found
    rows = (replace(row, curves=curves.get(row.key, {})) for row in found.rows)
    return replace(found, rows=tuple(rows))


def thresholds_now(
    spec: ExperimentSpec, tallies: Sequence[ArmTally]
) -> list[tuple[Threshold, bool]]:
    """Every threshold from counts alone, and whether it is settled: a look at a running sweep."""
    found: list[tuple[Threshold, bool]] = []
    for arm in spec.arms:
        own = [(one.tuned, _counted(one)) for one in tallies if one.arm == arm.index]
        asked = spec.asked(arm)
        posteriors = [_fitted(spec, asked, counts) for _, counts in _settings(spec, arm, own)]
        found.extend(
            (best(posteriors, index).threshold, is_settled(posteriors, index))
            for index in range(len(asked))
        )
    return found


def _counted(one: ArmTally) -> Tally:
    point = one.point
    return Tally(point.d, point.k, point.n, one.successes, one.trials, one.gaps)


def _tallies(rows: Sequence[TrialRow]) -> list[Tally]:
    counts: dict[tuple[int, int, int], list[int]] = {}
    for row in rows:
        count = counts.setdefault((row.point.d, row.point.k, row.point.n), [0, 0, 0])
        count[0] += row.success is True
        count[1] += row.success is not None
        count[2] += row.success is None
    return [Tally(*point, *count) for point, count in sorted(counts.items())]


def _compare(first: int, second: int, arms: Sequence[ArmAnswer]) -> Comparison:
    one, other = arms[first], arms[second]
    return Comparison(
        first,
        second,
        ratios(
            [found.threshold for found in one.thresholds], [f.threshold for f in other.thresholds]
        ),
        exponent_gaps(one.power, other.power),
    )


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer as `phasefront thresholds --format json` prints it; format 1."""
    return {
        "format": 1,
        "sweep": answer.sweep,
        "status": answer.status,
        "stopped_by": answer.stopped_by,
        "trials": {"finished": answer.finished_trials, "gaps": answer.gaps},
        "arms": [_arm_json(arm) for arm in answer.arms],
    }


def _arm_json(arm: ArmAnswer) -> dict[str, Any]:
    return {
        "target": dict(arm.target),
        "learner": dict(arm.learner),
        "level": arm.level,
        "thresholds": [_threshold_json(found) for found in arm.thresholds],
        "law": _law_json(arm.law) if arm.law else None,
    }


def _threshold_json(found: FoundThreshold) -> dict[str, Any]:
    one = found.threshold
    return {
        "d": one.d,
        "k": one.k,
        "n_star": one.n_star,
        "low": one.low,
        "high": one.high,
        "confidence": one.confidence,
        "status": one.status,
        "trials": one.trials,
        "gaps": one.gaps,
        "n10_n90": list(one.n10_n90) if one.n10_n90 else None,
        "tuned": dict(found.tuned),
        "theory": found.theory,
    }


def _law_json(law: Law) -> dict[str, Any]:
    return {
        "family": law.family,
        "exponents": {
            letter: {"value": one.value, "low": one.low, "high": one.high}
            for letter, one in law.exponents.items()
        },
        "weights": dict(law.weights),
        "decisive": law.decisive,
    }
