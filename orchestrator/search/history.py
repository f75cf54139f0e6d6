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

Trials without n or without their whole context are ignored, save that a running one is counted as
`unplaced`: it is about to choose, at the same moment as the trial that is asking.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from orchestrator.search.space import Context, Range, levels, span

Counts = tuple[int, int, int]
"""Successes, answered trials, gaps."""


@dataclass(frozen=True)
class Names:
    """Which suggested parameters mean what."""

    n: str
    context: tuple[str, ...]

    def context_of(self, params: Mapping[str, Any]) -> Context | None:
        """The values of the context; None when one is missing."""
        if any(name not in params for name in self.context):
            return None
        return tuple(params[name] for name in self.context)

    def params(self, context: Context) -> dict[str, Any]:
        """The inverse: values by name."""
        return dict(zip(self.context, context, strict=True))


@dataclass
class History:
    """A study as counts.

    `answered` and `pending` are by (context, n). `given` are the thresholds named in advance, if
    they were; `ranges` are those of contexts that were tried.
    """

    names: Names
    given: Mapping[Context, Range] = field(default_factory=dict)
    ranges: dict[Context, Range] = field(default_factory=dict)
    answered: dict[tuple[Context, int], Counts] = field(default_factory=dict)
    pending: Counter[tuple[Context, int]] = field(default_factory=Counter)
    unplaced: int = 0
    _latest: dict[str, BaseDistribution] = field(default_factory=dict)
    _after: dict[tuple[str, Context], BaseDistribution] = field(default_factory=dict)
    _range: Range | None = None

    @classmethod
    def read(
        cls,
        trials: Iterable[FrozenTrial],
        names: Names,
        *,
        asked: Mapping[Context, Range] | None = None,
        before: int | None = None,
    ) -> "History":
        """Everything but trial `before`; `unplaced` counts running trials with lower numbers."""
        history = cls(names, given=asked or {})
        for trial in trials:
            if trial.number != before:
                history.learn(trial.params, trial.distributions)
                history._count(trial, before)
        return history

    def learn(
        self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Note which values and which range of n were offered to a trial."""
        prefix: Context = ()
        for name in self.names.context:
            if name in distributions:
                self._latest[name] = distributions[name]
                self._after[name, prefix] = distributions[name]
            if name not in params:
                break
            prefix = (*prefix, params[name])
        if self.names.n in distributions:
            self._range = span(distributions[self.names.n])
            context = self.names.context_of(params)
            if context is not None:
                self.ranges[context] = _union(self.ranges.get(context), self._range)

    def asked(self) -> dict[Context, Range]:
        """The thresholds given in advance; without any, contexts as offered, then others tried.

        A context that was offered and never tried has the range that was offered last. Where a
        context's range differed between calls it is the union of them.
        """
        if self.given:
            return dict(self.given)
        known: dict[Context, Range] = {}
        for context in self._offered(()):
            ends = self.ranges.get(context, self._range)
            if ends is not None:
                known[context] = ends
        return {**known, **self.ranges}

    def _offered(self, prefix: Context) -> list[Context]:
        if len(prefix) == len(self.names.context):
            return [prefix]
        name = self.names.context[len(prefix)]
        distribution = self._after.get((name, prefix), self._latest.get(name))
        if distribution is None:
            return []
        return [
            context for value in levels(distribution) for context in self._offered((*prefix, value))
        ]

    def _count(self, trial: FrozenTrial, before: int | None) -> None:
        params = trial.params
        if trial.state == TrialState.WAITING:
            params = trial.system_attrs.get("fixed_params", {})
        context, n = self.names.context_of(params), params.get(self.names.n)
        if context is None or n is None:
            is_choosing = trial.state == TrialState.RUNNING
            self.unplaced += is_choosing and before is not None and trial.number < before
            return
        place = (context, max(1, round(n)))
        if not trial.state.is_finished():
            self.pending[place] += int(trial.user_attrs.get("repeats", 1))
            return
        more = outcome(trial.state, trial.values, trial.user_attrs)
        known = self.answered.get(place, (0, 0, 0))
        self.answered[place] = (known[0] + more[0], known[1] + more[1], known[2] + more[2])


def outcome(state: TrialState, values: Sequence[float] | None, attrs: Mapping[str, Any]) -> Counts:
    """Successes, answered trials and gaps of a finished Optuna trial."""
    if state != TrialState.COMPLETE or values is None:
        return 0, 0, int(attrs.get("repeats", 1))
    if "trials" in attrs:
        return int(attrs["successes"]), int(attrs["trials"]), int(attrs.get("gaps", 0))
    if values[0] in (0.0, 1.0):
        return int(values[0]), 1, 0
    return 0, 0, 1


def _union(known: Range | None, more: Range) -> Range:
    return more if known is None else (min(known[0], more[0]), max(known[1], more[1]))
