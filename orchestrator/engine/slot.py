"""The driver's side of a slot: one actor, the packs handed to it, and its signs of life.

Nothing here waits: every question is put with `ray.wait(timeout=0)`, because a bare `ray.get` on a
worker that was cut off blocked for more than 500 s.
"""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray

from orchestrator.engine.receipt import Receipt, fact_of, keys_of, place, request_of
from orchestrator.engine.verdict import may_be_alive, reason_of_death, words_of
from orchestrator.plan.explain import Whereabouts
from orchestrator.plan.facts import Finished, Lost, Pack, Reason
from orchestrator.plan.leases import Lease

AHEAD = 2
"""Packs handed to a slot at once: the one it trains and the next, so that it never idles."""

_FETCH_S = 1.0  # for what `ray.wait` has called ready, hence is on this machine
_RECALL_S = 1.0  # between two questions after a lost reply
_ABANDON_S = 1.0  # for a dropped pack to be passed over before its slot is ended


@dataclass(eq=False)
class Handed:
    """A pack handed to a slot. `since` is when it came to the head of the slot's queue.

    `taught` refers to what its trials teach, where they do; `given` to what others taught them.
    """

    pack: Pack
    reply: Any
    taught: Any = None
    given: Mapping[str, Any] = field(default_factory=dict)
    since: float | None = None
    stopped: bool = False
    asked_at: float = 0.0


