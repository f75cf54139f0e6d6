"""From proposals to trials, lazily: only the rounds in flight are ever expanded."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.asks import Ask
from orchestrator.spec.tuning import TARGET

_P = TypeVar("_P", Target, Learner)


class Expansion:
    """Numbers the repeats of every point, in the order in which rounds ask for them.

    A point asked for again gets the next repeat numbers, so the trials of a round follow from the
    rounds before it and from nothing else. Repeats start at 0, so that sweeps of equal seed meet in
    the ledger.
    """

    def __init__(self, arms: Sequence[tuple[Target, Learner]], seed: int) -> None:
        self._arms = tuple(arms)
        self._seed = seed
        self._asked: Counter[str] = Counter()

    def trials(self, asks: Sequence[Ask]) -> list[tuple[Ask, Trial]]:
        """The trials of one round, each with its ask; call once per round, in order."""
        return [(ask, trial) for ask in asks for trial in self._of(ask)]

    def _of(self, ask: Ask) -> list[Trial]:
        cell = Cell(*tuned(*self._arms[ask.arm], ask.tuned), ask.point)
        first = self._asked[cell.canonical]
        self._asked[cell.canonical] += ask.repeats
        return [Trial(cell, first + repeat, self._seed) for repeat in range(ask.repeats)]


def tuned(target: Target, learner: Learner, fields: Mapping[str, Any]) -> tuple[Target, Learner]:
    """Both with those fields set, the target's being those with `target.` in front.

    Raises `PluginError` when they do not fit.
    """
    if not fields:
        return target, learner
    of_target = {n.removeprefix(TARGET): v for n, v in fields.items() if n.startswith(TARGET)}
    of_learner = {n: v for n, v in fields.items() if not n.startswith(TARGET)}
    return _set(target, canonical_json(of_target)), _set(learner, canonical_json(of_learner))


def fields_of(target: Target, learner: Learner, names: Sequence[str]) -> dict[str, Any]:
    """The inverse: those fields as they are set."""
    return {
        name: target.settings[name.removeprefix(TARGET)]
        if name.startswith(TARGET)
        else learner.settings[name]
        for name in names
    }


@lru_cache(maxsize=4096)
def _set(plugin: _P, fields: str) -> _P:
    return type(plugin).from_settings({**plugin.settings, **json.loads(fields)})
