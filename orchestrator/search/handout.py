"""Joint designs, handed out one trial at a time.

Trials that ask while no result arrives share one design. It is identified by all that it was made
from: the finished trials, the thresholds asked, what was in flight then, and the goal. Each trial
keeps its slot, that is the design's name and a rank in it, in the study's storage. So whoever asks
next, in whichever process, makes or remembers the same design and takes the next free rank: which
suggestion comes next is a function of the study alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np

from orchestrator.search import planning
from orchestrator.search.grouping import Grouped, Grouping
from orchestrator.search.history import History, Running, Spot, pending
from orchestrator.search.planning import Goal
from orchestrator.search.slot import Slot
from orchestrator.search.space import Context, Range

REMEMBERED = 4
"""Designs kept. One is in use at a time; a trial whose range was not foreseen needs another."""


@dataclass(frozen=True)
class Asking:
    """A trial that asks for its slot: its number, and what it has chosen of its context."""

    number: int
    chosen: Mapping[str, Any]

    def waits_for(self, other: Running) -> bool:
        """Whether `other` is about to choose among the same thresholds, and comes first."""
        return other.spot is None and other.number < self.number and other.chosen == self.chosen


class Design:
    """One joint design as an endless queue of single trials.

    It is made in batches, each counting all before it as pending: first one trial, as nobody knows
    how many will ask, then always as many as there are already, so that sixteen take five batches.
    A batch is in random order: who takes only part of it favours no threshold.
    """

    def __init__(self, name: str, known: Grouped, goal: Goal) -> None:
        self._name = name
        self._known = known
        self._goal = goal
        self._spots: list[Spot] = []

    def spot(self, rank: int) -> Spot | None:
        """The context and n of a rank; None when every threshold is settled, however tightly."""
        while len(self._spots) <= rank:
            more = self._batch(max(1, len(self._spots)))
            if not more:
                return None
            self._spots += more
        return self._spots[rank]

    def _batch(self, trials: int) -> list[Spot]:
        planned = planning.plan_on(self._known.groups, trials, self._goal)
        self._known = self._known.with_pending(planned)
        spots = [self._known.spot(group, c) for group, c in planned for _ in range(c.repeats)]
        generator = np.random.default_rng([int(self._name, 16), len(self._spots)])
        return [spots[place] for place in generator.permutation(len(spots))]


class Designs:
    """Hands out the slots of a study's designs; remembers the newest, to save time only."""

    def __init__(self, grouping: Grouping, goal: Goal) -> None:
        self._grouping = grouping
        self._goal = goal
        self._newest: dict[str, Design] = {}

    def next(
        self, history: History, allowed: Mapping[Context, Range], asking: Asking
    ) -> Slot | None:
        """The slot of a trial that may try any of the `allowed` thresholds.

        Trials with lower numbers that are about to choose among the same are left the ranks before.
        None when every one of these thresholds is settled.
        """
        name, fellows = self._joined(history, allowed)
        if name not in self._newest:
            others = pending(t for t in history.running if t not in fellows)
            known = self._grouping.of(history, allowed, others)
            self._newest[name] = Design(name, known, self._goal)
            for oldest in list(self._newest)[:-REMEMBERED]:
                del self._newest[oldest]
        taken = {trial.slot.rank for trial in fellows if trial.slot is not None}
        ahead = sum(asking.waits_for(other) for other in history.running)
        free = (rank for rank in count() if rank not in taken)
        rank = next(islice(free, ahead, None))
        spot = self._newest[name].spot(rank)
        return None if spot is None else Slot(name, rank, *spot, allowed[spot[0]])

    def _joined(
        self, history: History, allowed: Mapping[Context, Range]
    ) -> tuple[str, list[Running]]:
        """The design to go on with, and the running trials that have slots in it.

        One that a running trial names, if it would be made again as things stand, else a new one.
        """
        names = dict.fromkeys(trial.slot.design for trial in history.running if trial.slot)
        for name in names:
            fellows = [trial for trial in history.running if trial.follows(name)]
            if fellows and self._name(history, allowed, fellows) == name:
                return name, fellows
        return self._name(history, allowed, []), []

    def _name(
        self, history: History, allowed: Mapping[Context, Range], fellows: list[Running]
    ) -> str:
        others = pending(trial for trial in history.running if trial not in fellows)
        made_from = history.finished, allowed, sorted(others.items(), key=repr), self._goal
        return hashlib.blake2b(repr(made_from).encode(), digest_size=8).hexdigest()
