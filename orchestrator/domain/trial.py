"""Trials: what is trained, under which key, and what came of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.domain.curves import Curves
from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.errors import PluginError

KEY_FORMAT = 1
"""Part of every key; raised only if the meaning of all results changes at once."""


@dataclass(frozen=True)
class Cell:
    """A target and a learner, both with settings, at a point."""

    target: Target
    learner: Learner
    point: Point

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON of everything that shapes its trials but the seed and the repeat."""
        return canonical_json(
            {
                "format": KEY_FORMAT,
                "learner": self.learner.identity,
                "point": self.point.model_dump(),
                "target": self.target.identity,
            }
        )

    @cached_property
    def key(self) -> str:
        """128-bit hash of `canonical`, 32 hexadecimal digits."""
        return hashlib.blake2b(self.canonical.encode(), digest_size=16).hexdigest()

    @cached_property
    def teacher(self) -> "Cell | None":
        """The cell of its trials' teachers; None where the learner has none.

        Raises `PluginError` for a teacher that does not teach, that learns from another itself, or
        that stands at another d or k.
        """
        found = self.learner.teacher(self.point)
        if found is None:
            return None
        fault = _fault_of_teacher(*found, self.point)
        if fault:
            raise PluginError(f"{found[0].label} cannot teach {self.learner.label}: {fault}")
        return Cell(self.target, *found)


def _fault_of_teacher(teacher: Learner, point: Point, student: Point) -> str | None:
    if not teacher.teaches:
        return "it keeps no lesson"
    if teacher.teacher(point) is not None:
        return "it has a teacher of its own"
    if (point.d, point.k) != (student.d, student.k):
        return f"d={point.d}, k={point.k} are not the student's d={student.d}, k={student.k}"
    return None


@dataclass(frozen=True)
class Trial:
    """A cell with a seed and a repeat number: fresh concept, data and initialisation."""

    cell: Cell
    repeat: int
    seed: int = 0

    @cached_property
    def key(self) -> str:
        """128-bit hash of everything that shapes the result, 32 hexadecimal digits."""
        text = f'{{"cell":{self.cell.canonical},"repeat":{self.repeat},"seed":{self.seed}}}'
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def teacher(self) -> "Trial | None":
        """The trial that this one learns from: of the same repeat and seed, whatever this one's n.

        None for nearly all; where trials are many, ask their cells.
        """
        cell = self.cell.teacher
        return None if cell is None else Trial(cell, self.repeat, self.seed)

    def as_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal trial in another process."""
        return {
            "target": self.cell.target.settings,
            "learner": self.cell.learner.settings,
            "point": self.cell.point.model_dump(),
            "repeat": self.repeat,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Trial":
        """The trial that `as_json` described. Raises `PluginError` when a plug-in is not known."""
        cell = Cell(
            target=Target.from_settings(value["target"]),
            learner=Learner.from_settings(value["learner"]),
            point=Point(**value["point"]),
        )
        return cls(cell, repeat=value["repeat"], seed=value["seed"])


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one trial. `measures` holds finite numbers only.

    A measure that came out as nan or infinite is left out; a trial that diverged may have none.
    `seconds` is the trial's share of its pack's time, up to its checkpoint included; it is the one
    field that varies between runs. `curves` are for looking at: they are kept beside the result,
    and a result that was read back is equal to what was written, but comes without them.
    """

    key: str
    outcome: Outcome
    measures: Mapping[str, float]
    seconds: float = 0.0
    curves: Curves = field(default_factory=dict, compare=False)

    def same_as(self, other: "Result") -> bool:
        """Equal bit for bit but for the time it took."""
        return (self.key, self.outcome, dict(self.measures), dict(self.curves)) == (
            other.key,
            other.outcome,
            dict(other.measures),
            dict(other.curves),
        )
