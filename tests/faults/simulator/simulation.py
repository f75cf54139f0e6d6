"""One seed, from the first driver to the last check."""

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator import failpoints
from orchestrator.errors import SweepInUse
from orchestrator.ports import Ask, SweepRecord
from tests.faults.simulator.books import Books, MemoryBooks
from tests.faults.simulator.cluster import LEASE_S, NODES, SimulatedExecutor
from tests.faults.simulator.driver import Driver
from tests.faults.simulator.science import MINUTES, MOST_TRIALS, Science
from tests.faults.simulator.witness import Violation, Witness, hold
from tests.faults.simulator.world import NOW_AND_THEN, STORM_S, Crash, World, faults_of

MAIN, EDITED = "asked", "edited"

SALTS = 24
"""Different sciences; each needs one run without faults, to compare with."""

GRACE_S = 60.0
"""What ends without help, ends within so long after the last driver."""

MakeExecutor = Callable[[World, Witness, Science, str, int, int], Any]
"""An executor of a driver: world, witness, science, sweep, epoch, slots."""

Answer = tuple[list[list[Ask]], dict[str, object]]


@dataclass(frozen=True)
class Found:
    """What became of a seed."""

    seed: int
    counts: Mapping[str, int]
    violation: str
    world: World

    @property
    def story(self) -> str:
        """What happened, as somebody who has to find the fault reads it."""
        faults = ", ".join(sorted(self.world.faults))
        verdict = self.violation or "no violation"
        lines = [f"seed {self.seed}; faults: {faults}", *self.world.history, verdict]
        return "\n".join(lines)


class Simulation:
    """A world with drivers in it. `make_books` makes the ledger."""

    def __init__(
        self,
        seed: int,
        faults: Mapping[str, float],
        make_books: Callable[[World], Books] = MemoryBooks,
        salt: int | None = None,
        make_executor: MakeExecutor = SimulatedExecutor,
    ) -> None:
        self.make_executor = make_executor
        self.world = World(seed, faults)
        self.science = Science(seed % SALTS if salt is None else salt)
        self.books = make_books(self.world)
        self.witness = Witness(self.world, self.books)
        self.slots = 1 + seed % 3
        self._drivers: list[Driver] = []
        self._left: set[str] = set()
        self._past: list[Driver] = []
        self._is_nested = False

    # the play

    def run(self, names: tuple[str, ...] = (MAIN,)) -> None:
        """Until every sweep is answered and no driver is left; raises `Violation`."""
        with self._failing():
            for name in names:
                self._spawn(name)
            for fault in NOW_AND_THEN:
                self._schedule(fault)
            while self._left or self._drivers:  # who was replaced has yet to hear of it
                self._turn()
                self.everything_ends()
            self.world.is_stormy = False
            self.world.note("-- all answered --")
            self.world.let_pass(GRACE_S)
        self.nothing_is_left_in_the_end()
        self.witness.look_at_the_ledger()
        self.witness.nothing_else_is_queued()
        told = getattr(self.books, "mlflow_is_told_everything", lambda sweep: None)
        for driver in {one.name: one for one in self._past}.values():
            self.witness.charges_are_just(driver.spec.id)
            self.witness.no_attempt_is_open(driver.spec.id)
            told(driver.spec.id)
            if self.world.faults:
                self.the_search_went_as_without_faults(driver.name)

    def _turn(self) -> None:
        if not self._drivers:
            self.world.pass_time(1.0)
            return
        self.world.dice.choice(self._drivers).turn()

    def _spawn(self, name: str) -> Driver:
        self._left.add(name)  # even one that was answered: it is open again
        driver = Driver(self, name, self.books.tracker())
        self.world.counts["drivers"] += 1
        self._drivers.append(driver)
        self._past.append(driver)
        return driver

    def ended(self, driver: Driver, answered: bool) -> None:
        """A driver is gone; unless it answered its sweep, somebody resumes it later."""
        self._drivers.remove(driver)
        if answered:
            self._left.discard(driver.name)
        else:
            self.world.later(self.world.dice.uniform(0.1, 2.0), lambda: self._resume(driver.name))

    def _resume(self, name: str) -> None:
        if name in self._left and not any(one.name == name for one in self._drivers):
            self._spawn(name)

    # faults

    @contextmanager
    def _failing(self) -> Iterator[None]:
        failpoints.listen(self)
        try:
            yield
        finally:
            failpoints.listen(None)

    def reach(self, name: str) -> None:
        """A failpoint was reached, by the driver whose turn it is."""
        if self.world.strikes(name):
            self.world.counts["crashes"] += 1
            raise Crash(name)

    def replace(self, victim: Driver) -> None:
        """The driver stands still and loses its lock unnoticed; another takes its place."""
        if self._is_nested or victim.executor is None:
            return
        self.world.note("driver of {} stands still; another is started", victim.name)
        self.books.free_lock(victim.tracker)
        self._is_nested = True
        try:
            other = self._spawn(victim.name)
            for _ in range(self.world.dice.randint(1, 8)):
                if not other.is_over:
                    other.turn()
        finally:
            self._is_nested = False
        self.world.note("the driver that stood still goes on")

    def _schedule(self, fault: str) -> None:
        rate = self.world.faults.get(fault)
        if rate and self.world.is_stormy:
            self.world.later(self.world.dice.expovariate(rate), lambda: self._strike(fault))

    def _strike(self, fault: str) -> None:
        if not self.world.is_stormy:
            return
        self.world.counts[fault] += 1
        self.world.note("-- {} --", fault)
        dice = self.world.dice
        executors = [one.executor for one in self._drivers if one.executor]
        match fault:
            case "Ctrl-C" | "cancel" if self._drivers:
                stopped = dice.choice(self._drivers)
                stopped.is_asked_to_stop = "interrupted" if fault == "Ctrl-C" else "cancelled"
            case "second driver":
                self._try_to_drive_too()
            case "node lost" if executors:
                dice.choice(executors).lose_node(dice.randrange(NODES))
            case "worker preempted" if executors:
                dice.choice(executors).preempt()
            case "wall clock jumps":
                self.world.wall_offset_s += dice.choice((-3600.0, 3600.0))
            case "lesson lost" if self.world.lessons:
                self.world.lessons.discard(dice.choice(sorted(self.world.lessons)))
            case "another sweep" if EDITED not in {one.name for one in self._past}:
                self._spawn(EDITED)
        self._schedule(fault)

    def _try_to_drive_too(self) -> None:
        for name in (MAIN, EDITED):
            spec = self.science.spec(name)
            if spec.id not in self.books.holders():
                continue
            record = SweepRecord(spec.id, name, spec.canonical, "", "running", self.world.wall())
            try:
                self.books.tracker().open(record)
            except SweepInUse:
                continue
            raise Violation(f"I3: two drivers hold {name}")

    # at the end

    def everything_ends(self) -> None:
        """I7: once nothing goes wrong any more, two sweeps take no longer than their trials would
        if each were given up after three attempts that hang."""
        bound_s = STORM_S + 2 * 3 * MOST_TRIALS * (60.0 * MINUTES + LEASE_S) / self.slots + GRACE_S
        hold(self.world.now < bound_s, "I7", f"not answered after {self.world.now:.0f} s")

    def nothing_is_left_in_the_end(self) -> None:
        """I9: a minute after the last driver no worker lives and no sweep is held."""
        jobs = (job for one in self._past if one.executor for job in one.executor.jobs)
        hold(not any(job.is_alive for job in jobs), "I9", "a worker lives")
        hold(not list(self.books.holders()), "I9", "a sweep is held")

    def _is_sound(self, key: str, teacher: str) -> bool:
        """Whether neither a trial nor whom it learns from is poison."""
        return self.science.poison_of(key) is None and self.science.poison_of(teacher) is None

    def the_search_went_as_without_faults(self, name: str) -> None:
        """I5: the same trials were asked for and have the same results as if nothing had gone
        wrong, unless machines made gaps."""
        sweep = self.science.spec(name).id
        gaps = self.books.gaps(sweep)
        culprits = [self.witness.teachers.get(key, key) for key in gaps]
        if any(map(self._is_sound, [*gaps], culprits)):
            self.world.counts["gaps made by machines"] += 1
            return
        rounds, answers = answer_of(self, name)
        expected_rounds, expected = expected_of(self.science.salt, name)
        hold(rounds == expected_rounds, "I5", f"{name} asked for {rounds}, not {expected_rounds}")
        hold(answers == expected, "I5", f"{name} has other answers than without faults")
        hold(self.books.status(sweep) == "finished", "I7", f"{name} did not finish")


