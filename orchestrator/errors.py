"""Every exception raised on purpose, one tree.

    PhasefrontError            1    a fault of ours
    ├── RequestError           2    the request is wrong; nothing ran
    │   ├── SpecError               an experiment file, with all its faults
    │   ├── PluginError             a target or learner that cannot be used as asked
    │   ├── UnknownSweep            no sweep, or several, answer to that name
    │   └── SweepInUse              another driver holds the sweep
    ├── Unreachable            4    try again when it answers
    │   ├── TrackerUnreachable      the MLflow store
    │   ├── LedgerUnreachable       the ledger's database
    │   │   └── NoLedger                it answers, and holds none yet
    │   └── ClusterUnreachable      the Ray cluster
    ├── LedgerDamaged          1    the ledger fails its own integrity check
    ├── EveryTrialFailed       1    the first trials all failed in the same way
    └── Interrupted          130    Ctrl-C or SIGTERM; `resume` goes on

The number is the exit status of the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class PhasefrontError(Exception):
    """Something this system noticed and can put into words."""

    exit_status: ClassVar[int] = 1


class RequestError(PhasefrontError):
    """What was asked cannot be done as written; nothing was started and nothing written."""

    exit_status = 2


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an experiment file: where, what was found, what would be right."""

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class SpecError(RequestError):
    """An experiment file with faults; `faults` holds all of them, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class PluginError(RequestError):
    """A target or learner that does not exist, clashes with another, or cannot take this point."""


class UnknownSweep(RequestError):
    """No sweep answers to that id, prefix or name, or more than one does."""


class SweepInUse(RequestError):
    """Another driver is answering this sweep now."""


class Unreachable(PhasefrontError):
    """A service did not answer; the same request may work later."""

    exit_status = 4


class TrackerUnreachable(Unreachable):
    """The MLflow store does not answer."""


class LedgerUnreachable(Unreachable):
    """The ledger's database does not answer or stays locked."""


class NoLedger(LedgerUnreachable):
    """There is no ledger there yet; whoever runs a sweep makes it."""


class ClusterUnreachable(Unreachable):
    """The Ray cluster does not answer, or refuses the token."""


class LedgerDamaged(PhasefrontError):
    """The ledger fails its integrity check or has an unknown schema; it is left untouched."""


class LessonsMissing(PhasefrontError):
    """What the teachers of some trials taught is not to be had here; `keys` are the teachers'."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        shown = ", ".join(key[:8] for key in keys[:4]) + (" …" if keys[4:] else "")
        super().__init__(f"what {shown} taught is not here, or not whole")
        self.keys = keys


class EveryTrialFailed(PhasefrontError):
    """The first trials all failed in the same way, so the rest were not started."""


class Interrupted(PhasefrontError):
    """The person or the machine asked to stop; everything committed is kept."""

    exit_status = 130
