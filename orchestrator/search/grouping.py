"""From a study's history to groups that inference understands, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.inference.threshold import Asked, Choice, Tally
from orchestrator.search.history import History
from orchestrator.search.planning import AtHand, Group, Work, equal_work
from orchestrator.search.space import Context, Place, Range, coordinates

ContextWork = Callable[[Mapping[str, Any], int], float]
"""Nominal work of one trial, by context and n."""

ContextAtHand = Callable[[Mapping[str, Any], int], int]
"""Trials that cost nothing among those to be asked next, by context and n."""


@dataclass(frozen=True)
class Grouped:
    """Asked thresholds by group. `contexts[g][i]` is what `groups[g].asked[i]` is about."""

    groups: tuple[Group, ...]
    contexts: tuple[tuple[Context, ...], ...]

    def context(self, group: int, choice: Choice) -> Context:
        """The context that a choice of a group is about."""
        places = [(asked.d, asked.k) for asked in self.groups[group].asked]
        return self.contexts[group][places.index((choice.d, choice.k))]


def grouped(
    history: History,
    asked: Mapping[Context, Range],
    work: ContextWork | None = None,
    at_hand: ContextAtHand | None = None,
) -> Grouped:
    """The asked thresholds in groups, in the order of `asked`, with all that is known there.

    Contexts that were tried but are not asked inform those of their group.
    """
    tried = (context for context, _ in (*history.answered, *history.pending))
    places = coordinates(list(dict.fromkeys((*asked, *tried))))
    members: dict[Context, dict[Context, Range]] = {}
    for context, ends in asked.items():
        members.setdefault(places[context].group, {})[context] = ends
    return Grouped(
        groups=tuple(_group(history, places, own, work, at_hand) for own in members.values()),
        contexts=tuple(tuple(own) for own in members.values()),
    )


def _group(
    history: History,
    places: Mapping[Context, Place],
    asked: Mapping[Context, Range],
    work: ContextWork | None,
    at_hand: ContextAtHand | None,
) -> Group:
    name = places[next(iter(asked))].group
    tallies = [
        Tally(*places[context].d_k, n, *counts)
        for (context, n), counts in history.answered.items()
        if places[context].group == name
    ]
    pending = [
        Choice(*places[context].d_k, n, repeats)
        for (context, n), repeats in history.pending.items()
        if places[context].group == name
    ]
    contexts = {places[context].d_k: context for context in asked}
    return Group(
        asked=tuple(Asked(*places[context].d_k, *ends) for context, ends in asked.items()),
        tallies=tuple(sorted(tallies, key=lambda tally: (tally.d, tally.k, tally.n))),
        pending=tuple(sorted(pending, key=lambda choice: (choice.d, choice.k, choice.n))),
        work=_work(history, work, contexts),
        at_hand=_at_hand(history, at_hand, contexts),
    )


def _work(
    history: History, work: ContextWork | None, contexts: Mapping[tuple[int, int], Context]
) -> Work:
    if work is None:
        return equal_work
    return lambda d, n, k: work(history.names.params(contexts[d, k]), n)


def _at_hand(
    history: History, at_hand: ContextAtHand | None, contexts: Mapping[tuple[int, int], Context]
) -> AtHand | None:
    if at_hand is None:
        return None
    return lambda d, n, k: at_hand(history.names.params(contexts[d, k]), n)
