"""Threshold search for tuned learners: at every (d, k) the least n_star of the settings."""

from collections.abc import Sequence
from typing import Any

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Choice, Tally
from orchestrator.plan.expansion import tuned
from orchestrator.plan.reuse import Reusable, Stock
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.budget import Budget
from orchestrator.search.planning import AtHand, Goal, Work
from orchestrator.search.race import Race, Runner, choose, deal
from orchestrator.search.refinement import refined
from orchestrator.spec import Arm, ExperimentSpec
from orchestrator.spec.tuning import as_set


class TunedProposer:
    """Races the settings of `tune` in every arm; a `Proposer`.

    A race begins with every combination of the fields' values (`ExperimentSpec.candidates`). Values
    between those of a range enter it when they promise more than the tolerance (`refinement`), and
    once tried belong to it for good, so the settings of a round follow from the tallies.

    Arms share a round's trials equally, as in `ThresholdProposer`; what is left over of an arm that
    asks for fewer stays unasked. A round has `search.round` trials at most. `reusable` trials and
    `max_trials` mean what they mean there (`budget`); of settings that enter on the way it is not
    known beforehand what the store has.
    """

    def __init__(self, spec: ExperimentSpec, reusable: Sequence[Reusable] = ()) -> None:
        self._spec = spec
        self._stock = Stock(reusable)
        search = spec.search
        self._goal = Goal(search.level, search.confidence, search.tolerance)

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """The next round; empty when every threshold is settled or `max_trials` are asked."""
        budget = Budget.after(self._spec.search, self._stock, tallies, pending)
        if budget.round < 1:
            return []
        races = {arm.index: self._race(arm, tallies, pending, budget) for arm in self._spec.arms}
        weights = {index: 1.0 for index, race in races.items() if race.open}
        if not weights:
            return []
        asks = [
            Ask(index, _point(choice), choice.repeats, tuned=races[index].runners[place].setting)
            for index, share in deal(budget.round, weights).items()
            for place, choice in choose(races[index], share)
        ]
        return budget.within(asks)

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`tolerance` unless `max_trials` were spent with a threshold unsettled.

        A threshold that no setting can do more for (its trials become gaps) counts as settled.
        """
        budget = Budget.after(self._spec.search, self._stock, tallies, [])
        if budget.left >= 1:
            return "tolerance"
        races = [self._race(arm, tallies, [], budget) for arm in self._spec.arms]
        return "max_trials" if any(race.open for race in races) else "tolerance"

    def _race(
        self, arm: Arm, tallies: Sequence[ArmTally], pending: Sequence[Ask], budget: Budget
    ) -> Race:
        """The arm's race as it stands, with those settings that enter it now."""
        own = [tally for tally in tallies if tally.arm == arm.index]
        running = [ask for ask in pending if ask.arm == arm.index]
        settings = {canonical_json(one): one for one in self._spec.candidates(arm)}
        used = [*(one.tuned for one in own), *(one.tuned for one in running)]
        tried = {canonical_json(dict(setting)): dict(setting) for setting in used}
        settings |= {name: tried[name] for name in sorted(tried.keys() - settings.keys())}
        race = self._race_of(arm, list(settings.values()), own, running, budget)
        if len(settings) == 1:
            return race
        new = [
            as_set(arm, setting)
            for setting in refined(self._spec.tune, list(settings.values()), race.posteriors)
        ]
        if not new:
            return race
        return self._race_of(arm, [*settings.values(), *new], own, running, budget)

    def _race_of(
        self,
        arm: Arm,
        settings: Sequence[dict[str, Any]],
        tallies: Sequence[ArmTally],
        pending: Sequence[Ask],
        budget: Budget,
    ) -> Race:
        runners = tuple(
            Runner(
                setting=setting,
                tallies=tuple(sorted(_tallies(setting, tallies), key=_place)),
                pending=tuple(sorted(_pending(setting, pending), key=_place)),
                work=_work(arm, setting),
                at_hand=_at_hand(arm, setting, budget) if self._stock else None,
            )
            for setting in settings
        )
        return Race(self._spec.asked(arm), runners, self._goal)


def _point(choice: Choice) -> Point:
    return Point(d=choice.d, n=choice.n, k=choice.k)


def _place(one: Tally | Choice) -> tuple[int, int, int]:
    return one.d, one.k, one.n


def _tallies(setting: dict[str, Any], tallies: Sequence[ArmTally]) -> list[Tally]:
    return [
        Tally(one.point.d, one.point.k, one.point.n, one.successes, one.trials, one.gaps)
        for one in tallies
        if one.tuned == setting
    ]


def _pending(setting: dict[str, Any], pending: Sequence[Ask]) -> list[Choice]:
    return [
        Choice(ask.point.d, ask.point.k, ask.point.n, ask.repeats)
        for ask in pending
        if ask.tuned == setting
    ]


def _at_hand(arm: Arm, setting: dict[str, Any], budget: Budget) -> AtHand:
    return lambda d, n, k: budget.at_hand(arm.index, Point(d=d, n=n, k=k), setting)


def _work(arm: Arm, setting: dict[str, Any]) -> Work:
    _, learner = tuned(arm.target, arm.learner, setting)
    return lambda d, n, k: learner.work(Point(d=d, n=n, k=k))
