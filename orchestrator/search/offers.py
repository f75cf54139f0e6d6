"""Which thresholds a study asks about, from what its trials were offered."""

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from orchestrator.search.space import Context, Names, Range, levels, span


class Offers:
    """Values of the context and ranges of n, as they were offered to trials.

    Trials are noted in any order, running ones again and again: of two offers the newer is the one
    made to the trial with the higher number. Where a context's range of n differed between calls,
    it is the union of them.
    """

    def __init__(self, names: Names, given: Mapping[Context, Range]) -> None:
        self._names = names
        self._given = given
        self._values: dict[tuple[str, Context | None], tuple[float, BaseDistribution]] = {}
        self._range: tuple[float, Range] | None = None
        self._tried: dict[Context, tuple[int, Range]] = {}

    def copy(self) -> "Offers":
        """The same offers, to which more can be added."""
        other = Offers(self._names, self._given)
        other._values, other._tried = dict(self._values), dict(self._tried)
        other._range = self._range
        return other

    def note(
        self,
        number: int,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        *,
        now: bool = False,
    ) -> None:
        """Note what trial `number` was offered; `now` makes it newer than any other offer."""
        age = math.inf if now else number
        prefix: Context = ()
        for name in self._names.context:
            if name in distributions:
                self._note_values(age, name, None, distributions[name])
                self._note_values(age, name, prefix, distributions[name])
            if name not in params:
                break
            prefix = (*prefix, params[name])
        if self._names.n in distributions:
            self._note_range(age, number, params, span(distributions[self._names.n]))

    def asked(self) -> dict[Context, Range]:
        """The thresholds given in advance; without any, contexts as offered, then others tried.

        A context that was offered and never tried has the newest range of n.
        """
        if self._given:
            return dict(self._given)
        tried = dict(sorted(self._tried.items(), key=lambda item: item[1][0]))
        known: dict[Context, Range] = {}
        if self._range is not None:
            known = dict.fromkeys(self._offered(()), self._range[1])
        return {**known, **{context: ends for context, (_, ends) in tried.items()}}

    def _note_values(
        self, age: float, name: str, prefix: Context | None, distribution: BaseDistribution
    ) -> None:
        known = self._values.get((name, prefix))
        if known is None or known[0] <= age:
            self._values[name, prefix] = age, distribution

    def _note_range(self, age: float, number: int, params: Mapping[str, Any], ends: Range) -> None:
        if self._range is None or self._range[0] <= age:
            self._range = age, ends
        context = self._names.context_of(params)
        if context is not None:
            first, known = self._tried.get(context, (number, ends))
            union = min(known[0], ends[0]), max(known[1], ends[1])
            self._tried[context] = min(first, number), union

    def _offered(self, prefix: Context) -> list[Context]:
        if len(prefix) == len(self._names.context):
            return [prefix]
        name = self._names.context[len(prefix)]
        offer = self._values.get((name, prefix)) or self._values.get((name, None))
        if offer is None:
            return []
        return [
            context for value in levels(offer[1]) for context in self._offered((*prefix, value))
        ]
