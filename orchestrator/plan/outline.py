"""What would run: an experiment before anything is trained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from orchestrator.domain.point import Point
from orchestrator.domain.trial import Cell
from orchestrator.plan.cost import FIRST_GUESS_S
from orchestrator.plan.expansion import tuned
from orchestrator.plan.reuse import Reusable
from orchestrator.spec import Arm, ExperimentSpec


@dataclass(frozen=True)
class ArmOutline:
    """One arm: its asked thresholds, the points n may take, and what a typical trial costs.

    A typical trial stands at the geometric middle of n at the middle (d, k). `seconds` assumes
    `FIRST_GUESS_S` a nominal operation and is a guess until a pack has been measured; over the
    `settings` that tuning begins with it is their mean. `chosen` maps the fields that the search
    chooses to their values in words.
    """

    label: str
    thresholds: int
    points: int
    seconds: float
    memory_bytes: float
    settings: int = 1
    chosen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TeachersOutline:
    """Trials that those of the arms learn from: at most how many, and their seconds on one slot."""

    trials: int
    seconds: float


@dataclass(frozen=True)
class Outline:
    """A whole experiment. `trials` is exact for a grid, else the most the limits allow, or None.

    `reusable` of a grid's trials are stored and need no training. Of other searches it is how many
    stored trials they may come upon; those are no part of `max_trials` in a threshold search.
    None where the store could not be asked. `seconds` are those of training what is not stored, and
    all `teachers`, of which some may be: None where nobody has one, or repeats are without limit.
    `round_that_fills` is the `search.round` that would keep every slot busy, None when it does.
    """

    name: str
    search: str
    arms: tuple[ArmOutline, ...]
    trials: int | None
    is_exact: bool
    reusable: int | None
    seconds: float | None
    slots: int
    round_that_fills: int | None
    teachers: TeachersOutline | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values; format 1."""
        return {"format": 1, **asdict(self)}


def outline(
    spec: ExperimentSpec, slots: int, reusable: Sequence[Reusable] | None = None
) -> Outline:
    """What `spec` would run on that many slots, beside what the store has of it."""
    arms = tuple(_arm(spec, arm) for arm in spec.arms)
    is_grid = spec.search.kind == "grid"
    points = sum(arm.points * arm.settings for arm in arms)
    trials = points * spec.repeats if is_grid else spec.search.max_trials
    stored = None if reusable is None else _stored(spec, reusable)
    trained = trials if trials is None or not is_grid else trials - (stored or 0)
    mean_s = math.fsum(arm.seconds for arm in arms) / len(arms)
    teachers = _teachers(spec, trials)
    teachers_s = teachers.seconds if teachers else 0.0
    enough = 8 * slots  # two rounds of at least four trials for each slot
    return Outline(
        name=spec.name,
        search=spec.search.kind,
        arms=arms,
        trials=trials,
        is_exact=is_grid,
        reusable=stored,
        seconds=(trained * mean_s + teachers_s) / slots if trained is not None else None,
        slots=slots,
        round_that_fills=enough if not is_grid and spec.search.round < enough else None,
        teachers=teachers,
    )


def _teachers(spec: ExperimentSpec, trials: int | None) -> TeachersOutline | None:
    """One per repeat and per cell of a teacher, which several arms and all n may share."""
    cells: dict[str, Cell] = {}
    for arm in spec.arms:
        settings = [tuned(arm.target, arm.learner, one) for one in spec.candidates(arm)]
        for asked in spec.asked(arm):
            point = Point(d=asked.d, n=asked.low, k=asked.k)
            found = (Cell(target, learner, point).teacher for target, learner in settings)
            cells.update({cell.key: cell for cell in found if cell is not None})
    if not cells or trials is None:
        return None
    is_grid = spec.search.kind == "grid"
    count = len(cells) * spec.repeats if is_grid else trials  # each of them has one at most
    mean_work = math.fsum(one.learner.work(one.point) for one in cells.values()) / len(cells)
    return TeachersOutline(count, FIRST_GUESS_S * mean_work * count)


def _arm(spec: ExperimentSpec, arm: Arm) -> ArmOutline:
    asked = spec.asked(arm)
    middle = asked[len(asked) // 2]
    point = Point(d=middle.d, n=max(1, round(math.sqrt(middle.low * middle.high))), k=middle.k)
    settings = spec.candidates(arm)
    learners = [tuned(arm.target, arm.learner, setting)[1] for setting in settings]
    values = {**spec.tune, **spec.search.fields}
    return ArmOutline(
        label=arm.label,
        thresholds=len(asked),
        points=_points(spec, arm),
        seconds=FIRST_GUESS_S * math.fsum(one.work(point) for one in learners) / len(learners),
        memory_bytes=max(one.memory_bytes(point) for one in learners),
        settings=len(settings),
        chosen={name: str(values[name]) for name in spec.tuned_fields(arm)},
    )


def _points(spec: ExperimentSpec, arm: Arm) -> int:
    if spec.search.kind == "grid":
        return sum(len(spec.n_grid(arm, one.d, one.k)) for one in spec.asked(arm))
    return sum(one.high - one.low + 1 for one in spec.asked(arm))


def _stored(spec: ExperimentSpec, reusable: Sequence[Reusable]) -> int:
    """Stored trials that the search may ask for."""
    if spec.search.kind == "threshold":
        return sum(len(one.repeats) for one in reusable)
    grid = cache(lambda arm, d, k: frozenset(spec.n_grid(spec.arms[arm], d, k)))
    return sum(
        sum(repeat < spec.repeats or spec.search.kind != "grid" for repeat in one.repeats)
        for one in reusable
        if one.point.n in grid(one.arm, one.point.d, one.point.k)
    )
