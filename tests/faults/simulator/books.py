"""What the witness reads of a ledger, and how the simulation gets at its lock."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from orchestrator.ports import Ask, Attempt, Settled, Tracker
from orchestrator.tracking import Memory, MemoryTracker
from tests.faults.simulator.world import World


class Books(Protocol):
    """The ledger's committed state, whoever asks."""

    def tracker(self) -> Tracker:
        """A tracker for one more driver."""

    def free_lock(self, tracker: Tracker) -> None:
        """What the operating system does when the driver dies."""

    def done(self) -> Mapping[str, Settled]:
        """Every committed result."""

    def attempts(self, key: str) -> tuple[Attempt, ...]:
        """Every attempt at a trial, in order of their numbers."""

    def gaps(self, sweep: str) -> Mapping[str, tuple[str, ...]]:
        """Reasons of the sweep's gaps."""

    def sweeps_of(self, key: str) -> Iterable[str]:
        """The sweeps that asked for a trial."""

    def members(self, sweep: str) -> Mapping[str, int]:
        """The round of every trial that the sweep asked for."""

    def rounds(self, sweep: str) -> list[list[Ask]]:
        """What was asked."""

    def queued(self) -> Counter[tuple[str, str, str]]:
        """Sweep, kind and subject of everything that MLflow was or has to be told of trials."""

    def status(self, sweep: str) -> str:
        """The sweep's status."""

    def epoch(self, sweep: str) -> int:
        """How often the sweep was opened."""

    def holders(self) -> Iterable[str]:
        """Sweeps that are held by a driver."""


class FrailMemory(Memory):
    """A memory whose transactions may be cut short anywhere."""

    world: World

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        super().put(table, key, value)
        self.world.between_two_writes()


class MemoryBooks:
    """Of the reference tracker."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.memory = FrailMemory()
        self.memory.world = world

    def tracker(self) -> MemoryTracker:
        return MemoryTracker(self.memory, self._world.wall)

    def free_lock(self, tracker: Tracker) -> None:
        drivers = self.memory.drivers
        for sweep in [name for name, holder in drivers.items() if holder is tracker]:
            del drivers[sweep]

    def done(self) -> Mapping[str, Settled]:
        return self.memory.settled

    def attempts(self, key: str) -> tuple[Attempt, ...]:
        return self.memory.attempts.get(key, ())

    def gaps(self, sweep: str) -> Mapping[str, tuple[str, ...]]:
        known = self.memory.sweeps.get(sweep)
        return {key: one.reasons for key, one in known.gaps.items()} if known else {}

    def sweeps_of(self, key: str) -> Iterable[str]:
        return self.memory.sweeps_of(key)

    def members(self, sweep: str) -> Mapping[str, int]:
        known = self.memory.sweeps.get(sweep)
        return {key: number for key, (_, number, _) in known.members.items()} if known else {}

    def rounds(self, sweep: str) -> list[list[Ask]]:
        rounds = self.memory.sweeps[sweep].rounds
        return [rounds[number] for number in sorted(rounds)]

    def queued(self) -> Counter[tuple[str, str, str]]:
        return Counter(tuple(one) for one in self.memory.outbox.values() if one.kind != "sweep")

    def status(self, sweep: str) -> str:
        return self.memory.sweeps[sweep].record.status

    def epoch(self, sweep: str) -> int:
        return self.memory.epochs.get(sweep, 0)

    def holders(self) -> Iterable[str]:
        return list(self.memory.drivers)
