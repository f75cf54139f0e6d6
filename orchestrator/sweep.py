"""The loop: propose, plan, run, commit, tell. It knows ports, not adapters.

Proposals come in numbered rounds. Round r is a pure function of the experiment, r, the results of
rounds up to r-2 and the asks of round r-1, so that round r-1 can run while round r is computed, and
so that a laptop, a cluster and a sweep resumed after a crash all ask for the same trials. A round
in which there is nothing to ask is recorded as empty; two in a row end the sweep, because the
second is decided with nothing in flight.

The order of writing is what keeps the promise that a committed trial is never lost and never
started again: a round is recorded before anything of it runs, an attempt is begun before its pack
starts, and a result is committed before anything else sees it.

Trials that others learn from are trained first: the loop adds the missing teachers of a round's
trials to the board. They are in the ledger by key, for every later sweep, but nobody has asked for
them, so they are in no tally. A settled one is trained again where what it taught was lost.
"""

import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from orchestrator.domain.learner import Learner
from orchestrator.domain.trial import Result, Trial
from orchestrator.errors import EveryTrialFailed, Interrupted
from orchestrator.plan.asks import ArmTally, Ask
from orchestrator.plan.board import Board
from orchestrator.plan.classroom import TEACHER_GIVEN_UP
from orchestrator.plan.expansion import Expansion
from orchestrator.plan.facts import (
    Added,
    Charge,
    Command,
    Fact,
    Finished,
    Found,
    GiveUp,
    Pack,
    Start,
    Stop,
    Teachers,
)
from orchestrator.plan.rounds import Rounds
from orchestrator.ports import Executor, Proposer, StoppedBy, Tracker
from orchestrator.spec import ExperimentSpec

WAIT_S = 0.2
"""Longest wait for facts: how soon Ctrl-C is noticed. Chosen by hand."""

TELL_S = 0.5
"""Shortest time between two reports of progress. Chosen by hand."""

ALIKE = 5
"""Gaps for one reason, with no trial answered, after which the sweep is given up. By hand."""


@dataclass(frozen=True)
class Progress:
    """Where a running sweep stands: what a person wants to see while waiting.

    `left_s` predicts the seconds until what has been asked for is answered.
    """

    round: int
    asked: int
    answered: int
    gaps: int
    cached: int
    running: int
    left_s: float
    so_far: Callable[[], Sequence[ArmTally]]

    @property
    def tallies(self) -> Sequence[ArmTally]:
        """Those of every answered trial at this moment; counted when asked for."""
        return self.so_far()


