"""A simulated Ray under the real executor: actors, references, lost replies, silent workers.

The executor's code is the product's, slots and all; what stands in for Ray here answers as Ray was
measured to: a call of an actor that died raises, one that was cut off may raise though the actor
lives, and a finished pack's reply can be lost on the way.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray import exceptions

from orchestrator.domain.trial import Trial
from orchestrator.engine import ray_executor, slot
from orchestrator.engine.ray_executor import RayExecutor
from orchestrator.engine.receipt import Receipt, trials_of
from orchestrator.plan.facts import Finished, Lost, Pack, Reason, SlotsAre
from tests.faults.simulator.cluster import FATE_S, LEASE_S, NODES, TRIAL_S, Job
from tests.faults.simulator.science import Science, result_of
from tests.faults.simulator.witness import Witness, hold
from tests.faults.simulator.world import World

PULSE_S = 0.5
START_S = (0.05, 0.5)
LATENCY_S = 0.01
FUSE_S = 1.0
"""Past the deadline, when a worker ends by itself."""


class Reference:
    """What a call of an actor gives: later a value or an error."""

    def __init__(self) -> None:
        self.is_ready = False
        self.value: Any = None
        self.error: BaseException | None = None

    def answer(self, value: Any = None, error: BaseException | None = None) -> None:
        if not self.is_ready:
            self.is_ready, self.value, self.error = True, value, error

    def lose(self) -> None:
        self.error = exceptions.ObjectLostError("", None, "")


class Actor:
    """One slot's process: trains packs one after another, answers for itself beside it."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self._cluster, self._world = cluster, cluster.world
        self.node = number % NODES
        self.at = f"node-{self.node}/{number}"
        self.is_alive, self.is_killed = True, False
        self.is_frozen, self.is_cut_off = False, False
        self._queue: deque[tuple[Mapping[str, Any], Reference]] = deque()
        self._training: tuple[Mapping[str, Any], Reference] | None = None
        self._receipts: dict[str, Receipt] = {}
        self._dropped: set[str] = set()
        self._held: list[Callable[[], None]] = []
        self._open: list[Reference] = []
        self._born = self._world.now + self._world.dice.uniform(*START_S)
        for name in ("train", "pulse", "hello", "recall", "drop"):
            method = getattr(self, f"_{name}")
            remote = lambda *words, method=method: self._call(method, words)
            setattr(self, name, SimpleNamespace(remote=remote))
        self.teach = SimpleNamespace(remote=self._call_to_teach)

    # calls

    def _call(self, method: Callable[..., None], words: tuple[Any, ...]) -> Reference:
        reference = Reference()
        self._open = [one for one in self._open if not one.is_ready]
        self._open.append(reference)
        delay_s = max(LATENCY_S, self._born - self._world.now)
        self._world.later(delay_s, lambda: self._arrive(method, words, reference))
        return reference

    def _call_to_teach(self, request: Mapping[str, Any]) -> tuple[Reference, Reference]:
        """What was taught is one more value, which lives where it was made."""
        taught = Reference()
        return self._call(self._train, ({**request, "taught": taught},)), taught

    def _arrive(
        self, method: Callable[..., None], words: tuple[Any, ...], reference: Reference
    ) -> None:
        if not self.is_alive:
            reference.answer(error=exceptions.ActorDiedError())
        elif self.is_cut_off:
            reference.answer(error=exceptions.ActorUnavailableError("cut off", None))
        elif self.is_frozen:
            self._held.append(lambda: self._arrive(method, words, reference))
        else:
            method(*words, reference)

    def _reply(self, reference: Reference, value: Any) -> None:
        """Unless it is lost on the way, which a caller hears of."""
        if self.is_cut_off or (value != {} and self._world.strikes("reply lost")):
            reference.answer(error=exceptions.ActorUnavailableError("reply lost", None))
        else:
            self._world.later(LATENCY_S, lambda: reference.answer(value))

    def _pulse(self, reference: Reference) -> None:
        self._reply(reference, len(self._receipts))

    def _hello(self, reference: Reference) -> None:
        self._reply(reference, {"pid": 0, "at": self.at})

    def _recall(self, pack_id: str, reference: Reference) -> None:
        self._reply(reference, self._receipts.get(pack_id))

    def _drop(self, pack_id: str, reference: Reference) -> None:
        is_training = self._training is not None and self._training[0]["id"] == pack_id
        if is_training or pack_id in self._receipts:
            self._reply(reference, False)
        else:
            self._dropped.add(pack_id)
            self._reply(reference, True)

    def _train(self, request: Mapping[str, Any], reference: Reference) -> None:
        self._queue.append((request, reference))
        self._next()

    # training

    def _next(self) -> None:
        while self._queue and self._training is None:
            request, reference = self._queue.popleft()
            if request["id"] in self._dropped:
                self._dropped.remove(request["id"])
                self._reply(reference, {})
            else:
                self._training = (request, reference)
                self._run(self._training)

    def _run(self, job: tuple[Mapping[str, Any], Reference]) -> None:
        world, request = self._world, job[0]
        trials = trials_of(request)
        keys = [trial.key for trial in trials]
        self._cluster.note_run(request["id"], self, keys)
        takes_s = sum(world.dice.uniform(*TRIAL_S) for _ in keys)
        part_s = takes_s * world.dice.random()
        missing = self._missing(trials, request.get("lessons", {}))
        if missing:
            world.counts["packs without a lesson"] += 1
            receipt = {"reason": Reason.TEACHER_MISSING.value, "detail": "", "where": self.at}
            world.later(part_s, lambda: self._finish(job, {**receipt, "missing": missing}))
            return
        poisons = (self._cluster.science.poison_of(key) for key in keys)
        poison = next((one for one in poisons if one), None)
        fuse_s = request["deadline_s"] + FUSE_S
        world.later(fuse_s, lambda: self._die_in(job, exceptions.ActorDiedError()))
        if poison is Reason.TIMED_OUT:
            return
        if poison is Reason.RAISED:
            receipt = {"reason": poison.value, "detail": "poison", "where": self.at}
            world.later(part_s, lambda: self._finish(job, receipt))
            return
        if poison is not None:
            world.later(part_s, lambda: self._die_in(job, _death(poison)))
            return
        if world.strikes("worker slow"):
            takes_s *= 30.0
        if world.strikes("worker killed"):
            world.later(part_s, lambda: self._die_in(job, _death(Reason.WORKER_DIED)))
        elif world.strikes("worker out of memory"):
            world.later(part_s, lambda: self._die_in(job, _death(Reason.OUT_OF_MEMORY)))
        elif world.strikes("worker frozen"):
            frozen_s = world.dice.uniform(0.1, 3.0 * LEASE_S)
            world.later(part_s, lambda: self._freeze(frozen_s))
            takes_s += frozen_s
        elif world.strikes("worker cut off"):
            cut_s = world.dice.uniform(0.1, 4.0 * LEASE_S)
            world.later(part_s, lambda: self._cut_off(cut_s))
        results = [result_of(key) for key in keys]
        receipt = {
            "seconds": takes_s,
            "where": self.at,
            "results": [(str(one.outcome), dict(one.measures), one.seconds, {}) for one in results],
            "steps": [],
            "lessons": {one.key: "name" for one in trials if one.cell.learner.teaches},
        }
        world.later(takes_s, lambda: self._finish(job, receipt))

    def _finish(self, job: tuple[Mapping[str, Any], Reference], receipt: Receipt) -> None:
        if self.is_alive and self._training is job:
            self._training = None
            self._keep(receipt.get("lessons", ()), job[0].get("taught"))
            self._receipts[job[0]["id"]] = receipt
            self._reply(job[1], receipt)
            self._next()

    def _missing(self, trials: Sequence[Trial], references: Mapping[str, Reference]) -> list[str]:
        teachers = {one.teacher.key for one in trials if one.teacher is not None}
        handed = {key for key, one in references.items() if one.is_ready and one.error is None}
        return sorted(teachers - handed - self._world.lessons)

    def _keep(self, lessons: Iterable[str], taught: Reference | None) -> None:
        world = self._world
        world.lessons.update(key for key in lessons if not world.strikes("lesson not written"))
        if taught is not None and not world.strikes("reply lost"):
            taught.answer({})
            world.later(world.dice.uniform(0.5, 5.0), taught.lose)  # with its node, say

    def _die_in(self, job: tuple[Mapping[str, Any], Reference], error: BaseException) -> None:
        if self._training is job and not self.is_frozen:
            self.die(error)

    def _freeze(self, for_s: float) -> None:
        self.is_frozen = True
        self._world.later(for_s, self._thaw)

    def _thaw(self) -> None:
        self.is_frozen = False
        held, self._held = self._held, []
        for call in held:
            call()

    def _cut_off(self, for_s: float) -> None:
        self.is_cut_off = True
        self._world.later(for_s, self._within_reach)

    def _within_reach(self) -> None:
        self.is_cut_off = False
        if self.is_killed:
            self.die(exceptions.ActorDiedError())

    def die(self, error: BaseException) -> None:
        """The process is gone; whoever waits for it hears so."""
        if self.is_alive:
            self.is_alive = False
            waiting, self._open = self._open, []
            self._world.later(2 * LATENCY_S, lambda: [one.answer(error=error) for one in waiting])

    def kill(self) -> None:
        """The driver ends it, unless it cannot be reached."""
        self.is_killed = True
        if not self.is_cut_off:
            self.die(exceptions.ActorDiedError())
        else:
            self._world.later(FATE_S, lambda: self.die(exceptions.ActorDiedError()))


