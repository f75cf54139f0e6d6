"""The three ports of the loop, and what it may rely on, above all when things go wrong.

Adapters: `engine` offers executors, `tracking` trackers, `search` proposers. Values only; nothing
here imports ray, mlflow or optuna.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.domain.curves import Curves
from orchestrator.domain.trial import Result, Trial
from orchestrator.plan.asks import ArmTally, Ask
from orchestrator.plan.explain import Attempt, Whereabouts
from orchestrator.plan.facts import Finished, Lost, Pack, SlotsAre
from orchestrator.plan.reuse import Reusable, Wanted

__all__ = [
    "ArmTally",
    "Ask",
    "Attempt",
    "Executor",
    "Member",
    "Proposer",
    "Settled",
    "StoppedBy",
    "SweepRecord",
    "SweepStatus",
    "Teacher",
    "Tracker",
    "Whereabouts",
]

NO_LESSONS: Mapping[str, str] = {}

SweepStatus = Literal["running", "finished", "interrupted", "cancelled", "failed"]
StoppedBy = Literal["tolerance", "max_trials", "max_hours", "cancelled", "interrupted"]


class Executor(Protocol):
    """Runs packs somewhere. The in-process executor is the reference behaviour."""

    @property
    def slots(self) -> int:
        """How many packs can run at once now; at least 1."""

    def start(self, pack: Pack) -> None:
        """Begin one pack and return at once. Starting a running pack again does nothing."""

    def stop(self, pack_id: str) -> None:
        """End a pack for good; its `Lost` fact (`TIMED_OUT`) follows. Unknown ids do nothing."""

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        """Facts since the last call, oldest first; empty after `timeout_s` seconds.

        A dead worker becomes a `Lost` fact. Nothing a pack does may raise here. Each started pack
        is answered by exactly one `Finished` or `Lost`.
        """

    def whereabouts(self) -> list[Whereabouts]:
        """Where every started and unanswered pack is now."""

    def close(self) -> None:
        """End everything this executor started. Closing twice is harmless."""


class Proposer(Protocol):
    """Decides, round by round, what to try next.

    A proposer is made for one sweep, from its experiment and its reusable trials as `Tracker` noted
    them. A proposal is a pure function of those (the seed is in the experiment), the round's
    number, the tallies of all rounds up to `number - 2` and the asks of round `number - 1`. It must
    not depend on arrival order, time, or on what this object was asked before.
    """

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """The asks of round `number`; empty when nothing is left to ask.

        Two empty rounds in a row end the sweep.
        """

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """Why an empty proposal was empty; None where a design was simply completed."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A trial that needs no more work: a committed result, or a gap with its reasons.

    A result is every sweep's. A gap is only of the sweep that gave the trial up.
    """

    trial: Trial
    result: Result | None
    attempt: int
    reasons: tuple[str, ...] = ()

    @property
    def is_gap(self) -> bool:
        """Whether the trial was given up."""
        return self.result is None


@dataclass(frozen=True)
class SweepRecord:
    """What the ledger knows of a sweep. Times are seconds since the epoch."""

    id: str
    name: str
    spec_json: str
    spec_source: str
    status: SweepStatus
    started: float
    stopped_by: StoppedBy | None = None
    ended: float | None = None
    plugins: Sequence[tuple[str, str]] = ()
    mlflow_run: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A trial's membership in a sweep: its arm, the round that asked for it, and its state.

    `state` is `waiting`, `running`, `done`, `cached` (done before this sweep asked) or `gap`.
    """

    trial: Trial
    arm: int
    round: int
    state: Literal["waiting", "running", "done", "cached", "gap"]
    settled: Settled | None = None


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trial that members of a sweep learn from, though nobody may have asked for it.

    `state` is as a member's. `lesson` is the file that holds what it taught, as far as is known,
    and `times` how often that was made.
    """

    trial: Trial
    state: Literal["waiting", "running", "done", "gap"]
    lesson: str = ""
    times: int = 0
    settled: Settled | None = None


class Tracker(Protocol):
    """The truth about trials. Each key has at most one committed result, and none is ever lost.

    A method that returns has made its effect durable. Every method may raise `LedgerUnreachable`.
    """

    def open(self, record: SweepRecord) -> SweepRecord:
        """Create the sweep, or join it when its id exists, and hold it until `close`.

        Joining sets the status to running and keeps the first `started`. Raises `SweepInUse` when
        another driver holds it.
        """

    def rounds(self) -> list[list[Ask]]:
        """Every recorded round of the open sweep, in order."""

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        """Record a round, before anything of it runs: its asks, and its trials with their arms.

        Trials that have a result already (by any sweep) become cached members. Their teachers are
        no members, but from now on they can be begun. Recording the same round again does nothing.
        """

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """Trials of the store with a result that the open sweep may ask for, by arm and point.

        The first call for a sweep finds them and notes them; every later one, by this driver or the
        next, returns the note, whatever the store has learnt since. A sweep whose rounds began
        without a note has none.
        """

    def answered(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` with a result, by whichever sweep."""

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        """Those of `keys` that need no more work: results of any sweep, and this one's gaps."""

    def curves(self, keys: Sequence[str]) -> dict[str, Curves]:
        """Learning curves of those of `keys` that have a result with any."""

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        """Take a new attempt of each key; the numbers fence later commits.

        Settled keys are left out. Older attempts of the same sweep end here; another sweep's go on,
        since two sweeps that stopped each other would never settle a trial that both ask for. No
        two attempts of a key share a number, whichever sweeps began them.
        """

    def commit(
        self,
        results: Sequence[Result],
        attempts: Mapping[str, int],
        where: str = "",
        lessons: Mapping[str, str] = NO_LESSONS,
    ) -> list[str]:
        """Store results and queue what MLflow must be told, in one transaction.

        With them go names of files, by key, of what trials taught: of the newest of each.

        An attempt is valid when this driver began it and has begun no newer one of the same key.
        Returns the keys that were refused: those whose attempt is not valid, and those that are
        settled, because whichever sweep commits first settles a key for all.
        """

    def charge(
        self, attempts: Mapping[str, int], reason: str, charge: int, where: str = ""
    ) -> None:
        """Close attempts of a pack that gave no result, in one transaction."""

    def charges(self, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Reasons of this sweep's charged attempts of each key, oldest first; keys without any are
        left out.
        """

    def give_up(self, key: str, reasons: Sequence[str]) -> None:
        """The trial becomes a gap of this sweep; others may still work on it, and their result
        would fill the gap.
        """

    def note_whereabouts(self, packs: Sequence[Whereabouts]) -> None:
        """Note where started packs are now, for whoever looks on; what was noted before goes."""

    def members(self) -> list[Member]:
        """Every trial of the open sweep, in order of round, then of recording."""

    def publish(
        self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes], note: str = ""
    ) -> None:
        """Queue figures of the sweep as a whole for its parent run; returns at once.

        `artifacts` maps relative paths to contents; later contents replace earlier ones, as does a
        `note`, what stands above its runs in Markdown.
        """

    def finish(self, status: SweepStatus, stopped_by: StoppedBy | None) -> None:
        """Record how the sweep ended."""

    def close(self, drain_s: float = 60.0) -> bool:
        """Let go of the sweep, waiting up to `drain_s` for MLflow to be told everything.

        Returns whether it was; what was not stays queued for the next opening.
        """
