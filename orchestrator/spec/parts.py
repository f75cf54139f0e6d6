"""The smaller parts of an experiment: what counts as success, how to search, with what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.target import Target
from orchestrator.inference.threshold import Aim
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


Sampler = Literal["TPESampler", "GPSampler", "RandomSampler"]
"""Optuna's samplers that learn from values alone, so that a study can be rebuilt from a ledger."""

Choice = bool | int | float | str


class Tunable(Part):
    """The values a search may give one learner field: `choices`, or low to high, both included.

    A file writes a list, or a mapping of low, high and spacing. `whole` asks for whole numbers and
    follows from the ends.
    """

    low: float | None = None
    high: float | None = None
    spacing: Literal["linear", "log"] = "linear"
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
            if self.low is not None or self.high is not None:
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
        return {"low": low, "high": high, "spacing": self.spacing}


class Search(Part):
    """How points are chosen and when it ends.

    `level` is the success probability that defines a threshold, `confidence` that of its interval,
    `tolerance` bounds (high - low) / (2 n_star) of every threshold; with `aim: exponents`, which
    belongs to kind threshold, it bounds half the width of every apparent exponent's interval
    instead. `round` is the number of trials proposed together; it never follows the number of
    machines, so that a laptop and a cluster give one answer.
    `sampler`, the name of an Optuna sampler, and `fields`, learner fields to tune, belong to kind
    optuna alone. Defaults: chosen by hand.
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
    sampler: Sampler | None = Field(None, description="an Optuna sampler")
    fields: dict[str, Tunable] = Field({}, description="learner fields to tune, with their values")

    @model_validator(mode="after")
    def _optuna_alone_tunes(self) -> Self:
        if self.kind != "optuna" and (self.fields or self.sampler is not None):
            raise ValueError("sampler and fields belong to kind optuna")
        if self.kind == "optuna" and not self.fields:
            raise ValueError("kind optuna tunes learner fields; name them under `fields`")
        return self

    @model_validator(mode="after")
    def _threshold_search_alone_aims(self) -> Self:
        if self.kind != "threshold" and self.aim != "thresholds":
            raise ValueError("aim: exponents belongs to kind threshold")
        return self

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say; `aim` only where it is not the default, as ids are older."""
        words = self.model_dump(mode="json", exclude={"fields", "sampler"})
        if self.aim == "thresholds":
            del words["aim"]
        if self.kind != "optuna":
            return words
        fields = {name: tunable.as_word for name, tunable in self.fields.items()}
        return {**words, "sampler": self.sampler or "TPESampler", "fields": fields}


class Resources(Part):
    """What a trial may use. Defaults: a core of the machine, and minutes chosen by hand."""

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
