"""From proposals to trials, lazily: only the rounds in flight are ever expanded."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.asks import Ask


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
        target, learner = self._arms[ask.arm]
        cell = Cell(target, tuned(learner, ask.tuned), ask.point)
        first = self._asked[cell.canonical]
        self._asked[cell.canonical] += ask.repeats
        return [Trial(cell, first + repeat, self._seed) for repeat in range(ask.repeats)]


def tuned(learner: Learner, fields: Mapping[str, Any]) -> Learner:
    """The learner with those fields set. Raises `PluginError` when they do not fit."""
    return _tuned(learner, canonical_json(dict(fields))) if fields else learner


@lru_cache(maxsize=4096)
def _tuned(learner: Learner, fields: str) -> Learner:
    return Learner.from_settings({**learner.settings, **json.loads(fields)})
