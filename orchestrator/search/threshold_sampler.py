"""`ThresholdSampler`: an Optuna sampler that finds thresholds instead of optima."""

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from orchestrator.inference.threshold import Aim
from orchestrator.search import planning
from orchestrator.search.answers import ContextThreshold, Plan
from orchestrator.search.chance import Chance
from orchestrator.search.desk import Desk
from orchestrator.search.grouping import ContextAtHand, ContextWork, Grouped, Grouping
from orchestrator.search.history import History
from orchestrator.search.planning import Goal
from orchestrator.search.space import Context, Names, Range


class ThresholdSampler(BaseSampler):
    """Suggests where to try next so that n_star is soon known in every context.

    For objectives that return 1 (success) or 0 (failure) and succeed more often as n grows. For
    each value of the context parameters n_star is the smallest n with success probability `level`;
    what one context shows about n_star is used for the others.

    >>> import math, optuna
    >>> from orchestrator.search import ThresholdSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> sampler = ThresholdSampler(n="n", context=["d"], level=0.5, seed=0)
    >>> study = optuna.create_study(sampler=sampler)
    >>> def trial_succeeds(trial):
    ...     d = trial.suggest_categorical("d", [10, 20, 40])
    ...     n = trial.suggest_int("n", 5, 10_000, log=True)
    ...     golden = (trial.number * 0.6180339887) % 1  # stands for the luck of a draw
    ...     return float(golden < 1 / (1 + (2 * d / n) ** 6))  # one half at n = 2 d
    >>> study.optimize(trial_succeeds, n_trials=40)
    >>> for t in sampler.thresholds(study):
    ...     print(t.context, t.status, t.low < 2 * t.context["d"] < t.high)
    {'d': 10} found True
    {'d': 20} found True
    {'d': 40} found True

    Parameters
    ----------
    n, context
        Names of suggested parameters. `context` parameters are suggested before `n`. Positive
        numbers among them (the first two such parameters) are axes along which thresholds inform
        each other; any other value, such as a name, makes thresholds that share nothing. Each
        choice of a categorical is one asked threshold; an int or float range asks at all its steps,
        or at eight values spread over it. Other parameters of the objective are drawn at random.
    level, confidence, tolerance
        What is wanted: intervals of probability `confidence` whose half width is at most
        `tolerance` times n_star. Trials that come after that was reached go on narrowing intervals,
        to a sixteenth of it; later ones are drawn at random.
    aim
        `"exponents"` asks for how n_star grows along the numeric contexts instead: `tolerance` then
        bounds half the width of each apparent exponent's interval, and trials go where they narrow
        those most.
    seed
        Trials suggested by samplers of equal seed after equal histories are equal. None draws one.
        No generator is kept and no global one is read, so processes may share a study; what is
        remembered of a study saves time and decides nothing.
    work
        Nominal cost of a trial by context and n; by default all trials cost the same.
    asked
        The asked thresholds, as (context, lowest n, highest n). Without it they become known as
        values are offered; with it, other contexts that are tried only inform these.

    What happens when
    -----------------
    - n is suggested before its context: a warning, and n is drawn at random from the ladder; the
      outcome counts like any other.
    - the objective returns neither 0 nor 1: `ValueError` from `optimize` or `tell`. Such a trial
      found in a storage counts as a gap.
    - a trial fails or is pruned: a gap. It has no answer, so it is evidence for neither side.
    - a trial is running, in any process: it is counted on as pending at its n. Trials that ask with
      no result between them share one joint design (`handout`); each keeps its slot in it, from
      which its context and n follow, as a system attribute.
    - the range of n differs between calls: each suggestion keeps to its own call's range; the
      threshold is asked on the union of its context's ranges.
    - n is categorical, stepped or a float: the nearest admissible value to the ladder's.
    - the study has several objectives: `ValueError`.
    - two context values that are not whole differ by less than a millionth of the smallest:
      `ValueError`, as they would be taken for one.
    - user attributes `successes` and `trials` (and `gaps`) make a trial stand for a block of
      repeats; `repeats` says how many a running one stands for.

    The direction of the study plays no part. Decisions are made in `sample_independent`, the
    context first, then n: until a trial completes Optuna knows no search space, and one context's
    range of n must not serve another's.
    """

    def __init__(
        self,
        n: str,
        context: Sequence[str] = (),
        *,
        level: float = 0.5,
        confidence: float = 0.95,
        tolerance: float = 0.05,
        aim: Aim = "thresholds",
        seed: int | None = None,
        work: ContextWork | None = None,
        asked: Sequence[tuple[Mapping[str, Any], int, int]] = (),
    ) -> None:
        if isinstance(context, str):
            raise ValueError(f"context is a list of names; write context=[{context!r}]")
        self._names = Names(n, tuple(context))
        if len({n, *context}) != 1 + len(self._names.context):
            raise ValueError(f"n and context name each parameter once; got {n!r}, {list(context)}")
        for name, value in (("level", level), ("confidence", confidence)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"{name} is a probability between 0 and 1; got {value}")
        if not tolerance > 0.0:
            raise ValueError(f"tolerance is a positive share of n_star; got {tolerance}")
        if aim not in get_args(Aim):
            raise ValueError(f"aim is one of {', '.join(get_args(Aim))}; got {aim!r}")
        for where, low, high in asked:
            if set(where) != set(context) or not 1 <= low <= high:
                raise ValueError(
                    f"asked are (context, low, high) with values for {list(context)} and "
                    f"1 <= low <= high; got {(dict(where), low, high)}"
                )
        self._goal = Goal(level, confidence, tolerance, aim)
        self._chance = Chance(secrets.randbits(63) if seed is None else seed)
        self._grouping = Grouping(self._names, work)
        self._asked: dict[Context, Range] = {
            tuple(where[name] for name in context): (low, high) for where, low, high in asked
        }
        self._forget()

    def _forget(self) -> None:
        """Start without memory of any study: it saves time and decides nothing."""
        self._lock = threading.RLock()
        self._desks: WeakKeyDictionary[Study, Desk] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered of studies."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_desks")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # what is known

    def thresholds(self, study: Study) -> list[ContextThreshold]:
        """Every asked threshold as the study stands, in the order in which values were offered."""
        with self._lock:
            history = self._desk(study).read(study)
            known = self._grouped(history)
            found = {
                context: planning.posterior(group, self._goal).threshold(i)
                for group, contexts in zip(known.groups, known.contexts, strict=True)
                for i, context in enumerate(contexts)
            }
        return [ContextThreshold.at(self._names.params(at), found[at]) for at in history.asked()]

    def is_settled(self, study: Study) -> bool:
        """Whether every asked threshold is known as well as was wanted."""
        with self._lock:
            known = self._grouped(self._desk(study).read(study))
            return all(planning.is_settled(group, self._goal) for group in known.groups)

    def plan(self, study: Study, trials: int, at_hand: ContextAtHand | None = None) -> list[Plan]:
        """The best use of `trials` further trials together; empty when all thresholds are settled.

        Counts running trials as pending, and changes nothing in the study. `at_hand` says how many
        of the next trials at a context and n cost nothing, as their outcomes are stored already.
        """
        with self._lock:
            known = self._grouped(self._desk(study).read(study), at_hand)
            planned = planning.plan(known.groups, trials, self._goal)
        spots = [(*known.spot(group, choice), choice.repeats) for group, choice in planned]
        return [Plan(self._names.params(context), n, repeats) for context, n, repeats in spots]

    # optuna's sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Empty: everything is decided in `sample_independent`."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Empty: everything is decided in `sample_independent`."""
        return {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Raises `ValueError` when the study has several objectives."""
        if len(study.directions) > 1:
            raise ValueError("ThresholdSampler needs one objective, which returns 0 or 1")

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A context value, n for the trial's context, or a random value of any other parameter."""
        if param_name in self._names.context:
            with self._lock:
                return self._desk(study).context(study, trial, param_name, param_distribution)
        if param_name == self._names.n:
            with self._lock:
                return self._desk(study).n(study, trial, param_distribution)
        generator = RandomSampler(seed=self._chance.number(trial.number, param_name))
        return generator.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Raises `ValueError` when a trial without block counts returned neither 0 nor 1."""
        if state != TrialState.COMPLETE or values is None or "trials" in trial.user_attrs:
            return
        if values[0] not in (0.0, 1.0):
            raise ValueError(
                f"trial {trial.number} returned {values[0]}, but thresholds are found from "
                "outcomes: return 1 for success and 0 for failure, "
                "such as float(accuracy > 0.95)"
            )

    def _desk(self, study: Study) -> Desk:
        if study not in self._desks:
            self._desks[study] = Desk(self._goal, self._grouping, self._asked, self._chance)
        return self._desks[study]

    def _grouped(self, history: History, at_hand: ContextAtHand | None = None) -> Grouped:
        grouping = replace(self._grouping, at_hand=at_hand)
        return grouping.of(history, history.asked(), history.pending())