def _death(reason: Reason) -> BaseException:
    if reason is Reason.OUT_OF_MEMORY:
        return exceptions.OutOfMemoryError("out of memory")
    return exceptions.ActorDiedError()


class Cluster:
    """What stands where Ray would, for one driver."""

    def __init__(self, world: World, science: Science) -> None:
        self.world, self.science = world, science
        self.actors: list[Actor] = []

    def remote(self, *given: Any) -> Actor:
        self.actors.append(Actor(self, len(self.actors)))
        return self.actors[-1]

    def stands(self) -> bool:
        return True

    def remember(self) -> None:
        pass

    def close(self) -> None:
        for actor in self.actors:
            actor.kill()

    def note_run(self, pack_id: str, actor: Actor, keys: Sequence[str]) -> None:
        self.world.counts["jobs"] += 1
        self.world.note("{} runs at {}: {} trials", pack_id, actor.at, len(keys))


class Ray:
    """The calls of `ray` that a slot makes."""

    exceptions = exceptions

    @staticmethod
    def wait(
        references: list[Reference], timeout: float
    ) -> tuple[list[Reference], list[Reference]]:
        ready = [one for one in references if one.is_ready]
        return ready, [one for one in references if not one.is_ready]

    @staticmethod
    def get(reference: Reference, timeout: float) -> Any:
        if reference.error is not None:
            raise reference.error
        return reference.value

    @staticmethod
    def kill(actor: Actor, no_restart: bool) -> None:
        actor.kill()


