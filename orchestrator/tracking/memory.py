"""The in-memory tracker: the reference behaviour of the port, and what the loop's tests use.

Trackers made on one `Memory` see one truth, as drivers of one ledger do. Nothing outlives the
process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import time

from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import SweepInUse
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable, Wanted, reusable
from orchestrator.ports import (
    Attempt,
    Member,
    Settled,
    StoppedBy,
    SweepRecord,
    SweepStatus,
)


@dataclass
class MemorySweep:
    """One sweep: its record, rounds, members (arm, round, cached), gaps and what was published."""

    record: SweepRecord
    rounds: dict[int, list[Ask]] = field(default_factory=dict)
    members: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    gaps: dict[str, Settled] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    reusable: list[Reusable] | None = None


@dataclass
class Memory:
    """What a ledger would hold. `attempts[key][i]` is attempt number i + 1."""

    sweeps: dict[str, MemorySweep] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    drivers: dict[str, "MemoryTracker"] = field(default_factory=dict)


class MemoryTracker:
    """A `Tracker` that keeps everything in `memory`."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory if memory is not None else Memory()
        self._id: str | None = None
        self._begun: dict[str, int] = {}  # this driver's newest attempt of each key

    @property
    def sweep(self) -> MemorySweep:
        """The open sweep."""
        if self._id is None:
            raise RuntimeError("open a sweep first")
        return self.memory.sweeps[self._id]

    def open(self, record: SweepRecord) -> SweepRecord:
        """See `Tracker.open`."""
        if self.memory.drivers.get(record.id) is not None:
            raise SweepInUse(f"sweep {record.id} ({record.name}) is being answered")
        known = self.memory.sweeps.get(record.id)
        started = known.record.started if known else record.started
        running = replace(record, status="running", started=started, stopped_by=None, ended=None)
        if known is None:
            self.memory.sweeps[record.id] = MemorySweep(running)
        else:
            known.record = running
        self.memory.drivers[record.id] = self
        self._id = record.id
        self._begun = {}
        self._end_attempts()
        return running

    def rounds(self) -> list[list[Ask]]:
        """See `Tracker.rounds`."""
        return [list(self.sweep.rounds[number]) for number in sorted(self.sweep.rounds)]

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        """See `Tracker.record_round`."""
        if number in self.sweep.rounds:
            return
        self.sweep.rounds[number] = list(asks)
        for arm, trial in trials:
            self.memory.trials.setdefault(trial.key, trial)
            cached = trial.key in self.memory.settled
            self.sweep.members.setdefault(trial.key, (arm, number, cached))

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """See `Tracker.reusable`."""
        if self.sweep.reusable is None:
            known = [one.trial for one in self.memory.settled.values() if one.trial.seed == seed]
            answered = [(one.cell.key, one.cell.point, one.repeat) for one in known]
            self.sweep.reusable = [] if self.sweep.rounds else reusable(arms, answered)
        return self.sweep.reusable

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        """See `Tracker.settled`."""
        known = self.memory.settled
        gaps = self.memory.sweeps[self._id].gaps if self._id is not None else {}
        return {key: known.get(key) or gaps[key] for key in keys if key in known or key in gaps}

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        """See `Tracker.begin`."""
        begun = {}
        for key in keys:
            if self.settled([key]):
                continue
            past = self.memory.attempts.setdefault(key, [])
            self._end(key, self._begun.get(key, 0), "superseded by a newer attempt")
            begun[key] = len(past) + 1
            past.append(Attempt(key, begun[key], self.sweep.record.id, time(), None, None, 0, ""))
        self._begun.update(begun)
        return begun

    def commit(
        self, results: Sequence[Result], attempts: Mapping[str, int], where: str = ""
    ) -> list[str]:
        """See `Tracker.commit`."""
        refused = []
        for result in results:
            key, attempt = result.key, attempts.get(result.key, 0)
            is_valid = attempt > 0 and self._begun.get(key) == attempt
            if not is_valid or key in self.memory.settled:
                refused.append(key)
                if is_valid:
                    self._end(key, attempt, "settled by another attempt", where=where)
                continue
            self.memory.settled[key] = Settled(self.memory.trials[key], result, attempt)
            self._end(key, attempt, "committed", where=where)
        return refused

    def charge(self, key: str, attempt: int, reason: str, charge: int, where: str = "") -> None:
        """See `Tracker.charge`. An attempt that has ended keeps its reason."""
        self._end(key, attempt, reason, charge, where)

    def charges(self, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """See `Tracker.charges`."""
        found = {
            key: tuple(
                attempt.reason or ""
                for attempt in self.memory.attempts.get(key, ())
                if attempt.charge > 0 and attempt.sweep == self._id
            )
            for key in keys
        }
        return {key: reasons for key, reasons in found.items() if reasons}

    def give_up(self, key: str, reasons: Sequence[str]) -> None:
        """See `Tracker.give_up`. A trial that was settled meanwhile stays as it is."""
        if self.settled([key]):
            return
        newest = self._begun.get(key, len(self.memory.attempts.get(key, ())))
        trial = self.memory.trials[key]
        self.sweep.gaps[key] = Settled(trial, None, newest, tuple(reasons))
        self._end(key, newest, "given up")
        self._begun.pop(key, None)

    def members(self) -> list[Member]:
        """See `Tracker.members`."""
        ordered = sorted(self.sweep.members.items(), key=lambda item: item[1][1])
        return [self._member(key, *place) for key, place in ordered]

    def publish(self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes]) -> None:
        """See `Tracker.publish`."""
        self.sweep.metrics.update(metrics)
        self.sweep.artifacts.update(artifacts)

    def finish(self, status: SweepStatus, stopped_by: StoppedBy | None) -> None:
        """See `Tracker.finish`."""
        self._end_attempts()
        self.sweep.record = replace(
            self.sweep.record, status=status, stopped_by=stopped_by, ended=time()
        )

    def close(self, drain_s: float = 60.0) -> bool:
        """See `Tracker.close`."""
        if self._id is not None:
            del self.memory.drivers[self._id]
            self._id = None
        return True

    def _member(self, key: str, arm: int, number: int, cached: bool) -> Member:
        trial, value = self.memory.trials[key], self.settled([key]).get(key)
        if value is not None:
            state = "gap" if value.is_gap else "cached" if cached else "done"
            return Member(trial, arm, number, state, value)  # type: ignore[arg-type]
        runs = any(
            attempt.ended is None and attempt.sweep == self._id
            for attempt in self.memory.attempts.get(key, ())
        )
        return Member(trial, arm, number, "running" if runs else "waiting")

    def _end(self, key: str, attempt: int, reason: str, charge: int = 0, where: str = "") -> None:
        past = self.memory.attempts.get(key, [])
        if 1 <= attempt <= len(past) and past[attempt - 1].ended is None:
            past[attempt - 1] = replace(
                past[attempt - 1], ended=time(), reason=reason, charge=charge, where=where
            )

    def _end_attempts(self) -> None:
        for past in self.memory.attempts.values():
            for attempt in past:
                if attempt.sweep == self._id:
                    self._end(attempt.key, attempt.attempt, "interrupted")
