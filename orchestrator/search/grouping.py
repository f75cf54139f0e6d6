"""From a study's history to groups that inference understands, and back."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from orchestrator.inference.threshold import Asked, Choice
from orchestrator.search.history import History, Spot
from orchestrator.search.planning import AtHand, Group, Work, equal_work
from orchestrator.search.space import Context, Names, Place, Range, coordinates

ContextWork = Callable[[Mapping[str, Any], int], float]
"""Nominal work of one trial, by context and n."""

ContextAtHand = Callable[[Mapping[str, Any], int], int]
"""Trials that cost nothing among those to be asked next, by context and n."""


@dataclass(frozen=True)
class Grouped:
    """Asked thresholds by group. `contexts[g][i]` is what `groups[g].asked[i]` is about."""

    groups: tuple[Group, ...]
    contexts: tuple[tuple[Context, ...], ...]

    def spot(self, group: int, choice: Choice) -> Spot:
        """The context and n that a choice of a group is about."""
        places = [(asked.d, asked.k) for asked in self.groups[group].asked]
        return self.contexts[group][places.index((choice.d, choice.k))], choice.n

    def with_pending(self, planned: Sequence[tuple[int, Choice]]) -> "Grouped":
        """The same with more in flight."""
        groups = []
        for place, group in enumerate(self.groups):
            flying: Counter[tuple[int, int, int]] = Counter()
            for choice in (*group.pending, *(c for at, c in planned if at == place)):
                flying[choice.d, choice.k, choice.n] += choice.repeats
            merged = tuple(Choice(*point, flying[point]) for point in sorted(flying))
            groups.append(replace(group, pending=merged))
        return replace(self, groups=tuple(groups))


@dataclass(frozen=True)
class Grouping:
    """How a sampler's thresholds become groups: what contexts are called, what trials cost."""

    names: Names
    work: ContextWork | None = None
    at_hand: ContextAtHand | None = None

    def of(
        self, history: History, asked: Mapping[Context, Range], pending: Mapping[Spot, int]
    ) -> Grouped:
        """Thresholds in groups, in the order of `asked`, with all that is known there.

        `asked` may be some of all that the study asks. Contexts that were tried but are not among
        them inform those of their group.
        """
        flying = (context for context, _ in pending)
        known = (*history.asked(), *asked, *history.counted, *flying)
        places = coordinates(list(dict.fromkeys(known)))
        members: dict[Context, dict[Context, Place]] = {}
        for context, place in places.items():
            members.setdefault(place.group, {})[context] = place
        groups = list(dict.fromkeys(places[context].group for context in asked))
        own = [{c: asked[c] for c in asked if places[c].group == group} for group in groups]
        return Grouped(
            groups=tuple(
                self._group(history, members[group], ranges, pending)
                for group, ranges in zip(groups, own, strict=True)
            ),
            contexts=tuple(tuple(ranges) for ranges in own),
        )

    def _group(
        self,
        history: History,
        places: Mapping[Context, Place],
        asked: Mapping[Context, Range],
        pending: Mapping[Spot, int],
    ) -> Group:
        """One group, given where its contexts stand. What is known is in the order of (d, k, n)."""
        counted = sorted(
            (
                (place.d_k, history.counted[context].tallies(*place.d_k))
                for context, place in places.items()
                if context in history.counted
            ),
            key=itemgetter(0),
        )
        flying = sorted(
            (*places[context].d_k, n, repeats)
            for (context, n), repeats in pending.items()
            if context in places
        )
        contexts = {places[context].d_k: context for context in asked}
        return Group(
            asked=tuple(Asked(*places[context].d_k, *ends) for context, ends in asked.items()),
            tallies=tuple(tally for _, tallies in counted for tally in tallies),
            pending=tuple(Choice(d, k, n, repeats) for d, k, n, repeats in flying),
            work=self._work(contexts),
            at_hand=self._at_hand(contexts),
        )

    def _work(self, contexts: Mapping[tuple[int, int], Context]) -> Work:
        work = self.work
        if work is None:
            return equal_work
        return lambda d, n, k: work(self.names.params(contexts[d, k]), n)

    def _at_hand(self, contexts: Mapping[tuple[int, int], Context]) -> AtHand | None:
        at_hand = self.at_hand
        if at_hand is None:
            return None
        return lambda d, n, k: at_hand(self.names.params(contexts[d, k]), n)
