"""Threshold search: rounds of trials where they tell most about n_star."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.domain.point import Point
from orchestrator.plan.reuse import Reusable, Stock
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.budget import Budget
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

    `reusable` trials, those that the store had when the sweep was first opened, are asked for like
    any other and cost nothing. They are no part of `max_trials`, which is what someone is ready to
    have trained: the same file in a fuller store gets a better answer for the same work. When
    `max_trials` are spent, only such trials are still asked for.
    """

    def __init__(self, spec: ExperimentSpec, reusable: Sequence[Reusable] = ()) -> None:
        self._spec = spec
        self._stock = Stock(reusable)
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
        budget = Budget.after(self._spec.search, self._stock, tallies, pending)
        if budget.round < 1:
            return []

        def at_hand(context: Mapping[str, Any], n: int) -> int:
            return budget.at_hand(*self._place(context, n), {})

        plans = self._sampler.plan(self._study(tallies, pending), budget.round, at_hand)
        return budget.within(
            [Ask(*self._place(plan.context, plan.n), plan.repeats) for plan in plans]
        )

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`tolerance` when what was aimed at is settled, else `max_trials` when spent."""
        if self._sampler.is_settled(self._study(tallies, [])):
            return "tolerance"
        left = Budget.after(self._spec.search, self._stock, tallies, []).left
        return "max_trials" if left < 1 else None

    def _place(self, context: Mapping[str, Any], n: int) -> tuple[int, Point]:
        return self._arms.index(context["arm"]), Point(d=context["d"], n=n, k=context["k"])

    def _work(self, context: Mapping[str, Any], n: int) -> float:
        arm, point = self._place(context, n)
        return self._spec.arms[arm].learner.work(point)

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
