"""What a ledger holds, as dictionaries in memory, with transactions that can be undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from orchestrator.domain.trial import Trial
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable
from orchestrator.ports import Attempt, Settled, SweepRecord, Whereabouts

if TYPE_CHECKING:
    from orchestrator.tracking.memory import MemoryTracker


@dataclass
class MemorySweep:
    """One sweep: its record, rounds, members (arm, round, cached), gaps and what was published."""

    record: SweepRecord
    rounds: dict[int, list[Ask]] = field(default_factory=dict)
    members: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    gaps: dict[str, Settled] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    note: str = ""
    reusable: list[Reusable] | None = None
    whereabouts: list[Whereabouts] = field(default_factory=list)


class Queued(NamedTuple):
    """Something that MLflow would have to be told."""

    sweep: str
    kind: Literal["trial", "gap", "sweep"]
    subject: str = ""


_ABSENT = object()


@dataclass
class Memory:
    """What a ledger would hold. `attempts[key][i]` is attempt number i + 1.

    `epochs` counts the openings of each sweep, `drivers` has who holds it. Everything but `drivers`
    is written through `put`, inside `writing`.
    """

    sweeps: dict[str, MemorySweep] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    attempts: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    lessons: dict[str, str] = field(default_factory=dict)
    outbox: dict[int, Queued] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    drivers: dict[str, "MemoryTracker"] = field(default_factory=dict)
    _undo: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction: all of the block's writes, or none of them if it raises."""
        try:
            yield
        except BaseException:
            while self._undo:
                table, key, before = self._undo.pop()
                if before is _ABSENT:
                    del table[key]
                else:
                    table[key] = before
            raise
        finally:
            self._undo.clear()

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Write one value, to be undone if the transaction fails."""
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def queue(self, *entries: Queued) -> None:
        """Add what MLflow would have to be told, in order."""
        for entry in entries:
            self.put(self.outbox, len(self.outbox) + 1, entry)

    def sweeps_of(self, key: str) -> list[str]:
        """The sweeps that asked for a trial."""
        return [name for name, sweep in self.sweeps.items() if key in sweep.members]
