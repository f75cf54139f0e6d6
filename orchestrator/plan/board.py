"""The board: a state machine that hears facts and gives commands.

It owns retries, pack splitting, charges, and fairness between arms. It reads no clock, starts
nothing and knows no executor, so it is tested as a table of facts and commands.

| event | charge |
|---|---|
| node lost or preempted; the driver died; Ctrl-C | 0: started again, for ever |
| worker died, out of memory, late or raised, several in the pack | 0: the pack is split in two |
| the same with the trial alone | 1 |
| three charges (two for memory, one for an error raised) | the trial becomes a gap |
| a teacher's lesson is not there, or not whole | 0: it is taught again first |
| the same three times over and no student done | 0: its students become gaps |
| a teacher becomes a gap | 0: so do those that would learn from it |

A trial with a teacher waits until that has taught; see `plan.classroom`.

A plug-in that raised is not asked again with the same key: same key, same result.

Time limits and leases belong to workers, which the board does not know: `plan.leases` decides when
one is past its deadline or has been silent too long, the executor ends it, and the board hears that
the pack was lost. What that means for the trials is decided here. `Stop` is for packs that nobody
wants any more.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.domain.trial import Trial
from orchestrator.plan.classroom import Classroom
from orchestrator.plan.cost import CostModel
from orchestrator.plan.facts import (
    Added,
    Charge,
    Command,
    Fact,
    Finished,
    Found,
    GiveUp,
    Lost,
    Pack,
    Reason,
    SlotsAre,
    Start,
    Teachers,
)
from orchestrator.plan.packs import PackLimits, Waiting

CHARGES_UNTIL_GAP = {Reason.OUT_OF_MEMORY: 2, Reason.RAISED: 1}
"""Charges of one kind after which a trial is given up; three of any kind otherwise."""

CHARGES_AT_MOST = 3


class Board:
    """Which packs to start next. `deadline_s` is the wall time one pack is allowed.

    `ahead` packs per slot are started before a slot is free, so that no slot waits for the driver.
    """

    def __init__(
        self,
        *,
        slots: int = 1,
        deadline_s: float = 300.0,
        gpus: float = 0.0,
        cost: CostModel | None = None,
        limits: PackLimits | None = None,
        ahead: int = 1,
    ) -> None:
        self.cost = cost or CostModel()
        self._limits = limits or PackLimits()
        self._slots = slots
        self._is_open = True
        self._ahead = ahead
        self._deadline_s = deadline_s
        self._gpus = gpus
        self._waiting: dict[str, Waiting] = {}
        self._again: deque[tuple[Trial, ...]] = deque()
        self._running: dict[str, Pack] = {}
        self._charges: dict[str, tuple[str, ...]] = {}
        self._classroom = Classroom()
        self._numbers = itertools.count(1)

    @property
    def running(self) -> tuple[Pack, ...]:
        """Packs started and not answered, oldest first."""
        return tuple(self._running.values())

    def waiting(self) -> Iterable[Trial]:
        """Trials not yet started, in no promised order."""
        yield from itertools.chain.from_iterable(self._again)
        yield from itertools.chain.from_iterable(self._waiting.values())
        yield from self._classroom

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._running and not any(True for _ in self.waiting())

    def handle(self, fact: Fact) -> list[Command]:
        """Take in one fact; the commands that follow from it, in the order to carry out."""
        commands: list[Command] = []
        match fact:
            case Added():
                commands.extend(self._add(fact))
            case Teachers():
                self._classroom.learn_of(fact)
            case Found():
                self._shrink(fact)
            case Finished():
                self._finish(fact)
            case Lost():
                commands.extend(self._lose(fact))
            case SlotsAre():
                self._slots = fact.count
        return [*commands, *self._starts()]

    def start_no_more(self) -> None:
        """Only packs that run are of interest from now on: a limit of the sweep was reached."""
        self._is_open = False

    def _add(self, fact: Added) -> list[Command]:
        self._charges.update(fact.charges)
        gaps: list[Command] = []
        for _, run in itertools.groupby(fact.trials, key=lambda trial: id(trial.cell)):
            trials = list(run)
            if trials[0].cell.teacher is not None:
                trials, untaught = self._classroom.seat(trials)
                gaps.extend(untaught)
                if not trials:
                    continue
            queue = self._waiting.setdefault(_arm(trials[0]), Waiting())
            for trial in trials:
                reasons = self._charges.get(trial.key, ())
                if reasons and _is_enough(reasons):
                    # the last driver died between the charge and the gap
                    gaps.extend(self._give_up(trial.key, reasons))
                else:
                    queue.add(trial)
        return gaps

    def _give_up(self, key: str, reasons: tuple[str, ...]) -> list[Command]:
        """A trial becomes a gap, and with it those that would have learnt from it."""
        return [GiveUp(key, reasons), *self._classroom.give_up(key, reasons)]

    def _finish(self, fact: Finished) -> None:
        pack = self._running.pop(fact.pack_id, None)
        if pack is not None:
            self.cost.learn(pack.trials, fact.seconds)
            self._release(pack.trials)
            if pack.trials[0].cell.teacher is not None:
                for student in pack.trials:
                    self._classroom.learnt(student)

    def _release(self, trials: Sequence[Trial]) -> None:
        """These of one arm have results: who waited for one of them as a teacher goes on."""
        if not (trials and trials[0].cell.learner.teaches):
            return
        for trial in trials:
            for student in self._classroom.taught(trial.key):
                self._waiting.setdefault(_arm(student), Waiting()).add(student)

    def _shrink(self, fact: Found) -> None:
        pack = self._running.get(fact.pack_id)
        if pack is None:
            return
        # whoever settled one that teaches has kept what it taught
        self._release([trial for trial in pack.trials if trial.key in fact.keys])
        left = tuple(trial for trial in pack.trials if trial.key not in fact.keys)
        if left:
            self._running[fact.pack_id] = replace(pack, trials=left)
        else:
            del self._running[fact.pack_id]

    def _lose(self, fact: Lost) -> list[Command]:
        pack = self._running.pop(fact.pack_id, None)
        if pack is None:
            return []
        if fact.missing:
            return [_charged(pack, fact, 0), *self._send_back(pack, fact.missing)]
        if fact.reason.is_disruption:
            self._again.append(pack.trials)
            return [_charged(pack, fact, 0)]
        if len(pack.trials) > 1:
            half = len(pack.trials) // 2
            self._again.extend((pack.trials[:half], pack.trials[half:]))
            return [_charged(pack, fact, 0)]
        return [_charged(pack, fact, 1), *self._after_charge(pack, fact)]

    def _send_back(self, pack: Pack, missing: Sequence[str]) -> list[Command]:
        """Teachers have to teach again before these trials of the pack can go on."""
        teachers = self._classroom.lose(missing, pack.trials)
        return self._add(Added((*teachers, *pack.trials)))

    def _after_charge(self, pack: Pack, fact: Lost) -> list[Command]:
        key = pack.trials[0].key
        reasons = (*self._charges.get(key, ()), _words(fact))
        self._charges[key] = reasons
        if _is_enough(reasons):
            return self._give_up(key, reasons)
        self._again.append(pack.trials)
        return []

    def _starts(self) -> list[Command]:
        starts: list[Command] = []
        while self._is_open and len(self._running) < self._slots * (1 + self._ahead):
            trials = self._next()
            if not trials:
                break
            pack = Pack(
                id=f"pack-{next(self._numbers)}",
                trials=trials,
                attempts={},
                deadline_s=self._deadline_s,
                gpus=self._gpus,
                again=self._classroom.again(trials),
            )
            self._running[pack.id] = pack
            starts.append(Start(pack))
        return starts

    def _next(self) -> tuple[Trial, ...]:
        if self._again:
            return self._again.popleft()
        arms = [arm for arm, queue in self._waiting.items() if queue]
        if not arms:
            return ()
        arm = min(arms, key=self._running_s)  # the arm with the least work in flight goes next
        return self._waiting[arm].take(self._slots, self.cost, self._limits)

    def _running_s(self, arm: str) -> float:
        return sum(
            self.cost.total_s(pack.trials)
            for pack in self._running.values()
            if _arm(pack.trials[0]) == arm
        )


def _is_enough(reasons: Sequence[str]) -> bool:
    """Whether these charges make a gap."""
    return len(reasons) >= CHARGES_AT_MOST or any(
        sum(reason.startswith(kind.value) for reason in reasons) >= enough
        for kind, enough in CHARGES_UNTIL_GAP.items()
    )


def _arm(trial: Trial) -> str:
    return trial.cell.target.canonical + trial.cell.learner.canonical


def _charged(pack: Pack, fact: Lost, charge: int) -> Charge:
    keys = tuple(trial.key for trial in pack.trials)
    return Charge(pack.id, keys, _words(fact), charge, fact.where)


def _words(fact: Lost) -> str:
    return f"{fact.reason.value}: {fact.detail}" if fact.detail else fact.reason.value
