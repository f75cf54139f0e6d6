"""The worker's side of a slot: one Ray actor that trains one pack after another."""

import faulthandler
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.plugin import load_entry_points, load_source
from orchestrator.engine.receipt import Receipt, place, work_off
from orchestrator.failpoints import at

_FETCH_S = 10.0  # for lessons from other processes; lost ones are looked for elsewhere after that
_READY_S = 1.0  # for one of them that `ray.wait` has called ready, hence is on this machine
_FUSE_S = 1.0  # past the deadline; the driver, which looks twice a second, comes first
_RECEIPTS_KEPT = 4  # a slot is never asked for more than the packs that it was handed: two


log = logging.getLogger(__name__)


class SlotActor:
    """Trains in the thread of group `train`; answers for itself in that of group `pulse`.

    A pack that holds the interpreter's lock, or a process that is stopped, leaves the pulse
    unanswered, which is what the driver listens for. A driver that is busy or cut off kills nobody,
    so a pack past its deadline ends the process by itself, soon after the driver should have.
    """

    def __init__(
        self,
        plugins: Sequence[tuple[str, str]],
        checkpoints: Checkpoints | None = None,
        lessons: Path | None = None,
    ) -> None:
        at("slot.start.before")
        load_entry_points()
        for name, source in plugins:
            load_source(name, source)
        self._checkpoints = checkpoints
        self._lessons = Lessons(lessons)
        self._receipts: OrderedDict[str, Receipt] = OrderedDict()
        self._lock = threading.Lock()
        self._training = ""
        self._dropped: set[str] = set()
        self._finished = 0

    def train(self, request: Mapping[str, Any]) -> Receipt:
        """Train a pack and give its receipt; an empty one for a pack dropped while it queued."""
        with self._lock:
            if request["id"] in self._dropped:
                self._dropped.remove(request["id"])
                return {}
            self._training = request["id"]
        with _fuse(request["deadline_s"] + _FUSE_S):
            if "lessons" in request:
                self._fetch(request["lessons"])
            receipt = work_off(request, self._checkpoints, self._lessons)
        self._receipts[request["id"]] = receipt
        while len(self._receipts) > _RECEIPTS_KEPT:
            self._receipts.popitem(last=False)
        self._finished += 1
        at("slot.receipt.before")
        return receipt

    def teach(self, request: Mapping[str, Any]) -> tuple[Receipt, dict[str, bytes]]:
        """Train a pack that others will learn from; beside its receipt what it taught, by key."""
        receipt = self.train(request)
        return receipt, self._lessons.content(receipt.get("lessons", ()))

    def _fetch(self, references: Mapping[str, Any]) -> None:
        """Take lessons over from whoever made them, as far as Ray still has them.

        They are in files too, or can be made again, so whatever goes wrong here is nobody's fault.
        """
        import ray

        self._lessons.begin(references)
        wanted = {one for key, one in references.items() if not self._lessons.holds(key)}
        if not wanted:
            return
        here, late = ray.wait([*wanted], num_returns=len(wanted), timeout=_FETCH_S)
        if late:
            log.warning("%d lessons did not arrive within %g s", len(late), _FETCH_S)
        for reference in here:
            try:
                self._lessons.take_over(ray.get(reference, timeout=_READY_S))
            except (ray.exceptions.RayError, ValueError, KeyError, OSError) as error:
                log.warning("a lesson was lost on its way here: %s", error)

    def pulse(self) -> int:
        """How many packs this slot has finished."""
        return self._finished

    def hello(self) -> dict[str, Any]:
        """Who and where this slot is."""
        return {"pid": os.getpid(), "at": place()}

    def recall(self, pack_id: str) -> Receipt | None:
        """The receipt of a pack whose reply was lost on the way; None while there is none."""
        return self._receipts.get(pack_id)

    def drop(self, pack_id: str) -> bool:
        """Leave out a pack that is queued here; False when it has begun already."""
        with self._lock:
            if pack_id == self._training or pack_id in self._receipts:
                return False
            self._dropped.add(pack_id)
            return True


@contextmanager
def _fuse(seconds: float) -> Iterator[None]:
    """End the process unless the block ends in time, even where it holds the interpreter's lock.

    Of Python's own timers only the fault handler's needs no lock: a thread of C counts for it.
    """
    with open(os.devnull, "w") as nowhere:  # instead of the traces of threads on standard error
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


_GROUP_OF = {
    SlotActor.train: "train",
    SlotActor.teach: "train",
    SlotActor.pulse: "pulse",
    SlotActor.hello: "pulse",
    SlotActor.recall: "pulse",
    SlotActor.drop: "pulse",
}


def remote_slot(gpus: float, environment: Mapping[str, str]) -> Any:
    """The actor class to start slots from: never restarted, nothing retried; the board decides."""
    import ray

    for method, group in _GROUP_OF.items():  # here, so that this module does without ray
        returns = 2 if method is SlotActor.teach else 1
        ray.method(concurrency_group=group, num_returns=returns)(method)
    options: dict[str, Any] = {
        "num_cpus": 1,
        "num_gpus": gpus,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": dict.fromkeys(_GROUP_OF.values(), 1),
    }
    if environment:
        options["runtime_env"] = {"env_vars": dict(environment)}
    return ray.remote(**options)(SlotActor)
