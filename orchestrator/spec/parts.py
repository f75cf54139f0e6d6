"""The smaller parts of an experiment: what counts as success, how to search, with what."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.target import Target
from orchestrator.inference.threshold import Aim
from orchestrator.spec.samplers import USUAL, sampler_named
from orchestrator.spec.wording import number, quoted

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of sweeps, used as names of MLflow experiments and of files; matched in full."""


class Part(BaseModel):
    """Words of an experiment file: frozen, strict, finite, none unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Criterion(Part):
    """What counts as success: a measure below or above a bound, the bound itself excluded."""

    measure: str = Field(description="the measure that decides, such as test_accuracy")
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError("give one of below and above, such as above: 0.5")
        return self

    def met(self, measures: Mapping[str, float]) -> bool:
        """Whether the measures of a trial make it a success; a measure it lacks does not."""
        value = measures.get(self.measure)
        if value is None:
            return False
        if self.below is not None:
            return value < self.below
        assert self.above is not None
        return value > self.above

    def judged(self, outcome: str | None, measures: Mapping[str, float]) -> bool | None:
        """Success or failure of a trial; None where it has no answer to this question.

        A trial that diverged has failed, whichever way the criterion points. One that ran out of
        budget before it could report the measure says nothing, like a trial that was lost.
        """
        if outcome == Outcome.DIVERGED:
            return False
        return self.met(measures) if self.measure in measures else None

    def __str__(self) -> str:
        if self.below is not None:
            return f"{self.measure} < {number(self.below)}"
        assert self.above is not None
        return f"{self.measure} > {number(self.above)}"


Choice = bool | int | float | str

STEPS_PER_DECADE = 2
"""Values of a log range at which tuning begins, per factor of ten. By hand: the usual ladder 1, 3,
10 of step sizes and ridges; the race refines it where that pays."""
LINEAR_STEPS = 5
"""Values of a linear range at which tuning begins. Chosen by hand."""


class Tunable(Part):
    """The values a search may give one field: `choices`, or low to high, both included.

    A file writes a list, or a mapping of low, high, spacing and, for `tune`, the `count` of values
    to begin with. `whole` asks for whole numbers and follows from the ends.
    """

    low: float | None = None
    high: float | None = None
    spacing: Literal["linear", "log"] = "linear"
    count: int | None = Field(None, ge=2, le=64, description="values to begin with")
    choices: tuple[Choice, ...] = ()
    whole: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, found: Any) -> Any:
        if isinstance(found, list):
            return {"choices": tuple(found)}
        if isinstance(found, dict) and "whole" not in found:
            ends = [found.get("low"), found.get("high")]
            return {**found, "whole": all(type(end) is int for end in ends)}
        return found

    @model_validator(mode="after")
    def _spans_something(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.count is not None:
                raise ValueError("give a list of choices, or low and high")
        elif self.low is None or self.high is None:
            raise ValueError("expected a list of choices, or low and high")
        elif self.low >= self.high:
            raise ValueError(f"low is {number(self.low)} and high is {number(self.high)}")
        elif self.spacing == "log" and self.low <= 0:
            raise ValueError(f"a log range starts above 0, found low {number(self.low)}")
        return self

    @property
    def ends(self) -> tuple[Choice, ...]:
        """Values that stand for all: the choices, or the two ends."""
        if self.choices:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    @property
    def as_word(self) -> list[Choice] | dict[str, Any]:
        """What a file would say."""
        if self.choices:
            return list(self.choices)
        low, high = self.ends
        count = {} if self.count is None else {"count": self.count}
        return {"low": low, "high": high, **count, "spacing": self.spacing}

    @property
    def steps(self) -> tuple[Choice, ...]:
        """The values at which tuning begins: the choices, or a ladder from low to high.

        `count` of them, or two per factor of ten and three at least on a log range, five on a
        linear one; in between they are rounded to four digits, or to whole numbers.
        """
        if self.choices:
            return tuple(dict.fromkeys(self.choices))
        low, high = (float(end) for end in self.ends)
        count = self.count or self._usual_count(low, high)
        parts = [place / (count - 1) for place in range(1, count - 1)]
        if self.spacing == "log":
            inner = [low * (high / low) ** part for part in parts]
        else:
            inner = [low + (high - low) * part for part in parts]
        first, last = self.ends
        return tuple(dict.fromkeys([first, *(self.rounded(value) for value in inner), last]))

    def __str__(self) -> str:
        """The values in words."""
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        low, high = self.ends
        log = ", log" if self.spacing == "log" else ""
        return f"{number(float(low))} to {number(float(high))}{log}"

    def rounded(self, value: float) -> int | float:
        """The value as a person would write it."""
        return round(value) if self.whole else float(f"{value:.4g}")

    def _usual_count(self, low: float, high: float) -> int:
        if self.spacing == "linear":
            return LINEAR_STEPS
        return max(3, math.ceil(STEPS_PER_DECADE * math.log10(high / low) - 1e-9) + 1)


class Search(Part):
    """How points are chosen and when it ends.

    `level` is the success probability that defines a threshold, `confidence` that of its interval,
    `tolerance` bounds (high - low) / (2 n_star) of every threshold; with `aim: exponents`, which
    belongs to kind threshold, it bounds half the width of every apparent exponent's interval
    instead. `round` is the number of trials proposed together; it never follows the number of
    machines, so that a laptop and a cluster give one answer. `max_trials` bounds the trials that a
    threshold search has trained: those that the store had when it began are free. It sizes designs
    of other kinds, stored trials and all. `max_hours` counts from each start or resumption.
    `sampler`, the name of an Optuna sampler, its `settings`, the `fields` of learner or target and
    the letters of `axes` that it chooses, and the `objective` belong to kind optuna alone.
    Defaults: chosen by hand.
    """

    kind: Literal["grid", "sobol", "threshold", "optuna"] = "threshold"
    level: float = Field(0.5, ge=0.01, le=0.99, description="success probability at n_star")
    confidence: float = Field(0.95, ge=0.5, le=0.999, description="of every interval")
    tolerance: float = Field(
        0.05,
        ge=0.001,
        le=1.0,
        description="half width over n_star; of exponents where they are aim",
    )
    aim: Aim = Field("thresholds", description="what is to be known to the tolerance")
    max_trials: int | None = Field(None, ge=1, le=10**9, description="stop after this many trials")
    max_hours: float | None = Field(None, gt=0, le=10_000, description="stop after this many hours")
    round: int = Field(32, ge=2, le=4096, description="trials proposed together")
    sampler: str | None = Field(None, description="an Optuna sampler, such as TPESampler")
    settings: dict[str, Choice] = Field({}, description="of the sampler, as Optuna names them")
    fields: dict[str, Tunable] = Field({}, description="fields to choose, with their values")
    axes: tuple[Literal["d", "k", "n"], ...] = Field((), description="letters to choose as well")
    objective: Literal["success", "level"] = Field(
        "success", description="the success rate, to be raised, or its distance from level"
    )

    @field_validator("sampler")
    @classmethod
    def _is_known(cls, found: str | None) -> str | None:
        return None if found is None else sampler_named(found)

    @field_validator("fields")
    @classmethod
    def _in_one_spelling(cls, fields: dict[str, Tunable]) -> dict[str, Tunable]:
        return {name.removeprefix("learner."): one for name, one in fields.items()}

    @model_validator(mode="after")
    def _optuna_alone_chooses(self) -> Self:
        if self.kind == "optuna":
            if not self.fields and not self.axes:
                raise ValueError("kind optuna chooses `fields` or `axes`; name at least one")
        elif any(getattr(self, word) != field.default for word, field in self._of_optuna().items()):
            raise ValueError(f"{', '.join(self._of_optuna())} belong to kind optuna")
        return self

    @classmethod
    def _of_optuna(cls) -> dict[str, FieldInfo]:
        words = ("sampler", "settings", "fields", "axes", "objective")
        return {word: cls.model_fields[word] for word in words}

    @model_validator(mode="after")
    def _threshold_search_alone_aims(self) -> Self:
        if self.kind != "threshold" and self.aim != "thresholds":
            raise ValueError("aim: exponents belongs to kind threshold")
        return self

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say; words younger than ids only where they are not the default."""
        words = self.model_dump(mode="json", exclude={"fields", "sampler"})
        for word in ("aim", "settings", "axes", "objective"):
            if getattr(self, word) == type(self).model_fields[word].default:
                del words[word]
        if self.kind != "optuna":
            return words
        fields = {name: tunable.as_word for name, tunable in self.fields.items()}
        return {**words, "sampler": self.sampler or USUAL, "fields": fields}


