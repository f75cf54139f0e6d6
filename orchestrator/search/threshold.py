"""Threshold search: rounds of trials where they tell most about n_star."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.domain.point import Point
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.studies import unannounced
from orchestrator.search.threshold_sampler import ThresholdSampler
from orchestrator.spec import ExperimentSpec


class ThresholdProposer:
    """Asks `ThresholdSampler` for each round, over arm, d and k as contexts; a `Proposer`.

    For every round an Optuna study is made in memory: one finished trial per tally, with
    `successes`, `trials` and `gaps`, and one running trial per pending ask. It is derived from the
    ledger and forgotten, so there is nothing to lose and nothing that could disagree.

    Arms share a round's trials equally; an arm whose thresholds are all settled gives its share to
    the others. A round has `search.round` trials, fewer where more would be asked blindly, and
    `max_trials` is never exceeded: answered trials, gaps and pending ones all count.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._spec = spec
        self._arms = [f"arm {arm.index}" for arm in spec.arms]
        self._ranges = {
            (arm.index, asked.d, asked.k): (asked.low, asked.high)
            for arm in spec.arms
            for asked in spec.asked(arm)
        }
        self._sampler = ThresholdSampler(
            n="n",
            context=["arm", "d", "k"],
            level=spec.search.level,
            confidence=spec.search.confidence,
            tolerance=spec.search.tolerance,
            aim=spec.search.aim,
            seed=spec.seed,
            work=self._work,
            asked=[
                ({"arm": self._arms[arm], "d": d, "k": k}, low, high)
                for (arm, d, k), (low, high) in self._ranges.items()
            ],
        )

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """The next round; empty when every threshold is settled or `max_trials` are asked."""
        trials = min(self._spec.search.round, self._left(tallies, pending))
        if trials < 1:
            return []
        plans = self._sampler.plan(self._study(tallies, pending), trials)
        return [
            Ask(self._arms.index(c["arm"]), Point(d=c["d"], n=plan.n, k=c["k"]), plan.repeats)
            for plan in plans
            for c in [plan.context]
        ]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`tolerance` when what was aimed at is settled, else `max_trials` when spent."""
        if self._sampler.is_settled(self._study(tallies, [])):
            return "tolerance"
        return "max_trials" if self._left(tallies, []) < 1 else None

    def _left(self, tallies: Sequence[ArmTally], pending: Sequence[Ask]) -> int:
        """Trials that may still be asked."""
        most = self._spec.search.max_trials
        if most is None:
            return self._spec.search.round
        spent = sum(tally.trials + tally.gaps for tally in tallies)
        return max(0, most - spent - sum(ask.repeats for ask in pending))

    def _work(self, context: Mapping[str, Any], n: int) -> float:
        learner = self._spec.arms[self._arms.index(context["arm"])].learner
        return learner.work(Point(d=context["d"], n=n, k=context["k"]))

    def _study(self, tallies: Sequence[ArmTally], pending: Sequence[Ask]) -> optuna.Study:
        with unannounced():
            study = optuna.create_study(sampler=self._sampler)
        for tally in tallies:
            counts = {"successes": tally.successes, "trials": tally.trials, "gaps": tally.gaps}
            share = tally.successes / max(1, tally.trials)
            self._add(study, tally.arm, tally.point, counts, share)
        for ask in pending:
            self._add(study, ask.arm, ask.point, {"repeats": ask.repeats}, None)
        return study

    def _add(
        self,
        study: optuna.Study,
        arm: int,
        point: Point,
        attrs: Mapping[str, int],
        value: float | None,
    ) -> None:
        """One Optuna trial: finished with `value`, or running without one."""
        low, high = self._ranges[arm, point.d, point.k]
        distributions: dict[str, BaseDistribution] = {
            "arm": CategoricalDistribution(self._arms),
            "d": IntDistribution(point.d, point.d),
            "k": IntDistribution(point.k, point.k),
            "n": IntDistribution(low, high),
        }
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
                value=value,
                params={"arm": self._arms[arm], "d": point.d, "k": point.k, "n": point.n},
                distributions=distributions,
                user_attrs=dict(attrs),
            )
        )
