"""The witness: sees everything, and says which promise was broken first.

Each invariant is a function here whose docstring says what it means. They are judged by the
ledger's committed state and by what truly happened to the machines, never by what the product
believes of itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.domain.trial import Result, Trial
from orchestrator.plan.classroom import TEACHER_GIVEN_UP
from orchestrator.plan.facts import Pack, Reason
from orchestrator.ports import Settled
from orchestrator.sweep import Progress
from tests.faults.simulator.books import Books
from tests.faults.simulator.cluster import LEASE_S, Job, SimulatedExecutor
from tests.faults.simulator.science import result_of
from tests.faults.simulator.world import World

if TYPE_CHECKING:
    from tests.faults.simulator.driver import Driver

LATE_S = 2.0
"""A pack past its deadline is ended within so long."""


class Violation(AssertionError):
    """An invariant does not hold."""


def hold(condition: bool, invariant: str, words: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise Violation(f"{invariant}: {words}")


class Witness:
    """Remembers what was promised; compares it with what is."""

    def __init__(self, world: World, books: Books) -> None:
        self._world, self._books = world, books
        self._known: dict[str, Settled] = {}
        self._running: dict[tuple[str, str], tuple[SimulatedExecutor, str]] = {}
        self._charges: dict[tuple[str, int], int] = {}
        self.teachers: dict[str, str] = {}
        """Of whom each trial that was asked for learns."""
        self._taught_again: set[str] = set()

    # what it sees

    def look_at_the_ledger(self) -> None:
        """After every call of the ledger, answered or not."""
        done = self._books.done()
        if not self._known.items() <= done.items():
            for key, one in self._known.items():
                self.what_was_committed_stays(key, one, done.get(key))
        if len(done) > len(self._known):
            new = [key for key in done if key not in self._known]
            queued = self._books.queued()
            for key in new:
                self.only_the_attempt_that_held_the_lease_commits(key, done[key])
                self.done_means_whole_and_queued(key, done[key], queued)
                self._known[key] = done[key]
            self._world.counts["commits"] += len(new)

    def acknowledged(self, results: Sequence[Result]) -> None:
        """The ledger said that these are committed."""
        done = self._books.done()
        for result in results:
            known = done.get(result.key)
            hold(
                known is not None and known.result is not None and known.result.same_as(result),
                "I2",
                f"{result.key[:8]} was acknowledged and is not there",
            )

    def asked(self, trials: Sequence[Trial]) -> None:
        """These are about to be asked for."""
        self.teachers.update({one.key: one.teacher.key for one in trials if one.teacher})

    def started(self, executor: SimulatedExecutor, sweep: str, pack: Pack) -> None:
        """A pack was handed to the executor."""
        if executor.epoch != self._books.epoch(sweep):
            return  # of a driver that was replaced while it was frozen: a second copy, for a while
        done, gaps = self._books.done(), self._books.gaps(sweep)
        for key in pack.attempts:
            self.nothing_settled_is_started(key, key in done)
            self.nothing_given_up_is_started(key, key in gaps)
            self.one_lease_at_a_time(sweep, key)
            self._running[sweep, key] = (executor, pack.id)
            self.nobody_learns_before_the_teacher_has_taught(key, done)
        self.only_those_are_started_again_who_teach(pack, done)

    def reported(self, job: Job) -> None:
        """The driver is about to hear of a pack."""
        for key in job.pack.attempts:
            found = self._running.get((job.sweep, key))
            if found is not None and found[1] == job.pack.id:
                del self._running[job.sweep, key]

    def lost(self, job: Job, reason: Reason) -> None:
        """The driver is about to hear that a pack was lost."""
        self.reported(job)
        charge = int(len(job.pack.trials) == 1 and not reason.is_disruption)
        for key, attempt in job.pack.attempts.items():
            self._charges[key, attempt] = charge
        self._world.counts["charges"] += charge

    # I1, I2: commits

    def what_was_committed_stays(self, key: str, was: Settled, now: Settled | None) -> None:
        """I1, I2: a key is committed at most once, and what was committed is in every later state
        of the ledger, unchanged."""
        hold(now is not None, "I2", f"{key[:8]} was committed and is gone")
        hold(now == was, "I1", f"{key[:8]} was committed twice: {was} and {now}")

    def only_the_attempt_that_held_the_lease_commits(self, key: str, one: Settled) -> None:
        """I1: the attempt that a result names was open until this very commit, and no other attempt
        of the trial was ever committed."""
        committed = [a.attempt for a in self._books.attempts(key) if a.reason == "committed"]
        hold(
            committed == [one.attempt],
            "I1",
            f"{key[:8]} has the result of attempt {one.attempt}; those committed: {committed}",
        )

    # I3: leases

    def nothing_settled_is_started(self, key: str, is_done: bool) -> None:
        """I3: a committed trial is never started again."""
        hold(not is_done, "I3", f"{key[:8]} is committed and was started")

    def one_lease_at_a_time(self, sweep: str, key: str) -> None:
        """I3: no trial is started while its sweep's driver waits for an earlier start of it."""
        other = self._running.get((sweep, key))
        if other is not None:
            executor, pack_id = other
            is_waited_for = not executor.is_over and executor.epoch == self._books.epoch(sweep)
            hold(not is_waited_for, "I3", f"{key[:8]} was started while {pack_id} had its lease")

    def nobody_learns_before_the_teacher_has_taught(
        self, key: str, done: Mapping[str, Settled]
    ) -> None:
        """I10: a trial that learns from another is started when that one is committed."""
        teacher = self.teachers.get(key)
        hold(teacher is None or teacher in done, "I10", f"{key[:8]} was started before its teacher")

    def only_those_are_started_again_who_teach(
        self, pack: Pack, done: Mapping[str, Settled]
    ) -> None:
        """I10: what is committed is started again only for what it taught, where that is lost."""
        for trial in pack.trials:
            again = trial.key not in pack.attempts
            hold(not again or trial.cell.learner.teaches, "I10", f"{trial.key[:8]} runs again")
            if again:
                self._taught_again.add(trial.key)

    def lease_ended(self, job: Job, now: float, deadline_s: float) -> None:
        """I3: a lease ends when its worker was truly silent for so long, or its pack truly took too
        long, and never before."""
        silent_s = 0.0 if job.silent_since is None else now - job.silent_since
        hold(
            silent_s > LEASE_S or now - job.since > deadline_s,
            "I3",
            f"{job.pack.id} lost its lease after {silent_s:.1f} s of silence",
        )

    def lease_holds(self, job: Job, now: float, deadline_s: float) -> None:
        """I7: a pack past its deadline is ended within two seconds of it."""
        hold(
            now - job.since <= deadline_s + LATE_S,
            "I7",
            f"{job.pack.id} runs for {now - job.since:.1f} s and may go on",
        )

    # I4: transactions

    def done_means_whole_and_queued(
        self, key: str, one: Settled, queued: Counter[tuple[str, str, str]]
    ) -> None:
        """I4: a trial is done if and only if its whole result is there and MLflow will be told,
        once for every sweep that asked for it."""
        hold(
            one.result is not None and one.result.same_as(result_of(key)),
            "I5",
            f"{key[:8]} has another result than its key gives: {one.result}",
        )
        for sweep in self._books.sweeps_of(key):
            count = queued[sweep, "trial", key]
            hold(count == 1, "I4", f"{key[:8]} is done and queued {count} times for {sweep}")

    def nothing_else_is_queued(self) -> None:
        """I4: MLflow is told of no trial that is not done, and of no gap that is none."""
        done = self._books.done()
        for (sweep, kind, key), count in self._books.queued().items():
            there = done if kind == "trial" else self._books.gaps(sweep)
            hold(count == 1 and key in there, "I4", f"{kind} {key[:8]} is queued {count} times")

    # I5: search

    def proposed(self, sweep: str, number: int) -> None:
        """I5: a round is proposed only from results that are committed: all of those of the rounds
        up to the one before the last."""
        done, gaps = self._books.done(), self._books.gaps(sweep)
        for key, asked in self._books.members(sweep).items():
            if asked <= number - 2:
                hold(
                    key in done or key in gaps, "I5", f"round {number} does not wait for {key[:8]}"
                )

    def told(self, sweep: str, progress: Progress) -> None:
        """I5: nobody is told of an answer that is not committed."""
        done, gaps = self._books.done(), self._books.gaps(sweep)
        settled = sum(key in done or key in gaps for key in self._books.members(sweep))
        hold(
            progress.answered + progress.gaps <= settled,
            "I5",
            f"{progress.answered + progress.gaps} are said to be settled and {settled} are",
        )

    # I8: charges

    def nothing_given_up_is_started(self, key: str, is_gap: bool) -> None:
        """I8: a trial that its sweep gave up is never started by it again."""
        hold(not is_gap, "I8", f"{key[:8]} was given up and was started")

    def charges_are_just(self, sweep: str) -> None:
        """I8: a trial is charged for what it did alone, never for a disruption; it is given up
        after three charges, two for memory, one for an error, and not before."""
        gaps = self._books.gaps(sweep)
        members = self._books.members(sweep)
        for key in {*members, *(self.teachers[one] for one in members if one in self.teachers)}:
            charged = []
            for one in self._books.attempts(key):
                if one.charge and one.sweep == sweep:
                    just = self._charges.get((key, one.attempt), 0)
                    hold(one.charge == just, "I8", f"{key[:8]} was charged for {one.reason}")
                    charged.append(one.reason)
            hold(len(charged) <= 3, "I8", f"{key[:8]} was charged {len(charged)} times")
            if key in gaps and gaps[key][0].startswith(TEACHER_GIVEN_UP):
                found = {*gaps, *self._taught_again}  # not even again: that is charged to nobody
                hold(self.teachers.get(key) in found, "I8", f"{key[:8]} has a teacher")
            elif key in gaps:
                hold(tuple(charged) == gaps[key], "I8", f"{key[:8]} is a gap for {gaps[key]}")
                hold(_is_enough(charged), "I8", f"{key[:8]} was given up after {charged}")

    # I9: leaks

    def nothing_is_left(self, driver: "Driver") -> None:
        """I9: when a driver has ended by itself nothing of it runs that can be reached, and no
        attempt of its sweep is under way."""
        jobs = driver.executor.jobs if driver.executor else []
        hold(
            not any(job.is_alive and not job.is_cut_off for job in jobs), "I9", "a worker was left"
        )
        self.no_attempt_is_open(driver.spec.id)

    def no_attempt_is_open(self, sweep: str) -> None:
        """I9: every attempt of the sweep has ended."""
        members = self._books.members(sweep)
        for key in {*members, *(self.teachers[one] for one in members if one in self.teachers)}:
            for one in self._books.attempts(key):
                is_over = one.ended is not None or one.sweep != sweep
                hold(is_over, "I9", f"attempt {one.attempt} of {key[:8]} was left open")


def _is_enough(reasons: Sequence[str | None]) -> bool:
    kinds = Counter((reason or "").split(":")[0] for reason in reasons)
    return (
        sum(kinds.values()) >= 3
        or kinds[Reason.OUT_OF_MEMORY.value] >= 2
        or kinds[Reason.RAISED.value] >= 1
    )