@dataclass
class Slot:
    """One actor: `up` once it has said hello, `dead` from the moment it is known to be gone.

    `lease` says for how long it may be silent, `pulse_s` how often it is asked for a pulse.
    `returned` holds packs that it gave back before it began them, `lessons` references to what
    trials taught, by key, wherever.
    """

    actor: Any
    lease: Lease
    pulse_s: float
    lessons: dict[str, Any] = field(default_factory=dict)
    born: float = field(default_factory=time.monotonic)
    at: str = ""
    dead: BaseException | None = None
    queue: deque[Handed] = field(default_factory=deque)
    returned: list[Pack] = field(default_factory=list)
    _yielding: tuple[Handed, Any] | None = None
    _question: Any = None
    _asked_at: float = 0.0
    _process: psutil.Process | None = None  # where it is of this driver's own tree

    def __post_init__(self) -> None:
        self._ask("hello", self.born)

    @property
    def up(self) -> bool:
        """Whether it has said hello."""
        return bool(self.at)

    @property
    def room(self) -> int:
        """How many more packs it takes now."""
        return AHEAD - len(self.queue) if self.up and self.dead is None else 0

    @property
    def expected(self) -> list[Any]:
        """References that will become ready when something happens here."""
        head = self.queue[0].reply if self.queue else None
        given_back = self._yielding[1] if self._yielding else None
        return [one for one in (head, self._question, given_back) if one is not None]

    def hand(self, pack: Pack) -> None:
        """Put a pack into the actor's queue."""
        request, cell = request_of(pack), pack.trials[0].cell
        if cell.learner.teaches:
            reply, taught = self.actor.teach.remote(request)
            self.queue.append(Handed(pack, reply, taught))
            return
        given = self._lessons_for(pack) if cell.teacher is not None else {}
        if cell.teacher is not None:
            request["lessons"] = given
        self.queue.append(Handed(pack, self.actor.train.remote(request), given=given))

    def _lessons_for(self, pack: Pack) -> dict[str, Any]:
        """References, not resolved by Ray on the way: one that is lost must not fail the pack."""
        teachers = {trial.teacher.key for trial in pack.trials if trial.teacher is not None}
        return {key: self.lessons[key] for key in teachers if key in self.lessons}

    def tend(self) -> list[Finished | Lost]:
        """Hear what there is to hear: facts of packs, a pulse, a death. Sets `dead`."""
        facts = self._harvest()
        self._listen()
        self._hear_yielded()
        self._judge(facts)
        return facts

    def stop(self, pack_id: str) -> list[Finished | Lost]:
        """End one pack: by ending the actor if it trains it, by leaving it out if it is queued."""
        for behind, handed in enumerate(self.queue):
            if handed.pack.id != pack_id or handed.stopped:
                continue
            handed.stopped = True
            if behind:
                self.actor.drop.remote(pack_id)
            else:
                self.end()
            return [Lost(pack_id, Reason.TIMED_OUT, "stopped", self.at)]
        return []

    def whereabouts(self) -> list[Whereabouts]:
        """Where the packs handed to this slot are."""
        monotonic = time.monotonic()
        epoch = time.time() - monotonic  # what to add to the monotonic clock's times
        lease = epoch + self.lease.ends(monotonic)
        found = []
        for behind, handed in enumerate(one for one in self.queue if not one.stopped):
            began = handed.since if not behind and self.up else None
            since = None if began is None else epoch + began
            deadline = None if since is None else since + handed.pack.deadline_s
            found.append(
                Whereabouts(handed.pack.id, keys_of(handed.pack), self.at, since, deadline, lease)
            )
        return found

    def give_back(self) -> bool:
        """Ask for the pack that waits behind another, because some other slot idles.

        It will be in `returned` unless it has begun by then. False when there is none to ask for.
        """
        if self._yielding is None and len(self.queue) > 1 and not self.queue[-1].stopped:
            drop = self.actor.drop
            self._yielding = self.queue[-1], drop.remote(self.queue[-1].pack.id)
        return self._yielding is not None

    def end(self) -> None:
        """End the actor's process, whatever it is doing; `finally` clauses do not run.

        Ray needs 5 s for a process that is suspended, so where it is ours it is killed as well.
        """
        if self._process is not None:
            with suppress(psutil.Error):
                self._process.kill()
        ray.kill(self.actor, no_restart=True)
        self.dead = self.dead or _Ended()

    def bury(self) -> tuple[list[Finished | Lost], list[Pack]]:
        """After a death: the last facts, and the packs that had not begun and can go elsewhere.

        Replies that made it back count. The first pack without one is to blame, for it was the one
        being trained.
        """
        assert self.dead is not None
        facts = self._harvest()
        blameless = isinstance(self.dead, _Ended)
        rest = [handed for handed in self.queue if not handed.stopped]
        if rest and rest[0] is self.queue[0] and not blameless:
            blamed = rest.pop(0)
            facts.append(Lost(blamed.pack.id, *self._blame(blamed), self.at))
        self.queue.clear()
        self.end()  # a death that was only reported must not leave a second copy at work
        return facts, [*self.returned, *(handed.pack for handed in rest)]

    def _blame(self, handed: Handed) -> tuple[Reason, str]:
        """Why the pack at the head is lost; a worker ends by itself where this driver was late."""
        assert self.dead is not None
        limit_s = handed.pack.deadline_s
        if handed.since is not None and time.monotonic() - handed.since > limit_s:
            return Reason.TIMED_OUT, f"past its deadline of {limit_s:g} s"
        return reason_of_death(self.dead), words_of(self.dead)

    def _harvest(self) -> list[Finished | Lost]:
        facts: list[Finished | Lost] = []
        while self.queue and (receipt := self._receipt_of(self.queue[0])) is not None:
            handed = self.queue.popleft()
            if handed.stopped:
                continue
            if receipt:
                self._note_lessons(handed, receipt)
                facts.append(fact_of(handed.pack, receipt))
            else:  # left out here, as asked before it was handed over again
                self.returned.append(handed.pack)
        return facts

    def _note_lessons(self, handed: Handed, receipt: Receipt) -> None:
        """The newest last; without those that came to nothing, unless they were made anew since."""
        for key in receipt.get("missing", ()):
            if key in handed.given and self.lessons.get(key) is handed.given[key]:
                del self.lessons[key]
        for key in receipt.get("lessons", ()):
            self.lessons.pop(key, None)
            self.lessons[key] = handed.taught

    def _receipt_of(self, handed: Handed) -> Receipt | None:
        now = time.monotonic()
        handed.since = now if handed.since is None else handed.since
        if handed.reply is None and self.dead is None and now - handed.asked_at >= _RECALL_S:
            # only the reply may have been lost, so the slot is asked for what it kept of it
            recall = self.actor.recall
            handed.reply, handed.asked_at = recall.remote(handed.pack.id), now
        if handed.reply is None or not _is_ready(handed.reply):
            return None
        reply, handed.reply = handed.reply, None
        try:
            receipt: Receipt | None = ray.get(reply, timeout=_FETCH_S)
        except ray.exceptions.RayError as error:
            self._complain(error)
            return None
        return receipt

    def _listen(self) -> None:
        now = time.monotonic()
        if self._question is None:
            if now - self._asked_at >= self.pulse_s and self.dead is None:
                self._ask("pulse" if self.up else "hello", now)
        elif _is_ready(self._question):
            question, self._question = self._question, None
            try:
                answer = ray.get(question, timeout=_FETCH_S)
            except ray.exceptions.RayError as error:
                self._complain(error)
            else:
                self.lease.heard()
                if not self.up:
                    self.at, self._process = answer["at"], _own(answer["at"])

    def _hear_yielded(self) -> None:
        if self._yielding is None or not _is_ready(self._yielding[1]):
            return
        (handed, answer), self._yielding = self._yielding, None
        try:
            given_back = ray.get(answer, timeout=_FETCH_S)
        except ray.exceptions.RayError as error:
            self._complain(error)
            return
        if given_back and handed in self.queue:
            self.queue.remove(handed)
            if not handed.stopped:
                self.returned.append(handed.pack)

    def _ask(self, what: str, now: float) -> None:
        method = getattr(self.actor, what)
        self._question, self._asked_at = method.remote(), now
        self.lease.asked(now)

    def _complain(self, error: BaseException) -> None:
        if may_be_alive(error):
            self.lease.cut_off()
        else:
            self.dead = self.dead or error

    def _judge(self, facts: list[Finished | Lost]) -> None:
        """End the actor when its lease has lapsed or its pack is past the deadline."""
        now = time.monotonic()
        self.lease.looked(now)
        if self.dead is not None or not self.up:
            return
        head = self.queue[0] if self.queue else None
        limit_s = _ABANDON_S if head and head.stopped else head.pack.deadline_s if head else 0.0
        verdict = self.lease.verdict(now, head.since if head else None, limit_s)
        if verdict is None:
            return
        if head and not head.stopped:
            head.stopped = True
            facts.append(Lost(head.pack.id, *verdict, self.at))
        self.end()


class _Ended(Exception):
    """Ended by the driver itself; nobody is to blame."""


def _own(at: str) -> psutil.Process | None:
    """The process at a place, if this one or one that it started has started it."""
    host, _, pid = at.rpartition("/")
    if host != place().rpartition("/")[0]:
        return None
    with suppress(psutil.Error):
        process = psutil.Process(int(pid))
        return process if psutil.Process() in process.parents() else None
    return None


def _is_ready(reference: Any) -> bool:
    return bool(ray.wait([reference], timeout=0)[0])
