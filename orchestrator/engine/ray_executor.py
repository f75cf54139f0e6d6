"""The executor on Ray: slot actors that train, a driver that never waits for one of them alone."""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.engine.fit import refuse_missing_gpus, slots_that_fit
from orchestrator.engine.quiet import refuse_a_second
from orchestrator.engine.receipt import keys_of
from orchestrator.engine.verdict import cause_of, failed_to_load
from orchestrator.errors import ClusterUnreachable, PluginError
from orchestrator.plan.explain import Whereabouts
from orchestrator.plan.facts import Finished, Lost, Pack, Reason, SlotsAre
from orchestrator.plan.leases import Lease

if TYPE_CHECKING:
    from orchestrator.engine.slot import Slot

_GLANCE_S = 0.5  # between two looks at leases and deadlines; how late an end can come
_START_S = 60.0  # for an actor to say hello before its slot no longer counts, on a cluster at all
_BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # before the next start, by failed starts in a row
_PATIENCE_S = 180.0  # without a single slot before the cluster is called unreachable
_STARTS = 2  # that raised, and no slot up, before the plug-ins are called unusable
_LESSONS_KEPT = 4096  # references to what was taught, the latest; older ones are read from files
_KEPT = "what is done is kept; run the same command again when the cluster answers"
_LOOK_S = 5.0  # between two looks at whether the cluster stands
_LOOKS = 4  # in vain before it is called unreachable; Ray itself ends the driver after 60 s


