"""Planted faults of the product: tests that let one of them live would prove nothing.

Each is a small patch of real code, and breaks one thing that the promise rests on.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator.domain.trial import Result
from orchestrator.engine import slot
from orchestrator.plan.classroom import Classroom
from orchestrator.plan.facts import Finished
from orchestrator.plan.rounds import Rounds
from orchestrator.sweep import Sweep
from orchestrator.tracking import MemoryTracker, fence, outbox
from tests.faults.simulator.cluster import SimulatedExecutor
from tests.faults.simulator.science import result_of
from tests.faults.simulator.world import World

Mutant = Callable[[pytest.MonkeyPatch], None]


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Whoever reports an open trial may commit it, under whichever attempt, holding the sweep or
    not.
    """

    def accept(
        results: Sequence[Result],
        attempts: Mapping[str, int],
        begun: Mapping[str, int],
        is_open: Callable[[str], bool],
    ) -> fence.Verdict:
        accepted = {result.key: result for result in results if is_open(result.key)}
        return fence.Verdict(accepted, [one.key for one in results if one.key not in accepted])

    @contextmanager
    def writing(self: MemoryTracker, what: str) -> Iterator[None]:
        with self._transaction(what):
            yield

    patch.setattr(fence, "judge", accept)
    patch.setattr(MemoryTracker, "_writing", writing)


def no_transaction(patch: pytest.MonkeyPatch) -> None:
    """A commit settles a trial, ends its attempt and queues it for MLflow one by one."""
    transaction = MemoryTracker._transaction

    @contextmanager
    def piecemeal(self: MemoryTracker, what: str) -> Iterator[None]:
        if what == "commit":
            try:
                yield
            finally:
                self.memory._undo.clear()
        else:
            with transaction(self, what):
                yield

    patch.setattr(MemoryTracker, "_transaction", piecemeal)


def told_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The search hears of results, and asks on, before they are committed."""
    commit = Sweep._commit

    def tell_first(self: Sweep, fact: Finished) -> None:
        if fact.pack_id in self._started:
            for result in fact.results:
                self._rounds.settle(result.key, self._judged(result))
            self._propose()
        commit(self, fact)

    patch.setattr(Sweep, "_commit", tell_first)


def wall_clock_leases(patch: pytest.MonkeyPatch) -> None:
    """Leases and deadlines are counted by a clock that jumps."""
    patch.setattr(SimulatedExecutor, "clock", staticmethod(World.wall))


def seeds_by_arrival(patch: pytest.MonkeyPatch) -> None:
    """A trial's randomness is that of the trials trained before it, not that of its key."""
    arrived = itertools.count()

    def train(key: str) -> Result:
        shuffled = result_of(f"{next(arrived):08x}")
        return Result(key, shuffled.outcome, shuffled.measures, shuffled.seconds)

    patch.setattr(SimulatedExecutor, "train", staticmethod(train))


def impatient_students(patch: pytest.MonkeyPatch) -> None:
    """Trials do not wait for their teachers."""
    patch.setattr(Classroom, "seat", lambda self, trials: ([*trials], []))


def search_by_arrival(patch: pytest.MonkeyPatch) -> None:
    """A round is computed from whatever has arrived, not from the rounds before the last."""
    patch.setattr(Rounds, "before_last", Rounds.so_far)


def marked_before_sent(patch: pytest.MonkeyPatch) -> None:
    """What is read from the outbox is marked as told there and then."""
    read = outbox.cell_news

    def read_and_mark(connection: Connection, sweep: str, cells: Sequence[str]) -> Any:
        news = read(connection, sweep, cells)
        outbox.mark_told(connection, [entry for one in news for entry in one.entries])
        return news

    patch.setattr(outbox, "cell_news", read_and_mark)


def answered_twice(patch: pytest.MonkeyPatch) -> None:
    """A slot forgets that it has answered for a pack that it ended."""
    forgetful = property(lambda self: False, lambda self, value: None)
    patch.setattr(slot.Handed, "stopped", forgetful)


MUTANTS_OF_THE_EXECUTOR: tuple[Mutant, ...] = (answered_twice,)
"""Played with the executor of Ray."""

MUTANTS_OF_THE_MIRROR: tuple[Mutant, ...] = (marked_before_sent,)
"""Played on the real ledger, where the real mirror is."""

MUTANTS: tuple[Mutant, ...] = (
    no_fence,
    no_transaction,
    told_before_commit,
    wall_clock_leases,
    seeds_by_arrival,
    search_by_arrival,
    impatient_students,
)