class Tune(Part):
    """Learner fields to tune, each with its values."""

    tune: dict[str, Tunable] = Field({}, description="learner fields to tune, with their values")

    @field_validator("tune")
    @classmethod
    def _in_one_spelling(cls, fields: dict[str, Tunable]) -> dict[str, Tunable]:
        return {name.removeprefix("learner."): one for name, one in fields.items()}


class Resources(Part):
    """What a trial may use. Defaults: a core of the machine, and minutes chosen by hand.

    The minutes are those of one attempt; a trial is a gap after three alone that took longer. A
    learner that is resumable goes on where the last attempt stood.
    """

    gpus: float = Field(0.0, ge=0, le=64, description="GPUs, or the share of one, per slot")
    minutes_per_trial: float = Field(
        5.0, gt=0, le=100_000, description="a trial that takes longer becomes a gap"
    )


class Head(Part):
    """The words of an experiment that stand alone."""

    format: Literal[1] = Field(1, description="of this file; 1 is the only one")
    name: str = Field(description="what the sweep is called, such as donoho-tanner")
    question: str = Field("", description="in place of the comment that opens the file")
    repeats: int = Field(20, ge=1, le=1_000_000, description="trials per point of a grid or sobol")
    seed: int = Field(0, ge=0, lt=2**63, description="part of every trial's key")

    @field_validator("name")
    @classmethod
    def _is_safe(cls, name: str) -> str:
        check_name(name)
        return name


def check_name(name: str) -> None:
    """Raise `ValueError` unless the name is safe as a file, an experiment and a line of a log."""
    # Not a pattern of pydantic's: with Python's `$` a newline at the end would pass.
    if not NAME.fullmatch(name):
        raise ValueError(
            "expected up to 64 letters, digits, '.', '_' or '-', the first a letter or digit; "
            f"found {quoted(name)}"
        )


@dataclass(frozen=True)
class Arm:
    """One target with one learner; `index` is its place in the file, from 0."""

    index: int
    target: Target
    learner: Learner

    @cached_property
    def label(self) -> str:
        """The settings that differ from the defaults: `two_layer(width=64) on sparse_parity`."""
        return f"{self.learner.label} on {self.target.label}"

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say: every setting of both."""
        return {"target": self.target.settings, "learner": self.learner.settings}
