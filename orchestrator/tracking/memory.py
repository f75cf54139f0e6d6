"""The in-memory tracker: the reference behaviour of the port, and what the loop's tests use.

Trackers made on one `Memory` see one truth, as drivers of one ledger do. Nothing outlives the
process. It has the ledger's transactions, fence, epochs and failpoints, so that a simulator can
crash its drivers anywhere.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.domain.curves import Curves
from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import SweepInUse
from orchestrator.failpoints import at
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable, Wanted, reusable
from orchestrator.ports import (
    NO_LESSONS,
    Attempt,
    Member,
    Settled,
    StoppedBy,
    SweepRecord,
    SweepStatus,
    Whereabouts,
)
from orchestrator.tracking import fence
from orchestrator.tracking.memory_tables import Memory, MemorySweep, Queued


class MemoryTracker:
    """A `Tracker` that keeps everything in `memory`; `clock` gives seconds since the epoch."""

    def __init__(
        self, memory: Memory | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.memory = memory if memory is not None else Memory()
        self._clock = clock
        self._id: str | None = None
        self._epoch = 0
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
        self.memory.drivers[record.id] = self
        try:
            return self._enter(record)
        except BaseException:
            self._let_go(record.id)
            raise

    def rounds(self) -> list[list[Ask]]:
        """See `Tracker.rounds`."""
        return [list(self.sweep.rounds[number]) for number in sorted(self.sweep.rounds)]

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        """See `Tracker.record_round`."""
        sweep, memory = self.sweep, self.memory
        with self._writing("round"):
            if number in sweep.rounds:
                return
            memory.put(sweep.rounds, number, list(asks))
            for arm, trial in trials:
                if trial.key in sweep.members:
                    continue
                for one in (trial, trial.teacher):
                    if one is not None and one.key not in memory.trials:
                        memory.put(memory.trials, one.key, one)
                cached = trial.key in memory.settled
                memory.put(sweep.members, trial.key, (arm, number, cached))
                if cached:
                    memory.queue(Queued(sweep.record.id, "trial", trial.key))

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """See `Tracker.reusable`."""
        sweep = self.sweep
        with self._writing("reusable"):
            if sweep.reusable is not None:
                return sweep.reusable
            known = [one.trial for one in self.memory.settled.values() if one.trial.seed == seed]
            answered = [(one.cell.key, one.cell.point, one.repeat) for one in known]
            found = [] if sweep.rounds else reusable(arms, answered)
            self.memory.put(vars(sweep), "reusable", found)
        return found

    def answered(self, keys: Sequence[str]) -> set[str]:
        """See `Tracker.answered`."""
        return {key for key in keys if key in self.memory.settled}

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        """See `Tracker.settled`."""
        known = self.memory.settled
        gaps = self.memory.sweeps[self._id].gaps if self._id is not None else {}
        return {key: known.get(key) or gaps[key] for key in keys if key in known or key in gaps}

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        """See `Tracker.begin`."""
        begun = {}
        sweep, now = self.sweep.record.id, self._clock()
        with self._writing("begin"):
            for key in keys:
                if self.settled([key]):
                    continue
                self._end(key, self._begun.get(key, 0), "superseded by a newer attempt")
                past = self.memory.attempts.get(key, ())
                begun[key] = len(past) + 1
                new = Attempt(key, begun[key], sweep, now, None, None, 0, "")
                self.memory.put(self.memory.attempts, key, (*past, new))
        self._begun.update(begun)
        return begun

    def commit(
        self,
        results: Sequence[Result],
        attempts: Mapping[str, int],
        where: str = "",
        lessons: Mapping[str, str] = NO_LESSONS,
    ) -> list[str]:
        """See `Tracker.commit`."""
        memory = self.memory
        with self._writing("commit"):
            verdict = fence.judge(
                results, attempts, self._begun, lambda key: key not in memory.settled
            )
            for key, attempt in verdict.late:
                self._end(key, attempt, "settled by another attempt", where=where)
            for key, result in verdict.accepted.items():
                value = Settled(memory.trials[key], result, attempts[key])
                memory.put(memory.settled, key, value)
                self._end(key, attempts[key], "committed", where=where)
                memory.queue(*(Queued(one, "trial", key) for one in memory.sweeps_of(key)))
            for key, name in lessons.items():
                memory.put(memory.lessons, key, name)
        return verdict.refused

    def charge(
        self, attempts: Mapping[str, int], reason: str, charge: int, where: str = ""
    ) -> None:
        """See `Tracker.charge`. An attempt that has ended keeps its reason."""
        with self._writing("charge"):
            for key, attempt in attempts.items():
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
        memory, sweep = self.memory, self.sweep
        with self._writing("give_up"):
            if not self.settled([key]):
                mine = [
                    one.attempt
                    for one in memory.attempts.get(key, ())
                    if one.sweep == sweep.record.id
                ]
                newest = max(mine, default=0)
                gap = Settled(memory.trials[key], None, newest, tuple(reasons))
                memory.put(sweep.gaps, key, gap)
                self._end(key, newest, "given up")
                if key in sweep.members:  # of a teacher nobody has asked for, MLflow hears nothing
                    memory.queue(Queued(sweep.record.id, "gap", key))
        self._begun.pop(key, None)

    def curves(self, keys: Sequence[str]) -> dict[str, Curves]:
        """See `Tracker.curves`."""
        found = {key: one.result for key, one in self.settled(keys).items() if one.result}
        return {key: result.curves for key, result in found.items() if result.curves}

    def members(self) -> list[Member]:
        """See `Tracker.members`."""
        ordered = sorted(self.sweep.members.items(), key=lambda item: item[1][1])
        return [self._member(key, *place) for key, place in ordered]

    def note_whereabouts(self, packs: Sequence[Whereabouts]) -> None:
        """See `Tracker.note_whereabouts`."""
        self.sweep.whereabouts = list(packs)

    def publish(
        self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes], note: str = ""
    ) -> None:
        """See `Tracker.publish`."""
        with self._writing("publish"):
            for name, value in metrics.items():
                self.memory.put(self.sweep.metrics, name, value)
            for path, content in artifacts.items():
                self.memory.put(self.sweep.artifacts, path, content)
            if note:
                self.memory.put(vars(self.sweep), "note", note)

    def finish(self, status: SweepStatus, stopped_by: StoppedBy | None) -> None:
        """See `Tracker.finish`."""
        sweep, now = self.sweep, self._clock()
        with self._writing("finish"):
            self._end_attempts(sweep.record.id)
            ended = replace(sweep.record, status=status, stopped_by=stopped_by, ended=now)
            self.memory.put(vars(sweep), "record", ended)
            self.memory.queue(Queued(sweep.record.id, "sweep"))

    def close(self, drain_s: float = 60.0) -> bool:
        """See `Tracker.close`."""
        if self._id is not None:
            self._let_go(self._id)
            self._id = None
        return True

    def _enter(self, record: SweepRecord) -> SweepRecord:
        memory, known = self.memory, self.memory.sweeps.get(record.id)
        started = known.record.started if known else record.started
        running = replace(record, status="running", started=started, stopped_by=None, ended=None)
        epoch = memory.epochs.get(record.id, 0) + 1
        with self._transaction("enter"):
            memory.put(memory.epochs, record.id, epoch)
            if known is None:
                memory.put(memory.sweeps, record.id, MemorySweep(running))
            else:
                memory.put(vars(known), "record", running)
            self._end_attempts(record.id)
            memory.queue(Queued(record.id, "sweep"))
        self._id, self._epoch, self._begun = record.id, epoch, {}
        return running

    def _let_go(self, sweep: str) -> None:
        if self.memory.drivers.get(sweep) is self:
            del self.memory.drivers[sweep]

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """A transaction of the driver that holds the sweep, as in `Ledger`."""
        sweep = self.sweep.record.id
        with self._transaction(what):
            if self.memory.epochs[sweep] != self._epoch:
                raise SweepInUse(f"sweep {sweep} was taken over by another driver")
            yield

    @contextmanager
    def _transaction(self, what: str) -> Iterator[None]:
        with self.memory.writing():
            at(f"ledger.{what}.before")
            yield
            at(f"ledger.{what}.within")
        at(f"ledger.{what}.after")

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
        past = self.memory.attempts.get(key, ())
        if 1 <= attempt <= len(past) and past[attempt - 1].ended is None:
            ended = replace(
                past[attempt - 1], ended=self._clock(), reason=reason, charge=charge, where=where
            )
            self.memory.put(
                self.memory.attempts, key, (*past[: attempt - 1], ended, *past[attempt:])
            )

    def _end_attempts(self, sweep: str) -> None:
        under_way = [
            attempt
            for past in self.memory.attempts.values()
            for attempt in past
            if attempt.sweep == sweep and attempt.ended is None
        ]
        for attempt in under_way:
            self._end(attempt.key, attempt.attempt, "interrupted")
