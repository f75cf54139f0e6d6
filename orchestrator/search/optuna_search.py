"""An Optuna sampler looks for the settings, and the points, that succeed most often."""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.errors import RequestError
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.search.optuna_space import Space, spaces
from orchestrator.search.studies import unannounced
from orchestrator.spec import ExperimentSpec, Search
from orchestrator.spec.samplers import USUAL

SETTINGS_EACH = 32
"""Settings tried in each study where the file gives no `max_trials`. Chosen by hand."""

AGAIN = 8
"""How often a study is asked for one turn before it is taken that it has nothing new. By hand."""

NEEDS = {"CmaEsSampler": ("cmaes",), "GPSampler": ("scipy", "torch"), "QMCSampler": ("scipy",)}
"""Packages that a sampler needs beside Optuna, which does not install them."""

Key = tuple[int, Point, str]
"""Arm, point and setting, as canonical JSON."""

Values = Mapping[Key, float | None]
"""What each is worth to the objective; None where it has no answer."""


class OptunaProposer:
    """Asks for what an Optuna sampler suggests, `repeats` trials each; a `Proposer`.

    Every point of the file's grid has a study of its own, which chooses `search.fields`; letters of
    `search.axes` are chosen too, and studies are then apart in the other letters only. The
    objective is the success rate, to be raised, or its distance from `level`, to be lowered.
    Studies take turns: the s-th suggestion of each comes before the next of any. A round has
    `search.round` trials, or one suggestion where `repeats` is larger.

    Some samplers keep state between suggestions (CMA-ES its covariance, NSGA-II its generation), so
    a round is found by playing the whole sweep again from its seed: in round r every study is told
    the results of rounds up to r-2, those of r-1 are running, and it is asked. Results are looked
    up by arm, point and setting, so what is suggested twice is told twice and trained once; nothing
    but the tallies is needed to play, and a sweep resumed from its ledger suggests the same. The
    play is kept from round to round and begun anew where it does not fit the tallies.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        """Raises `RequestError` when the sampler cannot be made here, or not with its settings."""
        self._spec = spec
        self._spaces = spaces(spec)
        most = spec.search.max_trials
        turns = SETTINGS_EACH * len(self._spaces) if most is None else most // spec.repeats
        self._turns = turns
        self._width = max(1, spec.search.round // spec.repeats)
        self._play = self._new_play()
        sampler(spec.search, 0)  # so that a file that cannot be answered is refused now

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        """What is suggested in round `number`; empty after the last."""
        values = self._values(tallies)
        if not self._play.fits(number, values):
            self._play = self._new_play()
        while len(self._play.rounds) <= number:
            first = len(self._play.rounds) * self._width
            self._play.go_on(range(first, min(first + self._width, self._turns)), values)
        return self._play.rounds[number]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        """`max_trials` when the file gave it, else None: every study had its turns."""
        return None if self._spec.search.max_trials is None else "max_trials"

    def _new_play(self) -> "_Play":
        return _Play(self._spaces, self._spec.repeats, self._study)

    def _study(self, space: Space) -> optuna.Study:
        search = self._spec.search
        text = f"{self._spec.seed}/{space.name}".encode()
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")
        up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        direction = up if search.objective == "success" else down
        with unannounced():
            return optuna.create_study(sampler=sampler(search, seed), direction=direction)

    def _values(self, tallies: Sequence[ArmTally]) -> dict[Key, float | None]:
        search, values = self._spec.search, {}
        for one in tallies:
            rate = one.successes / one.trials if one.trials else None
            if rate is not None and search.objective == "level":
                rate = abs(rate - search.level)
            values[_key(one.arm, one.point, one.tuned)] = rate
        return values


@dataclass
class _Play:
    """A sweep as its studies live it: asked round by round, told with two rounds' delay."""

    spaces: Sequence[Space]
    repeats: int
    study_of: Callable[[Space], optuna.Study]
    rounds: list[list[Ask]] = field(default_factory=list)
    _studies: dict[int, optuna.Study] = field(default_factory=dict)
    _asked: dict[Key, int] = field(default_factory=dict)  # the round that asked first
    _running: list[tuple[int, int, Trial, Key]] = field(default_factory=list)
    _told: dict[Key, float | None] = field(default_factory=dict)

    def fits(self, number: int, values: Values) -> bool:
        """Whether this play, gone on or as it is, leads to round `number` of those values."""
        agree = all(values.get(key) == value for key, value in self._told.items())
        return agree and len(self.rounds) <= number + 1

    def go_on(self, turns: Sequence[int], values: Values) -> None:
        """One round more: tell what is known by now, then ask for these turns."""
        number = len(self.rounds)
        due = [one for one in self._running if one[0] <= number - 2]
        self._running = [one for one in self._running if one[0] > number - 2]
        for _, place, trial, key in due:
            self._tell(place, trial, key, values)
        asks = [self._ask(turn % len(self.spaces), number, values) for turn in turns]
        self.rounds.append([ask for ask in asks if ask is not None])

    def _ask(self, place: int, number: int, values: Values) -> Ask | None:
        """Something that was not asked before; None where the study has nothing new to suggest."""
        space = self.spaces[place]
        if place not in self._studies:
            self._studies[place] = self.study_of(space)
        for _ in range(AGAIN):
            trial = self._studies[place].ask(space.distributions)
            point, setting = space.chosen(trial.params)
            key = _key(space.arm, point, setting)
            first = self._asked.setdefault(key, number)
            if first <= number - 2:
                self._tell(place, trial, key, values)
                continue
            self._running.append((number, place, trial, key))
            if first == number and not self._is_twice(key, number):
                return Ask(space.arm, point, self.repeats, tuned=setting)
        return None

    def _is_twice(self, key: Key, number: int) -> bool:
        return sum(one[3] == key and one[0] == number for one in self._running) > 1

    def _tell(self, place: int, trial: Trial, key: Key, values: Values) -> None:
        value = self._told[key] = values.get(key)
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        with suppress(RuntimeError):  # brute force says that it is done; the value is stored first
            self._studies[place].tell(trial, value, state=state)


def sampler(search: Search, seed: int) -> BaseSampler:
    """The sampler that the file names, with its settings.

    Raises `RequestError` when a package it needs is missing, saying which to install, or when
    Optuna refuses a setting.
    """
    name = search.sampler or USUAL
    missing = [package for package in NEEDS.get(name, ()) if find_spec(package) is None]
    if missing:
        raise RequestError(
            f"search.sampler: {name} needs {' and '.join(missing)}, which is not installed here; "
            f"install it with: pip install {' '.join(missing)}"
        )
    kind: Callable[..., BaseSampler] = getattr(optuna.samplers, name)
    words: dict[str, Any] = {**search.settings, "seed": seed}
    takes = inspect.signature(kind).parameters
    if "warn_independent_sampling" in takes and takes["warn_independent_sampling"].default:
        words["warn_independent_sampling"] = False  # of first suggestions, and of words to CMA-ES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return kind(**words)
        except (TypeError, ValueError) as error:
            raise RequestError(f"search.settings: {name}: {error}") from error


def _key(arm: int, point: Point, setting: Mapping[str, Any]) -> Key:
    return arm, point, canonical_json(dict(setting))
