"""What a sampler does with one study: reads it, and decides what a trial is suggested."""

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from orchestrator.search.chance import Chance
from orchestrator.search.grouping import Grouping
from orchestrator.search.handout import Asking, Designs
from orchestrator.search.history import History, Reader, Spot
from orchestrator.search.planning import Goal
from orchestrator.search.slot import Slot
from orchestrator.search.space import Context, Range, common, levels, nearest, span


class Desk:
    """Suggestions for one study, which is given anew each time so that nothing here holds it.

    What it keeps saves time and decides nothing: trials read, and designs made.
    """

    def __init__(
        self, goal: Goal, grouping: Grouping, given: Mapping[Context, Range], chance: Chance
    ) -> None:
        self._names = grouping.names
        self._given = given
        self._chance = chance
        self._reader = Reader(grouping.names, given)
        self._designs = Designs(grouping, goal)

    def read(self, study: Study) -> History:
        """The study as it stands."""
        return self._reader.read(study.get_trials(deepcopy=False))

    def context(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """A value of the context parameter `name`, which the trial is offered.

        It is that of the trial's slot where it has one; else one is chosen among the contexts that
        the trial can still come to.
        """
        offered, place = levels(distribution), self._names.context.index(name)
        slot = Slot.of(trial.system_attrs)
        if slot and self._names.reaches(slot.context, trial.params, name, offered):
            return slot.context[place]
        history = self._read_for(study, trial, name, distribution)
        allowed = {
            context: ends
            for context, ends in history.asked().items()
            if self._names.reaches(context, trial.params, name, offered)
        }
        if not allowed:  # no range of n is known yet, so contexts take turns
            return offered[(self._chance.number(0, name) + trial.number) % len(offered)]
        return self._spot(study, trial, history, allowed)[0][place]

    def n(self, study: Study, trial: FrozenTrial, distribution: BaseDistribution) -> Any:
        """A value of n for the context that the trial has, in the range that it is offered.

        It is that of the trial's slot where its design foresaw such a range. Without a context it
        is drawn at random, with a warning.
        """
        ends, context = span(distribution), self._names.context_of(trial.params)
        if context is None:
            warnings.warn(
                f"{self._names.n!r} was suggested before {list(self._names.context)}; it is drawn "
                "at random. Suggest the context first.",
                stacklevel=3,
            )
            return nearest(distribution, self._chance.rung(trial.number, ends))
        ends = common(ends, self._given.get(context, ends))
        slot = Slot.of(trial.system_attrs)
        if slot and slot.serves(context, ends):
            return nearest(distribution, slot.n)
        history = self._read_for(study, trial, self._names.n, distribution)
        return nearest(distribution, self._spot(study, trial, history, {context: ends})[1])

    def _read_for(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> History:
        """The study without a trial, save for what that is offered at this moment."""
        history = self._reader.read(study.get_trials(deepcopy=False), but=trial.number)
        offered = {**trial.distributions, name: distribution}
        history.offers.note(trial.number, trial.params, offered, now=True)
        return history

    def _spot(
        self, study: Study, trial: FrozenTrial, history: History, allowed: Mapping[Context, Range]
    ) -> Spot:
        """The next context, one of `allowed`, and n. The trial keeps its slot in the study."""
        slot = self._designs.next(
            history, allowed, Asking(trial.number, self._names.chosen(trial.params))
        )
        if slot is None:
            return self._elsewhere(history, allowed, trial.number)
        fixed = trial.system_attrs.get("fixed_params", {})
        if self._names.n not in {**fixed, **trial.params}:
            slot.keep(study, trial)
        return slot.context, slot.n

    def _elsewhere(self, history: History, allowed: Mapping[Context, Range], number: int) -> Spot:
        """A rung at random in the allowed context tried least: nothing is left to decide."""
        tried = Counter(context for context, _ in history.pending())
        tried.update({context: len(counted) for context, counted in history.counted.items()})
        context = min(allowed, key=lambda context: tried[context])
        return context, self._chance.rung(number, allowed[context])