class RayExecutor:
    """Runs packs on slot actors: of an embedded Ray, or of the cluster at `address`.

    `slots` defaults to one per CPU core, or to as many shares of `gpus` as there are, and is capped
    by what the machines hold. `plugins` are names and sources, loaded by every slot. A slot that
    gives no sign of life for `lease_s` is ended, and so is one whose pack is past its deadline.
    `checkpoints` are where workers save what a resumable learner has done, `lessons` the folder in
    which they keep what trials taught, beside handing it to each other through Ray.

    Raises `RequestError` when no machine has the GPUs of one slot, `ClusterUnreachable` when the
    cluster does not answer or refuses the token. It does not wait for the first slot; `wait` does.
    """

    def __init__(
        self,
        address: str | None = None,
        slots: int | None = None,
        gpus: float = 0.0,
        plugins: Sequence[tuple[str, str]] = (),
        checkpoints: Checkpoints | None = None,
        lessons: Path | None = None,
        *,
        lease_s: float = 60.0,
        pulse_s: float = 2.0,
    ) -> None:
        self._lease_s, self._pulse_s = lease_s, pulse_s
        self._queue: deque[Pack] = deque()
        self._facts: list[Finished | Lost | SlotsAre] = []
        self._slots: list[Slot] = []
        self._closed = False
        self._failed_starts = 0
        self._next_start = 0.0
        self._last_end = ""
        self._looks_in_vain = 0
        self._is_new = bool(address)
        refuse_a_second()
        self._ray = _attached(address) if address else _embedded(slots, gpus)
        try:
            where = f"the cluster at {address}" if address else "this machine"
            self._wanted = slots_that_fit(slots, gpus, _nodes(), where)
            self._class = _slot_class(gpus, bool(address))
            self._given = (list(plugins), checkpoints, lessons)
            self._lessons: dict[str, Any] = {}  # references to what was taught, by teacher's key
            self._count = self._wanted
            self._heard = self._looked = time.monotonic()
            self._start_slots()
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> int:
        """Slots that are up or have just been started; at least 1."""
        return self._count

    def start(self, pack: Pack) -> None:
        """Hand the pack to a slot with room, or queue it."""
        if not self._knows(pack.id):
            self._queue.append(pack)
            self._assign()

    def stop(self, pack_id: str) -> None:
        """Take a queued pack back, or end the worker that trains it."""
        for pack in [pack for pack in self._queue if pack.id == pack_id]:
            self._queue.remove(pack)
            self._facts.append(Lost(pack_id, Reason.TIMED_OUT, "stopped before it ran"))
        for slot in self._slots:
            self._facts += slot.stop(pack_id)

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        """Facts since the last call; see `ports.Executor`.

        What is no pack's doing is raised: `ClusterUnreachable` when Ray's head is gone, when no
        slot could be started for three minutes, or no first one on a cluster for one; `PluginError`
        when workers cannot load the plug-ins. Never takes a second longer than `timeout_s`, so that
        the loop can hear of an interruption.
        """
        until = time.monotonic() + timeout_s
        while True:
            self._tend()
            left = until - time.monotonic()
            if self._facts or left <= 0:
                facts, self._facts = self._facts, []
                return facts
            self._doze(min(left, _GLANCE_S))

    def whereabouts(self) -> list[Whereabouts]:
        """See `ports.Executor`."""
        handed = [one for slot in self._slots for one in slot.whereabouts()]
        return [*handed, *(Whereabouts(pack.id, keys_of(pack)) for pack in self._queue)]

    def close(self) -> None:
        """End every actor, and an embedded Ray with all its processes."""
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        if self._ray.stands():  # a cluster that is gone has ended them, and would not answer
            for slot in self._slots:
                with suppress(Exception):
                    slot.end()
        self._slots.clear()
        self._ray.close()

    def _tend(self) -> None:
        self._look()
        for slot in list(self._slots):
            was_up = slot.up
            self._facts += slot.tend()
            self._queue.extendleft(slot.returned)
            slot.returned.clear()
            if slot.up and not was_up:
                self._failed_starts = 0
                self._is_new = False
                self._ray.remember()
            if slot.dead is not None:
                self._bury(slot)
        while len(self._lessons) > _LESSONS_KEPT:
            del self._lessons[next(iter(self._lessons))]
        self._start_slots()
        self._assign()
        self._count_slots()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        self._looks_in_vain = 0 if self._ray.stands() else self._looks_in_vain + 1
        if self._looks_in_vain == _LOOKS:
            raise ClusterUnreachable(
                f"Ray's head has been gone for {_LOOKS * _LOOK_S:.0f} s; {_KEPT}"
            )

    def _bury(self, slot: "Slot") -> None:
        facts, unbegun = slot.bury()
        self._facts += facts
        self._queue.extendleft(reversed(unbegun))
        self._slots.remove(slot)
        if not slot.up:
            self._learn_from(slot.dead)

    def _learn_from(self, end: BaseException | None) -> None:
        """A slot ended before it was up: wait before the next start, or give up."""
        self._failed_starts += 1
        pause = _BACKOFF_S[min(self._failed_starts, len(_BACKOFF_S) - 1)]
        self._next_start = time.monotonic() + pause
        if end is None:
            return
        self._last_end = f"; the last one: {cause_of(end)}"
        none_up = not any(slot.up for slot in self._slots)
        if none_up and self._failed_starts >= _STARTS and failed_to_load(end):
            raise PluginError(
                f"workers cannot load the plug-ins: {cause_of(end)} (what a plug-in imports must "
                "be installed on every machine)"
            )

    def _start_slots(self) -> None:
        from orchestrator.engine.slot import Slot

        while len(self._slots) < self._wanted and time.monotonic() >= self._next_start:
            self._slots.append(
                Slot(
                    self._class.remote(*self._given),
                    Lease(self._lease_s),
                    self._pulse_s,
                    self._lessons,
                )
            )

    def _assign(self) -> None:
        """Hand out the queue, first to idle slots, then one ahead to each."""
        while self._queue:
            open_slots = [slot for slot in self._slots if slot.room]
            if not open_slots:
                return
            max(open_slots, key=lambda slot: slot.room).hand(self._queue.popleft())
        self._even_out()

    def _even_out(self) -> None:
        """Fetch back packs that wait behind others while slots idle."""
        idle = sum(slot.room > 0 and not slot.queue for slot in self._slots)
        for slot in self._slots:
            if idle and slot.dead is None and slot.give_back():
                idle -= 1

    def _count_slots(self) -> None:
        now = time.monotonic()
        up = sum(slot.up for slot in self._slots)
        young = sum(not slot.up and now - slot.born < _START_S for slot in self._slots)
        resting = len(self._slots) < self._wanted and self._failed_starts < 3
        count = max(1, self._wanted if resting else up + young)
        if up:
            self._heard = now
        else:
            self._lose_patience(now - self._heard)
        if count != self._count:
            self._count = count
            self._facts.append(SlotsAre(count))

    def _lose_patience(self, without_s: float) -> None:
        if self._is_new and without_s > _START_S:
            raise ClusterUnreachable(
                f"the cluster answers but started no worker within {_START_S:.0f} s; "
                f"is every CPU or GPU taken? see `ray status`{self._last_end}"
            )
        if without_s > _PATIENCE_S:
            raise ClusterUnreachable(
                f"no worker could be started for {_PATIENCE_S:.0f} s; {_KEPT}{self._last_end}"
            )

    def _doze(self, seconds: float) -> None:
        import ray

        expected = [reference for slot in self._slots for reference in slot.expected]
        if expected:
            ray.wait(expected, num_returns=1, timeout=seconds)
        else:
            time.sleep(seconds)

    def _knows(self, pack_id: str) -> bool:
        handed = (one.pack for slot in self._slots for one in slot.queue if not one.stopped)
        return any(pack.id == pack_id for pack in (*self._queue, *handed))


def _embedded(slots: int | None, gpus: float) -> Any:
    import torch

    from orchestrator.engine.embedded import EmbeddedRay

    # what torch sees, not what Ray does: a GPU that torch cannot use trains nothing
    here = torch.cuda.device_count() if gpus else 0
    refuse_missing_gpus(gpus, [here], "this machine, as torch sees it,")
    return EmbeddedRay(slots, here)


def _attached(address: str) -> Any:
    from orchestrator.engine.attached import AttachedRay

    return AttachedRay(address)


def _slot_class(gpus: float, attached: bool) -> Any:
    from orchestrator.engine.embedded import WORKER_ENVIRONMENT
    from orchestrator.engine.slot_actor import remote_slot

    # an embedded Ray's workers inherit these, which lets Ray use processes that it has ready
    return remote_slot(gpus, WORKER_ENVIRONMENT if attached else {})


def _nodes() -> list[dict[str, float]]:
    """Ray's resources of each node that is up."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
