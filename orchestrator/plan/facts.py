"""What the board hears and says: facts in, commands out. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.trial import Result, Trial


class Reason(StrEnum):
    """Why a pack came back without results."""

    WORKER_DIED = "worker died"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    RAISED = "raised an error"
    NODE_LOST = "node lost"
    INTERRUPTED = "interrupted"
    TEACHER_MISSING = "teacher missing"

    @property
    def is_disruption(self) -> bool:
        """Whether the machine, not the trial, is to blame: charged 0 and started again for ever."""
        return self in (Reason.NODE_LOST, Reason.INTERRUPTED, Reason.TEACHER_MISSING)


@dataclass(frozen=True)
class Pack:
    """Trials to be trained by one call of `run_pack`, as one attempt of each.

    `attempts` maps each trial's key to the attempt number that fences its commit. `deadline_s` is
    the wall time after which the executor may be told to stop it. Trials in `again` may be settled:
    they are trained once more for what they taught, which was lost.
    """

    id: str
    trials: tuple[Trial, ...]
    attempts: Mapping[str, int]
    deadline_s: float
    gpus: float = 0.0
    again: frozenset[str] = frozenset()


# Facts


@dataclass(frozen=True)
class Added:
    """Trials that have to run."""

    trials: tuple[Trial, ...]
    charges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Reasons already charged to a trial before this driver started, oldest first."""


@dataclass(frozen=True)
class Teachers:
    """What is known of trials that others will learn from, before those are added.

    Of `taught` a lesson is believed to be there. Of `untaught` there will be none, and why.
    """

    taught: frozenset[str] = frozenset()
    untaught: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """Trials of a started pack that another sweep settled meanwhile: they leave the pack."""

    pack_id: str
    keys: frozenset[str]


@dataclass(frozen=True)
class Finished:
    """A pack came back with one result per trial, in the order of the pack.

    `lessons` are names of files, by key, of what its trials teach.
    """

    pack_id: str
    results: tuple[Result, ...]
    seconds: float
    where: str = ""
    lessons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost:
    """A pack came back without results. `missing` are teachers whose lessons were not there."""

    pack_id: str
    reason: Reason
    detail: str = ""
    where: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlotsAre:
    """How many packs the executor can run at once now."""

    count: int


Fact = Added | Teachers | Found | Finished | Lost | SlotsAre


# Commands


@dataclass(frozen=True)
class Start:
    """Hand a pack to the executor."""

    pack: Pack


@dataclass(frozen=True)
class Stop:
    """End a pack: past its deadline, or no longer wanted."""

    pack_id: str
    reason: Reason


@dataclass(frozen=True)
class GiveUp:
    """A trial becomes a gap; `reasons` has one entry per charge, oldest first."""

    key: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Charge:
    """Close the attempts of a lost pack: `charge` is 0 or 1 for each of its trials."""

    pack_id: str
    keys: tuple[str, ...]
    reason: str
    charge: int
    where: str = ""


Command = Start | Stop | GiveUp | Charge