class Sweep:
    """One experiment being answered with given adapters; `answer` does it.

    `interrupted` is asked between facts; when it says yes, nothing more is started and
    `Interrupted` is raised. `watch` is called now and then with where things stand.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        *,
        tracker: Tracker,
        executor: Executor,
        proposer: Proposer,
        watch: Callable[[Progress], None] = lambda progress: None,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self._tracker = tracker
        self._executor = executor
        self._proposer = proposer
        self._watch = watch
        self._interrupted = interrupted
        self._clock = clock
        self._board = Board(
            slots=executor.slots,
            deadline_s=60.0 * spec.resources.minutes_per_trial,
            gpus=spec.resources.gpus,
        )
        self._expansion = Expansion([(arm.target, arm.learner) for arm in spec.arms], spec.seed)
        self._rounds = Rounds()
        self._started: dict[str, Pack] = {}  # with the attempt numbers that fence their commits
        self._cached = 0
        self._has_teachers = any(has_teacher(arm.learner) for arm in spec.arms)
        self._teaching: set[str] = set()  # trials that teach and that the board has heard of
        self._reasons: Counter[str] = Counter()
        self._last_reason = ""
        self._told_at = float("-inf")
        self._began = 0.0
        self.stopped_by: StoppedBy | None = None

    def answer(self) -> StoppedBy | None:
        """Run until nothing is left to ask or a limit is reached, and say which.

        Raises `Interrupted` when asked to stop, and `EveryTrialFailed` when the first trials all
        become gaps for the same reason. Either way what was committed is kept.
        """
        self.begin()
        while not self.step():
            pass
        return self.stopped_by

    def begin(self) -> None:
        """Take in what the ledger has of this sweep; once, before the first step."""
        self._began = self._clock()
        with _no_collection():
            for asks in self._tracker.rounds():
                self._take_in(asks, recorded=True)

    def step(self) -> bool:
        """One turn of the loop; whether it was the last, and `stopped_by` says why. See `answer`.

        A simulator takes turns with several sweeps.
        """
        self._propose()
        self._tell(final=self._is_done())
        if self._is_done():
            if self._rounds.gaps and not self._rounds.answered and self._last_reason:
                raise _failed(self._rounds.gaps, self._last_reason)
            self.stopped_by = self._proposer.stopped_by(self._rounds.so_far())
            return True
        for fact in self._executor.wait(WAIT_S):
            self._hear(fact)
        self._stop_if_asked()
        if self._is_late(self._clock() - self._began):
            self._wind_up()
            self.stopped_by = "max_hours"
            return True
        return False

    def _is_done(self) -> bool:
        return self._rounds.is_over and self._rounds.is_settled and self._board.is_idle

    # rounds

    def _propose(self) -> None:
        while self._rounds.may_propose:
            asks = self._proposer.propose(
                self._rounds.count, self._rounds.before_last(), self._rounds.last
            )
            self._take_in(asks, recorded=False)

    def _take_in(self, asks: list[Ask], recorded: bool) -> None:
        number = self._rounds.count
        trials = self._expansion.trials(asks)
        if not recorded:
            self._tracker.record_round(number, asks, [(ask.arm, trial) for ask, trial in trials])
        self._rounds.add(asks, trials)
        keys = [trial.key for _, trial in trials]
        settled = self._settle(keys)
        self._cached += 0 if recorded else len(settled)
        left = tuple(trial for _, trial in trials if trial.key not in settled)
        if self._has_teachers:
            left = self._with_teachers(left)
        if left:
            charges = self._tracker.charges([trial.key for trial in left]) if recorded else {}
            self._carry_out(self._board.handle(Added(left, charges)))

    def _with_teachers(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """These trials, their teachers that are not settled before them; each once, though it may
        be somebody's teacher and asked for as well. The board hears how the other teachers stand.
        """
        teachers = {one.teacher.key: one.teacher for one in trials if one.teacher is not None}
        new = {key: one for key, one in teachers.items() if key not in self._teaching}
        settled = self._tracker.settled([*new]) if new else {}
        taught = frozenset(key for key, one in settled.items() if not one.is_gap)
        untaught = {key: one.reasons for key, one in settled.items() if one.is_gap}
        self._carry_out(self._board.handle(Teachers(taught, untaught)))
        found = {key: one for key, one in new.items() if key not in settled}
        found.update({one.key: one for one in trials if one.key not in self._teaching})
        self._teaching.update(new, (one.key for one in trials if one.cell.learner.teaches))
        return tuple(found.values())

    def _settle(self, keys: Sequence[str]) -> set[str]:
        """Believe what the ledger says of these trials, and nothing else."""
        settled = self._tracker.settled(keys) if keys else {}
        for key, one in settled.items():
            self._rounds.settle(key, self._judged(one.result))
        return set(settled)

    def _judged(self, result: Result | None) -> bool | None:
        return self.spec.success.judged(result.outcome, result.measures) if result else None

    # facts and commands

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Finished):
            self._commit(fact)
        self._carry_out(self._board.handle(fact))

    def _commit(self, fact: Finished) -> None:
        pack = self._started.pop(fact.pack_id, None)
        if pack is None:
            return
        known = [result for result in fact.results if result.key in pack.attempts]
        refused_keys = set(self._tracker.commit(known, pack.attempts, fact.where, fact.lessons))
        accepted = {result.key: result for result in known if result.key not in refused_keys}
        for result in accepted.values():
            self._rounds.settle(result.key, self._judged(result))
        left = [trial for trial in pack.trials if trial.key not in accepted]
        settled = self._settle([trial.key for trial in left])
        refused = tuple(trial for trial in left if trial.key not in settled)
        if refused:  # the attempt ended meanwhile, without a result
            self._carry_out(self._board.handle(Added(refused)))

    def _carry_out(self, commands: Iterable[Command]) -> None:
        left = deque(commands)
        while left:  # a pack that is found settled makes room for more, of which there may be many
            match command := left.popleft():
                case Start():
                    left.extend(self._start(command))
                case Stop():
                    self._executor.stop(command.pack_id)
                case Charge():
                    self._charge(command)
                case GiveUp():
                    self._tracker.give_up(command.key, command.reasons)
                    self._settle([command.key])
                    self._notice_failure(command.reasons[-1])

    def _start(self, command: Start) -> list[Command]:
        """Hand over what is not settled; the commands that follow from the rest."""
        pack = command.pack
        attempts = self._tracker.begin([trial.key for trial in pack.trials])
        found = frozenset(trial.key for trial in pack.trials) - attempts.keys() - pack.again
        left = tuple(trial for trial in pack.trials if trial.key not in found)
        if left:
            self._started[pack.id] = replace(pack, trials=left, attempts=attempts)
            self._executor.start(self._started[pack.id])
        if not found:
            return []
        self._settle(sorted(found))  # by another sweep, since this round was recorded
        return self._board.handle(Found(pack.id, found))

    def _charge(self, command: Charge) -> None:
        pack = self._started.pop(command.pack_id, None)
        if pack:
            self._tracker.charge(pack.attempts, command.reason, command.charge, command.where)

    def _notice_failure(self, reason: str) -> None:
        self._last_reason = reason
        if reason.startswith(TEACHER_GIVEN_UP):  # which was noticed itself
            return
        kind = reason.split(":")[0]  # the rest names a process or a place
        self._reasons[kind] += 1
        if not self._rounds.answered and self._reasons[kind] >= ALIKE:
            raise _failed(self._reasons[kind], reason)

    # limits and progress

    def _stop_if_asked(self) -> None:
        if self._interrupted():
            raise Interrupted("stopped on request; everything committed is kept")

    def _is_late(self, elapsed_s: float) -> bool:
        hours = self.spec.search.max_hours
        return hours is not None and elapsed_s > 3600.0 * hours

    def _wind_up(self) -> None:
        """Start nothing more; keep what the packs that run still bring."""
        self._board.start_no_more()
        while self._board.running:
            for fact in self._executor.wait(WAIT_S):
                self._hear(fact)
            self._stop_if_asked()

    def _tell(self, final: bool) -> None:
        now = self._clock()
        if not final and now - self._told_at < TELL_S:
            return
        self._told_at = now
        running = [trial for pack in self._board.running for trial in pack.trials]
        left_s = self._board.cost.total_s([*running, *self._board.waiting()])
        self._watch(
            Progress(
                round=self._rounds.count,
                asked=self._rounds.trials,
                answered=self._rounds.answered,
                gaps=self._rounds.gaps,
                cached=self._cached,
                running=len(running),
                left_s=left_s / max(1, self._executor.slots),
                so_far=self._rounds.so_far,
            )
        )


def has_teacher(learner: Learner) -> bool:
    """Whether trials of this learner may learn from others."""
    return type(learner).teacher is not Learner.teacher


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the search for garbage: all that a large ledger holds is made at once and stays, and
    the search walks through it again and again, a fifth of the time of 10^5 trials.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _failed(count: int, reason: str) -> EveryTrialFailed:
    return EveryTrialFailed(
        f"the first {count} trials all failed alike and none was answered: {reason}"
    )
