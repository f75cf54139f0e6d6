"""Tuning: an Optuna sampler looks for the learner's settings that succeed most often."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.studies import unannounced
from orchestrator.spec import ExperimentSpec, Tunable

SETTINGS_EACH = 32
"""Settings tried at each point where the file gives no `max_trials`. Chosen by hand."""


class OptunaProposer:
    """Asks for settings of `search.fields`, `repeats` trials each, at every point; a `Proposer`.

    Every (arm, d, n, k) of the file's grid has an Optuna study of its own, whose objective is the
    success rate, to be maximised. The studies take turns: the s-th setting of every point comes
    before the next of any. A round has `search.round` trials, or one setting where `repeats` is
    larger. Studies are rebuilt from the tallies for each round, pending asks as running trials,
    and the sampler is seeded by the file's seed, the point and the round. The file may name only
    samplers that learn from trials' values: others keep state in a study's attributes (CMA-ES its
    covariance, NSGA-II its generation), which a rebuilt study does not have.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._spec = spec
        self._sampler: Callable[..., BaseSampler] = getattr(
            optuna.samplers, spec.search.sampler or "TPESampler"
        )
        self._fields = {name: _distribution(field) for name, field in spec.search.fields.items()}
        self._places = [
            (arm.index, Point(d=asked.d, n=n, k=asked.k))
            for arm in spec.arms
            for asked in spec.asked(arm)
            for n in spec.n_grid(arm, asked.d, asked.k)
        ]
        most = spec.search.max_trials
        self._asks = SETTINGS_EACH * len(self._places) if most is None else most // spec.repeats
        self._width = max(1, spec.search.round // spec.repeats)

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """The settings whose turn it is in round `number`; empty after the last."""
        turns: dict[tuple[int, Point], int] = defaultdict(int)
        for turn in range(number * self._width, min((number + 1) * self._width, self._asks)):
            turns[self._places[turn % len(self._places)]] += 1
        return [
            Ask(arm, point, self._spec.repeats, tuned=setting)
            for (arm, point), count in turns.items()
            for setting in self._settings(arm, point, number, count, tallies, pending)
        ]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`max_trials` when the file gave it, else None: every point had its settings."""
        return None if self._spec.search.max_trials is None else "max_trials"

    def _settings(
        self,
        arm: int,
        point: Point,
        number: int,
        count: int,
        tallies: Sequence[ArmTally],
        pending: Sequence[Ask],
    ) -> list[dict[str, Any]]:
        """`count` settings to try at one point in round `number`."""
        text = f"{self._spec.seed}/{number}/{arm}/{point.d}/{point.n}/{point.k}".encode()
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")
        with unannounced():
            study = optuna.create_study(sampler=self._sampler(seed=seed), direction="maximize")
        here = [tally for tally in tallies if (tally.arm, tally.point) == (arm, point)]
        for tally in sorted(here, key=lambda tally: canonical_json(dict(tally.tuned))):
            if tally.trials:
                rate = tally.successes / tally.trials
                self._add(study, tally.tuned, TrialState.COMPLETE, rate)
            else:
                self._add(study, tally.tuned, TrialState.FAIL, None)
        for ask in pending:
            if (ask.arm, ask.point) == (arm, point):
                self._add(study, ask.tuned, TrialState.RUNNING, None)
        return [dict(study.ask(self._fields).params) for _ in range(count)]

    def _add(
        self,
        study: optuna.Study,
        setting: Mapping[str, Any],
        state: TrialState,
        value: float | None,
    ) -> None:
        params = dict(setting)
        study.add_trial(
            create_trial(state=state, value=value, params=params, distributions=self._fields)
        )


def _distribution(field: Tunable) -> BaseDistribution:
    if field.choices:
        return CategoricalDistribution(field.choices)
    low, high = field.ends
    log = field.spacing == "log"
    if field.whole:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)
