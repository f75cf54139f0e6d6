"""What an Optuna study says about thresholds: what is asked, what was counted, what is running.

Trials are read in every state:

    COMPLETE   value 1 or 0: one success or one failure. With user attributes `successes` and
               `trials` (and `gaps`) a block of repeats, whatever the value. Any other value is
               no answer: a gap.
    FAIL       no answer: a gap (a nan value makes Optuna fail the trial).
    PRUNED     no answer: a gap, since what was pruned might have succeeded yet.
    RUNNING    pending at its n, `repeats` times (user attribute, default 1). A process that died
               leaves its trial pending until someone tells the study that it failed.
    WAITING    pending at its enqueued values, when they name an n and a whole context.

Trials without n or without their whole context are not counted. One that is running and has not
chosen yet is at its slot, where it has one, else nowhere: it is about to choose.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from orchestrator.inference.threshold import Tally
from orchestrator.search.offers import Offers
from orchestrator.search.slot import Slot
from orchestrator.search.space import Context, Names, Range

Counts = tuple[int, int, int]
"""Successes, answered trials, gaps."""

Spot = tuple[Context, int]
"""A context and an n."""


class Counted:
    """Counts of one context, by n."""

    def __init__(self) -> None:
        self._by_n: dict[int, Counts] = {}
        self._at: tuple[int, int] = (0, 0)
        self._tallies: tuple[Tally, ...] | None = None

    def add(self, n: int, more: Counts) -> None:
        """Count further trials at n."""
        known = self._by_n.get(n, (0, 0, 0))
        self._by_n[n] = known[0] + more[0], known[1] + more[1], known[2] + more[2]
        self._tallies = None

    def tallies(self, d: int, k: int) -> tuple[Tally, ...]:
        """The counts as tallies at (d, k) in order of n, made again only when there are more."""
        if self._tallies is None or self._at != (d, k):
            self._at = d, k
            self._tallies = tuple(Tally(d, k, n, *self._by_n[n]) for n in sorted(self._by_n))
        return self._tallies

    def __len__(self) -> int:
        return len(self._by_n)


@dataclass(frozen=True)
class Running:
    """A trial without an answer yet: where it is, or how much of its context it has chosen."""

    number: int
    spot: Spot | None
    chosen: Mapping[str, Any]
    repeats: int
    slot: Slot | None

    def follows(self, design: str) -> bool:
        """Whether the trial takes up one place of `design`, and no more."""
        return self.slot is not None and self.slot.design == design and self.repeats == 1


@dataclass(frozen=True)
class History:
    """A study as counts. It holds until its reader reads again.

    `finished` is how many finished trials were read: as these neither change nor go away, it says
    which. `counted` is by context.
    """

    finished: int
    offers: Offers
    counted: Mapping[Context, Counted]
    running: tuple[Running, ...]

    def asked(self) -> dict[Context, Range]:
        """The asked thresholds and their ranges of n (`Offers.asked`)."""
        return self.offers.asked()

    def pending(self) -> Counter[Spot]:
        """Repeats in flight, by context and n."""
        return pending(self.running)


def pending(running: Iterable[Running]) -> Counter[Spot]:
    """Repeats in flight of these trials, by context and n."""
    counts: Counter[Spot] = Counter()
    for trial in running:
        if trial.spot is not None:
            counts[trial.spot] += trial.repeats
    return counts


class Reader:
    """Reads one study again and again: every finished trial once, all others each time."""

    def __init__(self, names: Names, given: Mapping[Context, Range]) -> None:
        self._names = names
        self._read: set[int] = set()
        self._through = 0
        self._offers = Offers(names, given)
        self._counted: dict[Context, Counted] = {}

    def read(self, trials: Sequence[FrozenTrial], *, but: int | None = None) -> History:
        """All `trials` of the study, in order of their numbers, save the one with number `but`."""
        unread = [t for t in trials[self._through :] if t.number not in self._read]
        for trial in unread:
            if trial.state.is_finished():
                self._count(trial)
        while self._through < len(trials) and trials[self._through].number in self._read:
            self._through += 1
        offers = self._offers.copy()
        running = [t for t in unread if not t.state.is_finished() and t.number != but]
        for trial in running:
            offers.note(trial.number, trial.params, trial.distributions)
        in_flight = [self._running(trial) for trial in running]
        return History(len(self._read), offers, self._counted, tuple(filter(None, in_flight)))

    def _count(self, trial: FrozenTrial) -> None:
        self._read.add(trial.number)
        self._offers.note(trial.number, trial.params, trial.distributions)
        spot = self._spot(trial.params)
        if spot is not None:
            more = outcome(trial.state, trial.values, trial.user_attrs)
            self._counted.setdefault(spot[0], Counted()).add(spot[1], more)

    def _running(self, trial: FrozenTrial) -> Running | None:
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        slot = Slot.of(trial.system_attrs)
        spot = self._spot(params)
        if spot is None and slot is not None:
            spot = slot.context, slot.n
        if spot is None and trial.state == TrialState.WAITING:
            return None
        return Running(
            number=trial.number,
            spot=spot,
            chosen=self._names.chosen(params),
            repeats=int(trial.user_attrs.get("repeats", 1)),
            slot=slot,
        )

    def _spot(self, params: Mapping[str, Any]) -> Spot | None:
        context, n = self._names.context_of(params), params.get(self._names.n)
        return None if context is None or n is None else (context, max(1, round(n)))


def outcome(state: TrialState, values: Sequence[float] | None, attrs: Mapping[str, Any]) -> Counts:
    """Successes, answered trials and gaps of a finished Optuna trial.

    A block whose counts make no sense is a block of gaps.
    """
    if state != TrialState.COMPLETE or values is None:
        return 0, 0, int(attrs.get("repeats", 1))
    if "trials" in attrs:
        trials, successes = int(attrs["trials"]), int(attrs.get("successes", -1))
        if not 0 <= successes <= trials:
            return 0, 0, max(1, trials)
        return successes, trials, int(attrs.get("gaps", 0))
    if values[0] in (0.0, 1.0):
        return int(values[0]), 1, 0
    return 0, 0, 1