class Stage:
    """Which world the patched modules are in."""

    world: World
    cluster: Cluster


class RayOnPaper(RayExecutor):
    """The real executor on a simulated Ray, seen by the witness."""

    def __init__(
        self,
        world: World,
        witness: Witness,
        science: Science,
        sweep: str,
        epoch: int,
        slots: int,
    ) -> None:
        self._world, self._witness = world, witness
        self.sweep, self.epoch = sweep, epoch
        self.is_over = False
        self.looks_up: Callable[[], bool] = lambda: False
        self._unanswered: dict[str, Pack] = {}
        self.cluster = Stage.cluster = Cluster(world, science)
        Stage.world = world
        super().__init__(None, slots, lease_s=LEASE_S, pulse_s=PULSE_S)

    @staticmethod
    def use(patch: pytest.MonkeyPatch) -> None:
        """Put simulated time and a simulated Ray under the executor's modules."""
        clock = SimpleNamespace(
            monotonic=lambda: Stage.world.monotonic(), time=lambda: Stage.world.wall()
        )
        patch.setattr(slot, "ray", Ray)
        patch.setattr(slot, "time", clock)
        patch.setattr(ray_executor, "time", clock)
        patch.setattr(ray_executor, "refuse_a_second", lambda: None)
        patch.setattr(ray_executor, "_embedded", lambda slots, gpus: Stage.cluster)
        patch.setattr(ray_executor, "_nodes", list)
        patch.setattr(ray_executor, "slots_that_fit", lambda slots, gpus, nodes, where: slots)
        patch.setattr(ray_executor, "_slot_class", lambda gpus, attached: Stage.cluster)

    def start(self, pack: Pack) -> None:
        self._witness.started(self, self.sweep, pack)
        self._unanswered[pack.id] = pack
        super().start(pack)

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        self.looks_up()
        facts = super().wait(timeout_s)
        for fact in facts:
            if not isinstance(fact, SlotsAre):
                self.each_pack_is_answered_once(fact)
        return facts

    def each_pack_is_answered_once(self, fact: Finished | Lost) -> None:
        """The port: each started pack is answered by exactly one fact."""
        pack = self._unanswered.pop(fact.pack_id, None)
        hold(pack is not None, "port", f"{fact.pack_id} was answered twice")
        assert pack is not None
        job = Job(pack, self.sweep, 0, 0.0, 0.0)
        if isinstance(fact, Lost):
            self._world.note("{} is lost: {}, {}", pack.id, fact.reason.value, fact.detail)
            self._witness.lost(job, fact.reason)
        else:
            self._witness.reported(job)

    def close(self) -> None:
        self.is_over = True
        super().close()

    def _doze(self, seconds: float) -> None:
        self._world.pass_time(seconds)

    # what happens to it

    @property
    def jobs(self) -> list[Actor]:
        return self.cluster.actors

    def orphaned(self) -> None:
        self.is_over = True
        for actor in self.cluster.actors:
            self._world.later(self._world.dice.uniform(0.04, 2.0), actor.kill)

    def lose_node(self, node: int) -> None:
        for actor in self.cluster.actors:
            if actor.node == node:
                actor.die(exceptions.NodeDiedError(f"node {node} has died"))

    def preempt(self) -> None:
        alive = [actor for actor in self.cluster.actors if actor.is_alive]
        if alive:
            self._world.dice.choice(alive).die(exceptions.NodeDiedError("preempted"))
