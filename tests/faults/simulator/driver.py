"""A simulated driver process: what `api.run` does, one turn of the real loop at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import Interrupted, LedgerUnreachable, PhasefrontError
from orchestrator.plan.reuse import Reusable, Wanted, wanted
from orchestrator.ports import NO_LESSONS, Ask, Settled, SweepRecord, SweepStatus, Tracker
from orchestrator.sweep import Progress, Sweep
from tests.faults.simulator.cluster import SimulatedExecutor
from tests.faults.simulator.science import Asking, Science
from tests.faults.simulator.world import Crash

if TYPE_CHECKING:
    from tests.faults.simulator.simulation import Simulation

PUBLISH_S = 5.0
"""Between figures of the sweep as a whole, as in `api.running`."""

_T = TypeVar("_T")

_WANTED: dict[str, list[Wanted]] = {}


def _wanted(science: Science, name: str) -> list[Wanted]:
    spec = science.spec(name)
    if spec.id not in _WANTED:
        _WANTED[spec.id] = wanted(spec)
    return _WANTED[spec.id]


class Driver:
    """Answers one sweep until it is answered, asked to stop, or dead."""

    def __init__(self, simulation: "Simulation", name: str, tracker: Tracker) -> None:
        self.simulation, self.name = simulation, name
        self.spec = simulation.science.spec(name)
        self.tracker = tracker
        self.is_over = False
        self.is_asked_to_stop: SweepStatus | None = None
        self.executor: SimulatedExecutor | None = None
        self._sweep: Sweep | None = None
        self._published = 0.0

    def turn(self) -> None:
        """Open the sweep, or take one turn of the loop; then whatever follows from it."""
        world = self.simulation.world
        try:
            if self._sweep is None:
                self._open()
            elif self._sweep.step():
                self._finish()
        except Crash as crash:
            world.note("driver of {} dies at {}", self.name, crash)
            self._die()
        except PhasefrontError as error:
            world.note("driver of {} stops: {}", self.name, error)
            self._give_up(error)

    def _open(self) -> None:
        simulation = self.simulation
        record = SweepRecord(
            self.spec.id, self.name, self.spec.canonical, "", "running", simulation.world.wall()
        )
        watched = Watched(self)
        watched.open(record)
        watched.reusable(_wanted(simulation.science, self.name), self.spec.seed)
        simulation.world.note("driver of {} holds it", self.name)
        self.executor = simulation.make_executor(
            simulation.world,
            simulation.witness,
            simulation.science,
            self.spec.id,
            simulation.books.epoch(self.spec.id),
            simulation.slots,
        )
        self.executor.looks_up = self._looks_up
        self._sweep = Sweep(
            self.spec,
            tracker=watched,
            executor=self.executor,
            proposer=Asking(simulation.science, self.name),
            watch=lambda progress: self._publish(watched, progress),
            interrupted=lambda: self.is_asked_to_stop is not None,
            clock=simulation.world.monotonic,
        )
        self._sweep.begin()

    def _publish(self, tracker: "Watched", progress: Progress) -> None:
        world = self.simulation.world
        self.simulation.witness.told(self.spec.id, progress)
        if not progress.running or world.now - self._published >= PUBLISH_S:
            self._published = world.now
            tracker.publish({"trials": float(progress.answered)}, {})

    def _looks_up(self) -> bool:
        if self.simulation.world.strikes("driver killed while it waits"):
            self.simulation.world.counts["crashes"] += 1
            raise Crash("a wait")
        return self.is_asked_to_stop is not None

    def _finish(self) -> None:
        assert self._sweep is not None
        assert self.executor is not None
        self.executor.close()
        self.tracker.finish("finished", self._sweep.stopped_by)
        self.tracker.close()
        self._end(answered=True)

    def _give_up(self, error: PhasefrontError) -> None:
        """As `api.running` does: nothing runs afterwards, and the status says how it ended."""
        status: SweepStatus = "failed"
        if isinstance(error, Interrupted):
            status = self.is_asked_to_stop or "interrupted"
        if self.executor is not None:
            self.executor.close()
        try:
            if self._sweep is not None:
                self.tracker.finish(status, None)
                self.simulation.witness.nothing_is_left(self)
        except PhasefrontError:
            pass
        except Crash:
            self._die()
            return
        self.tracker.close()
        self._end()

    def _die(self) -> None:
        if self.executor is not None:
            self.executor.orphaned()
        self.simulation.books.free_lock(self.tracker)
        self._end()

    def _end(self, answered: bool = False) -> None:
        self.is_over = True
        self.simulation.ended(self, answered)


class Watched:
    """A driver's tracker, with a witness beside it and faults at every call."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._tracker = driver.tracker
        self._witness = driver.simulation.witness
        self._sweep = driver.spec.id

    def open(self, record: SweepRecord) -> SweepRecord:
        return self._call(lambda: self._tracker.open(record))

    def rounds(self) -> list[list[Ask]]:
        return self._call(self._tracker.rounds, writes=False)

    def record_round(
        self, number: int, asks: Sequence[Ask], trials: Sequence[tuple[int, Trial]]
    ) -> None:
        self._witness.proposed(self._sweep, number)
        self._witness.asked([trial for _, trial in trials])
        self._call(lambda: self._tracker.record_round(number, asks, trials))

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        return self._call(lambda: self._tracker.reusable(arms, seed))

    def publish(self, metrics: Mapping[str, float], artifacts: Mapping[str, bytes]) -> None:
        self._call(lambda: self._tracker.publish(metrics, artifacts))

    def answered(self, keys: Sequence[str]) -> set[str]:
        return self._call(lambda: self._tracker.answered(keys), writes=False)

    def settled(self, keys: Sequence[str]) -> dict[str, Settled]:
        return self._call(lambda: self._tracker.settled(keys), writes=False)

    def begin(self, keys: Sequence[str]) -> dict[str, int]:
        return self._call(lambda: self._tracker.begin(keys))

    def commit(
        self,
        results: Sequence[Result],
        attempts: Mapping[str, int],
        where: str = "",
        lessons: Mapping[str, str] = NO_LESSONS,
    ) -> list[str]:
        refused = self._call(lambda: self._tracker.commit(results, attempts, where, lessons))
        self._witness.acknowledged([one for one in results if one.key not in refused])
        return refused

    def charge(self, *words: Any) -> None:
        self._call(lambda: self._tracker.charge(*words))

    def charges(self, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return self._call(lambda: self._tracker.charges(keys), writes=False)

    def give_up(self, key: str, reasons: Sequence[str]) -> None:
        self._call(lambda: self._tracker.give_up(key, reasons))

    def _call(self, call: Callable[[], _T], writes: bool = True) -> _T:
        simulation = self._driver.simulation
        if simulation.world.strikes("driver frozen and replaced"):
            simulation.replace(self._driver)
        if simulation.world.strikes("ledger does not answer"):
            raise LedgerUnreachable("the ledger does not answer")
        try:
            answer = call()
        finally:
            if writes:
                self._witness.look_at_the_ledger()
        if simulation.world.strikes("answer of the ledger lost"):
            raise LedgerUnreachable("the ledger's answer is lost")
        return answer
