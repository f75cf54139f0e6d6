"""The in-process executor: the reference behaviour, and all that a small file needs."""

import time
from collections import OrderedDict

from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.domain.lessons import Lessons
from orchestrator.engine.receipt import fact_of, keys_of, place, train
from orchestrator.plan.explain import Whereabouts
from orchestrator.plan.facts import Finished, Lost, Pack, Reason, SlotsAre


class InlineExecutor:
    """Runs one pack at a time in this process, inside `wait`.

    A pack that ends the process ends the driver with it, and a pack past its deadline cannot be
    stopped while it runs: that is what workers are for.
    """

    def __init__(
        self, checkpoints: Checkpoints | None = None, lessons: Lessons | None = None
    ) -> None:
        self._checkpoints = checkpoints
        self._lessons = lessons or Lessons()
        self._queue: OrderedDict[str, Pack] = OrderedDict()
        self._facts: list[Finished | Lost | SlotsAre] = []

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def start(self, pack: Pack) -> None:
        """Queue a pack for the next `wait`."""
        self._queue.setdefault(pack.id, pack)

    def stop(self, pack_id: str) -> None:
        """Take a queued pack back; its `Lost` comes with the next `wait`."""
        if self._queue.pop(pack_id, None):
            self._facts.append(Lost(pack_id, Reason.TIMED_OUT, "stopped before it ran"))

    def wait(self, timeout_s: float) -> list[Finished | Lost | SlotsAre]:
        """The facts at hand; else those of the next queued pack, run now; else sleep."""
        if not self._facts and self._queue:
            self._run(next(iter(self._queue.values())))
        elif not self._facts:
            time.sleep(timeout_s)
        facts, self._facts = self._facts, []
        return facts

    def whereabouts(self) -> list[Whereabouts]:
        """The next pack as if it had begun: nobody asks while one is trained."""
        now = time.time()
        return [
            Whereabouts(pack.id, keys_of(pack), place(), None if behind else now)
            for behind, pack in enumerate(self._queue.values())
        ]

    def close(self) -> None:
        """Forget what is queued."""
        self._queue.clear()
        self._facts.clear()

    def _run(self, pack: Pack) -> None:
        receipt = train(pack.trials, pack.gpus, self._checkpoints, self._lessons)
        del self._queue[pack.id]  # only now, so that a pack cut short by Ctrl-C stays queued
        self._facts.append(fact_of(pack, receipt))
