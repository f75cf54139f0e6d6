"""Joint designs, handed out one trial at a time.

Trials that ask while no result arrives share one design. It is identified by all that it was made
from: the finished trials, the thresholds asked, what was in flight then, and the goal. Each trial
keeps its slot, that is the design's name and a rank in it, in the study's storage. So whoever asks
next, in whichever process, makes or remembers the same design and takes the next free rank: which
suggestion comes next is a function of the study alone.
"""

import hashlib
from collections.abc import Iterator, Mapping
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
        name = self._joined(history, allowed)
        if name not in self._newest:
            known = self._grouping.of(history, allowed, _others(history, name))
            self._newest[name] = Design(name, known, self._goal)
            for oldest in list(self._newest)[:-REMEMBERED]:
                del self._newest[oldest]
        ahead = sum(asking.waits_for(other) for other in history.running)
        rank = next(islice(_free(history, name), ahead, None))
        spot = self._newest[name].spot(rank)
        return None if spot is None else Slot(name, rank, *spot, allowed[spot[0]])

    def _joined(self, history: History, allowed: Mapping[Context, Range]) -> str:
        """The design to go on with.

        One that a running trial has a slot in, if it would be made again as things stand, else one
        that counts all running trials as pending.
        """
        names = dict.fromkeys(trial.slot.design for trial in history.running if trial.slot)
        for name in names:
            if self._name(allowed, history.finished, _others(history, name)) == name:
                return name
        return self._name(allowed, history.finished, history.pending())

    def _name(
        self, allowed: Mapping[Context, Range], finished: int, others: Mapping[Spot, int]
    ) -> str:
        made_from = allowed, finished, sorted(others.items(), key=repr), self._goal
        return hashlib.blake2b(repr(made_from).encode(), digest_size=8).hexdigest()


def _others(history: History, name: str) -> Mapping[Spot, int]:
    """What is in flight beside the trials with slots in the design called `name`."""
    return pending(trial for trial in history.running if not trial.follows(name))


def _free(history: History, name: str) -> Iterator[int]:
    """The ranks of a design that no running trial has, lowest first."""
    slots = [trial.slot for trial in history.running if trial.follows(name)]
    taken = {slot.rank for slot in slots if slot is not None}
    return (rank for rank in count() if rank not in taken)
