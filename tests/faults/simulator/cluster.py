"""Simulated machines, and the executor that a driver has on them.

A job is one pack on one worker. It is reported to the driver once, as the port promises; what comes
after that (a copy that ran on out of reach, a reply doubled on the way) is handed over all the
same, because the loop must not mind. Leases are judged by `plan.leases`, as on real slots.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.domain.trial import Result
from orchestrator.plan.facts import Finished, Lost, Pack, Reason, SlotsAre
from orchestrator.plan.leases import Lease
from tests.faults.simulator.science import Science, result_of
from tests.faults.simulator.world import World

if TYPE_CHECKING:
    from tests.faults.simulator.witness import Witness

LEASE_S = 2.0
GLANCE_S = 0.5
"""Between two looks at leases and deadlines, as on Ray."""

TRIAL_S = (0.02, 0.2)
NODES = 2
RESTART_S = 0.3
"""Before a new worker stands where one has died."""

FATE_S = 45.0
"""A worker that cannot hear that its driver is gone ends after so long: measured on Ray."""

WAIT_S = 5.0
"""A driver that waits looks up after so long, though the loop asked for less: time is cheap here,
and turns of the loop are not."""


@dataclass(eq=False)
class Job:
    """A pack on a worker. `began` is by the clock of leases, `since` and `silent_since` true."""

    pack: Pack
    sweep: str
    node: int
    began: float
    since: float
    lease: Lease = field(default_factory=lambda: Lease(LEASE_S))
    is_alive: bool = True
    is_reported: bool = False
    is_cut_off: bool = False
    silent_since: float | None = None
    replies: list[Callable[[], None]] = field(default_factory=list)  # held back until it is heard


class SimulatedExecutor:
    """An `Executor` of one driver. `train` makes a result; `clock` is what leases are judged by."""

    train: Callable[[str], Result] = staticmethod(result_of)

    def __init__(
        self,
        world: World,
        witness: "Witness",
        science: Science,
        sweep: str,
        epoch: int,
        slots: int,
    ) -> None:
        self._world, self._witness, self._science = world, witness, science
        self.sweep, self.epoch = sweep, epoch
        self._all_slots = slots
        self._nodes_up = [True] * NODES
        self._queue: deque[Pack] = deque()
        self._facts: list[Finished | Lost | SlotsAre] = []
        self.jobs: list[Job] = []
        self.is_over = False
        self.looks_up: Callable[[], bool] = lambda: False

    @staticmethod
    def clock(world: World) -> float:
        """The driver's monotonic clock."""
        return world.monotonic()

    # the port

    @property
    def slots(self) -> int:
        return max(1, sum(self._nodes_up[slot % NODES] for slot in range(self._all_slots)))

    def start(self, pack: Pack) -> None:
        self._witness.started(self, self.sweep, pack)
        self._queue.append(pack)
        self._assign()

    def stop(self, pack_id: str) -> None:
        for job in self._reportable():
            if job.pack.id == pack_id:
                self._lose(job, Reason.TIMED_OUT, "stopped")

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        world = self._world
        until = world.now + WAIT_S
        while True:
            self._tend()
            if self._facts or world.now >= until or self.looks_up():
                facts, self._facts = self._facts, []
                return facts
            world.pass_time(GLANCE_S)

    def close(self) -> None:
        """End every worker that can be reached; the others notice that their driver is gone."""
        self.is_over = True
        self._queue.clear()
        for job in self.jobs:
            if job.is_cut_off:
                self._world.later(FATE_S, lambda job=job: self._end(job))
            else:
                self._end(job)

    # what happens to it

    def orphaned(self) -> None:
        """The driver is gone. Its workers notice sooner or later."""
        self.is_over = True
        self._queue.clear()
        for job in self.jobs:
            delay_s = FATE_S if job.is_cut_off else self._world.dice.uniform(0.04, 2.0)
            self._world.later(delay_s, lambda job=job: self._end(job))

    def lose_node(self, node: int) -> None:
        """A machine goes, with all that runs on it, and comes back."""
        if self.is_over or not self._nodes_up[node]:
            return
        self._nodes_up[node] = False
        for job in self._reportable():
            if job.node == node:
                self._end(job)
                self._lose(job, Reason.NODE_LOST, f"node {node}")
        self._facts.append(SlotsAre(self.slots))
        self._world.later(self._world.dice.uniform(0.5, 3.0), lambda: self._node_back(node))

    def preempt(self) -> None:
        """One worker is taken away."""
        jobs = self._reportable()
        if jobs:
            job = self._world.dice.choice(jobs)
            self._end(job)
            self._lose(job, Reason.INTERRUPTED, "preempted")

    def _node_back(self, node: int) -> None:
        self._nodes_up[node] = True
        self._facts.append(SlotsAre(self.slots))
        self._assign()

    # jobs

    def _reportable(self) -> list[Job]:
        return [job for job in self.jobs if not job.is_reported]

    def _assign(self) -> None:
        while self._queue and not self.is_over:
            busy = len(self._reportable())
            if busy >= self.slots:
                return
            up = [node for node in range(NODES) if self._nodes_up[node]] or [0]
            self._run(self._queue.popleft(), up[busy % len(up)])

    def _run(self, pack: Pack, node: int) -> None:
        world = self._world
        job = Job(pack, self.sweep, node, self.clock(world), world.now)
        self.jobs = [one for one in self.jobs if one.is_alive or not one.is_reported]
        self.jobs.append(job)
        world.counts["jobs"] += 1
        world.note("{} runs on node {}: {} trials", pack.id, node, len(pack.trials))
        takes_s = sum(world.dice.uniform(*TRIAL_S) for _ in pack.trials)
        teachers = {trial.teacher.key for trial in pack.trials if trial.teacher is not None}
        missing = teachers - world.lessons
        if missing:
            world.later(takes_s / 10, lambda: self._send_back(job, tuple(sorted(missing))))
            return
        poisons = (self._science.poison_of(trial.key) for trial in pack.trials)
        poison = next((one for one in poisons if one), None)
        if poison is not None:
            self._poisoned(job, poison, takes_s * world.dice.random())
        else:
            self._sound(job, takes_s)

    def _send_back(self, job: Job, missing: tuple[str, ...]) -> None:
        """The worker lives, and says whose lessons it has not got."""
        if job.is_alive:
            self._world.counts["packs without a lesson"] += 1
            self._end(job)
            self._world.later(0.01, lambda: self._lose(job, Reason.TEACHER_MISSING, "", missing))

    def _poisoned(self, job: Job, poison: Reason, after_s: float) -> None:
        if poison is Reason.TIMED_OUT:
            self._world.note("{} hangs", job.pack.id)
        else:
            self._world.later(after_s, lambda: self._die(job, poison, "poison"))

    def _sound(self, job: Job, takes_s: float) -> None:
        world = self._world
        part_s = takes_s * world.dice.random()
        if world.strikes("worker slow"):
            takes_s *= 30.0
        if world.strikes("worker killed"):
            world.later(part_s, lambda: self._die(job, Reason.WORKER_DIED, "signal 9"))
        elif world.strikes("worker out of memory"):
            world.later(part_s, lambda: self._die(job, Reason.OUT_OF_MEMORY, "its neighbours"))
        elif world.strikes("worker frozen"):
            frozen_s = world.dice.uniform(0.1, 3.0 * LEASE_S)
            world.later(part_s, lambda: self._fall_silent(job, frozen_s, cut_off=False))
            takes_s += frozen_s
        elif world.strikes("worker cut off"):
            cut_s = world.dice.uniform(0.1, 4.0 * LEASE_S)
            world.later(part_s, lambda: self._fall_silent(job, cut_s, cut_off=True))
        world.later(takes_s, lambda: self._finish(job))

    def _fall_silent(self, job: Job, for_s: float, cut_off: bool) -> None:
        if job.is_alive:
            self._world.note("{} is {}", job.pack.id, "cut off" if cut_off else "frozen")
            job.silent_since, job.is_cut_off = self._world.now, cut_off
            self._world.later(for_s, lambda: self._answer_again(job))

    def _answer_again(self, job: Job) -> None:
        if job.is_alive:
            job.silent_since, job.is_cut_off = None, False
            replies, job.replies = job.replies, []
            if replies or job.is_reported or self.is_over:
                self._end(job)
            for reply in replies:
                reply()

    def _finish(self, job: Job) -> None:
        if not job.is_alive:
            return
        world, pack = self._world, job.pack
        job.is_alive = job.is_cut_off  # a free worker is of no interest; one out of reach is
        results = tuple(self.train(trial.key) for trial in pack.trials)
        taught = {one.key: "name" for one in pack.trials if one.cell.learner.teaches}
        world.lessons.update(key for key in taught if not world.strikes("lesson not written"))
        fact = Finished(pack.id, results, world.now - job.since, f"node {job.node}", taught)
        reply = lambda: self._receive(job, fact)
        delay_s = 0.01
        if world.strikes("reply lost"):  # it is asked for again, unless the worker dies first
            delay_s = 1.0
            if world.dice.random() < 0.3:
                world.later(0.5, lambda: self._die(job, Reason.WORKER_DIED, "after finishing"))
        if world.strikes("reply late"):
            delay_s += world.dice.uniform(0.1, 2.0)
        if job.is_cut_off:
            job.replies.append(reply)
        else:
            world.later(delay_s, reply)
        if world.strikes("reply doubled"):
            world.later(delay_s + world.dice.uniform(0.0, 3.0), reply)

    def _die(self, job: Job, reason: Reason, why: str) -> None:
        if job.is_alive or not job.is_reported:
            self._end(job)
            self._world.later(0.02, lambda: self._lose(job, reason, why))

    def _end(self, job: Job) -> None:
        job.is_alive = False

    # what the driver hears

    def _tend(self) -> None:
        """Listen for signs of life, and end those workers whose lease or time is up."""
        world, now = self._world, self.clock(self._world)
        for job in self._reportable():
            if job.silent_since is None:
                job.lease.heard()
            else:
                job.lease.asked(now)
                if job.is_cut_off:
                    job.lease.cut_off()
            verdict = job.lease.verdict(now, job.began, job.pack.deadline_s)
            if verdict is not None:
                self._witness.lease_ended(job, world.now, job.pack.deadline_s)
                job.is_alive = job.is_alive and job.is_cut_off  # nothing reaches what is cut off
                self._lose(job, *verdict)
            else:
                self._witness.lease_holds(job, world.now, job.pack.deadline_s)

    def _receive(self, job: Job, fact: Finished) -> None:
        if self.is_over:
            return
        if job.is_reported:
            self._world.counts["zombies heard"] += 1
            self._world.note("{}: another reply of {} trials", fact.pack_id, len(fact.results))
        else:
            self._witness.reported(job)
        job.is_reported = True
        self._facts.append(fact)
        self._assign()

    def _lose(self, job: Job, reason: Reason, why: str, missing: tuple[str, ...] = ()) -> None:
        if self.is_over or job.is_reported:
            return
        self._world.note("{} is lost: {}, {}", job.pack.id, reason.value, why)
        job.is_reported = True
        self._witness.lost(job, reason)
        self._facts.append(Lost(job.pack.id, reason, why, f"node {job.node}", missing))
        self._world.later(RESTART_S, self._assign)
