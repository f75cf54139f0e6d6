"""One round of choices over groups of thresholds. Pure functions of counts; no optuna here.

A group is a set of thresholds that teach each other something: those of one arm, or the contexts
of an Optuna study that differ in numbers only. Groups share a round's trials and nothing else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from orchestrator.inference import design, law, psychometric
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Aim, Asked, Choice, Tally

Work = Callable[[int, int, int], float]
"""Nominal work of one trial at (d, n, k), in any unit."""


AtHand = Callable[[int, int, int], int]
"""Trials at (d, n, k), of those to be asked next, that cost nothing."""

KEPT = 128
"""Posteriors kept: two for each of the most settings that are raced (`race`)."""

TIGHTER = 4
"""How often the tolerance is halved for trials that come after everything is settled."""


def equal_work(d: int, n: int, k: int) -> float:
    """Every trial costs the same."""
    return 1.0


@dataclass(frozen=True)
class Goal:
    """What is wanted of every threshold: success at `level`, known to `tolerance` (relative half
    width of its interval) with probability `confidence`.

    With aim `exponents` the tolerance bounds half the width of every apparent exponent's interval
    over the group instead (`inference.law.exponents_settled`).
    """

    level: float = 0.5
    confidence: float = 0.95
    tolerance: float = 0.05
    aim: Aim = "thresholds"


@dataclass(frozen=True)
class Group:
    """Thresholds to be found together, what is known of them, and what is still running.

    Tallies and pending choices are sorted, so that equal knowledge is equal whatever the order in
    which it arrived. Pending choices may lie outside `asked`; tallies there are learned from too.
    """

    asked: tuple[Asked, ...]
    tallies: tuple[Tally, ...] = ()
    pending: tuple[Choice, ...] = ()
    work: Work = field(default=equal_work, compare=False)
    at_hand: AtHand | None = field(default=None, compare=False)

    @property
    def spent(self) -> int:
        """Trials answered, given up, or running."""
        answered = sum(tally.trials + tally.gaps for tally in self.tallies)
        return answered + sum(choice.repeats for choice in self.pending)


def posterior(group: Group, goal: Goal) -> Posterior:
    """What the tallies of a group say about its thresholds."""
    return fitted(group.asked, group.tallies, goal)


@lru_cache(maxsize=KEPT)
def fitted(asked: tuple[Asked, ...], tallies: tuple[Tally, ...], goal: Goal) -> Posterior:
    """The posterior of thresholds that teach each other something, fitted once for all goals."""
    return _fitted(asked, tallies, goal.level).toward(goal.confidence, goal.tolerance)


@lru_cache(maxsize=KEPT)
def _fitted(asked: tuple[Asked, ...], tallies: tuple[Tally, ...], level: float) -> Posterior:
    return psychometric.fit(asked, tallies, level=level, confidence=0.95, tolerance=math.inf)


def is_settled(group: Group, goal: Goal) -> bool:
    """Whether every threshold of the group, or every exponent, is known as the goal wants."""
    if goal.aim == "exponents":
        return _exponents_settled(group.asked, group.tallies, goal)
    found = posterior(group, goal)
    return all(found.settled(index) for index in range(len(group.asked)))


@lru_cache(maxsize=24)
def _exponents_settled(asked: tuple[Asked, ...], tallies: tuple[Tally, ...], goal: Goal) -> bool:
    return law.exponents_settled(fitted(asked, tallies, goal), goal.tolerance)


def plan(groups: Sequence[Group], trials: int, goal: Goal) -> list[tuple[int, Choice]]:
    """The best use of `trials` further trials: (group's place, choice), group after group.

    Groups with an unsettled threshold share the trials equally, the odd ones going to those that
    have spent least; settled groups get none. Empty when every group is settled.
    """
    unsettled = [place for place, group in enumerate(groups) if not is_settled(group, goal)]
    shares = _shares(trials, {place: groups[place].spent for place in unsettled})
    return [
        (place, choice)
        for place, share in shares.items()
        if share
        for choice in choose(groups[place], share, goal)
    ]


def plan_on(groups: Sequence[Group], trials: int, goal: Goal) -> list[tuple[int, Choice]]:
    """The same, and where every group is settled at half the tolerance, and so on.

    Empty when every group is settled after the last halving.
    """
    for halvings in range(TIGHTER + 1):
        tighter = replace(goal, tolerance=goal.tolerance / 2**halvings)
        if planned := plan(groups, trials, tighter):
            return planned
    return []


def choose(group: Group, trials: int, goal: Goal) -> list[Choice]:
    """The best use of `trials` further trials in one group; empty when it is settled.

    Exponents are judged by a law with scatter, which asks for more than the design expects: where
    the design thinks them known and asks next to nothing, it is asked again at half the tolerance.
    """
    for halvings in range(TIGHTER + 1):
        chosen = _designed(group, trials, goal, goal.tolerance / 2**halvings)
        if goal.aim == "thresholds" or sum(one.repeats for one in chosen) > 1 or trials == 1:
            return chosen
    return chosen


def _designed(group: Group, trials: int, goal: Goal, tolerance: float) -> list[Choice]:
    return design.choose(
        posterior(group, goal),
        group.asked,
        group.tallies,
        group.pending,
        trials=trials,
        work=group.work,
        tolerance=tolerance,
        at_hand=group.at_hand,
        aim=goal.aim,
    )


def _shares(trials: int, spent: dict[int, int]) -> dict[int, int]:
    """`trials` dealt out equally, what is left over to those with least spent; by place."""
    if not spent:
        return {}
    each, over = divmod(trials, len(spent))
    favoured = sorted(spent, key=lambda place: (spent[place], place))[:over]
    return {place: each + (place in favoured) for place in spent}