def answer_of(simulation: Simulation, name: str) -> Answer:
    """What a sweep asked for, and what came of it: measures by key, None for a gap."""
    books, sweep = simulation.books, simulation.science.spec(name).id
    done = books.done()
    members = books.members(sweep)
    return books.rounds(sweep), {key: done[key].result if key in done else None for key in members}


@cache
def expected_of(salt: int, name: str) -> Answer:
    """The same without faults."""
    simulation = Simulation(0, {}, salt=salt)
    simulation.run((name,))
    return answer_of(simulation, name)


def remember_references() -> None:
    """Play every science without faults, before anything is patched."""
    for salt in range(SALTS):
        for name in (MAIN, EDITED):
            expected_of(salt, name)


def simulate(
    seed: int,
    make_books: Callable[[World], Books] = MemoryBooks,
    but: Collection[str] = (),
    make_executor: MakeExecutor = SimulatedExecutor,
) -> Found:
    """Play one seed, without some of its faults if asked."""
    simulation = Simulation(seed, faults_of(seed, but), make_books, make_executor=make_executor)
    violation = ""
    try:
        simulation.run()
    except Violation as broken:
        violation = str(broken)
    except Exception:  # the product must not raise what it does not handle itself
        violation = traceback.format_exc()
    return Found(seed, simulation.world.counts, violation, simulation.world)


def with_fewest_faults(
    seed: int,
    make_books: Callable[[World], Books] = MemoryBooks,
    make_executor: MakeExecutor = SimulatedExecutor,
) -> Found:
    """The same violation with those faults left out that it does not need."""
    found, out = simulate(seed, make_books, (), make_executor), set[str]()
    for fault in faults_of(seed):
        calmer = simulate(seed, make_books, {*out, fault}, make_executor)
        if calmer.violation[:2] == found.violation[:2]:
            found, out = calmer, {*out, fault}
    return found
