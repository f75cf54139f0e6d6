"""An experiment as understood: `ExperimentSpec`."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, InstanceOf, model_validator

from orchestrator.domain.plugin import canonical_json
from orchestrator.errors import Fault, SpecError
from orchestrator.inference.threshold import Asked
from orchestrator.spec.axes import Axes
from orchestrator.spec.axis_words import read_axes
from orchestrator.spec.checks import (
    check_arms,
    check_means,
    check_points,
    check_search,
    check_success,
    check_theory,
)
from orchestrator.spec.document import check_plain
from orchestrator.spec.parts import Arm, Criterion, Head, Resources, Search, Tunable, Tune
from orchestrator.spec.plugins import read_arms
from orchestrator.spec.reading import read_part
from orchestrator.spec.theory import Theory, TheoryValue
from orchestrator.spec.theory_words import read_theory
from orchestrator.spec.tuning import candidates, check_fields, check_tune, names_of
from orchestrator.spec.wording import Findings, below, merged, unknown_word

WORDS = {
    **{word: field.description or "" for word, field in Head.model_fields.items()},
    "target": "what is to be learned: a kind with its settings, or a list of them",
    "learner": "what learns: a kind with its settings, or a list of them",
    "pairs": "in place of target and learner: a list of {target, learner}",
    "axes": "where thresholds are sought",
    "success": "what counts as success",
    "search": "how points are chosen, and when it ends",
    "tune": "learner fields to tune at every (d, k), each a list of values or a range",
    "theory": "thresholds to compare with: one entry or a list",
    "resources": "what a trial may use",
}
"""Every word of a file, with its meaning."""


class ExperimentSpec(BaseModel):
    """One question: which learners, on which targets, where, and what counts as success.

    Built from the words of a file: `ExperimentSpec(name="cover", target={"kind": "random_labels"},
    …)`; a target or learner may be a plug-in already. Raises `SpecError` with every fault at once.

    `canonical` is a file's meaning in one text: lists of targets and learners written out as
    pairs, every default filled in, numbers and formulas in one spelling. Names, theory and
    resources are in it, because the answer shows them or depends on them (a time limit makes
    gaps), and since trials are found by their own keys a new id costs no training. The question is
    not: it is a comment. `id` also hashes the plug-ins' revisions, so that a sweep never mixes
    results of two behaviours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    question: str
    repeats: int
    seed: int
    arms: tuple[InstanceOf[Arm], ...]
    axes: InstanceOf[Axes]
    success: Criterion
    search: Search
    tune: dict[str, Tunable]
    theory: tuple[InstanceOf[Theory], ...]
    resources: Resources

    @model_validator(mode="before")
    @classmethod
    def _understood(cls, words: Any) -> dict[str, Any]:
        return understood(words)

    @classmethod
    def from_words(cls, words: Mapping[str, Any]) -> "ExperimentSpec":
        """The experiment those words describe. Raises `SpecError`."""
        return cls.model_validate(dict(words))

    @classmethod
    def from_canonical(cls, text: str, question: str = "") -> "ExperimentSpec":
        """The experiment whose `canonical` is `text`, which leaves the question out.

        Raises `SpecError` when a plug-in it names is not known here.
        """
        return cls.from_words({**json.loads(text), "question": question})

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON of the experiment as understood; itself a file that can be read."""
        return canonical_json(
            {
                "format": 1,
                "name": self.name,
                "pairs": [arm.as_words for arm in self.arms],
                "axes": self.axes.as_words,
                "success": self.success.model_dump(exclude_none=True),
                "repeats": self.repeats,
                "search": self.search.as_words,
                **self._tune_words,
                "seed": self.seed,
                "theory": [entry.as_words for entry in self.theory],
                "resources": self.resources.model_dump(),
            }
        )

    @property
    def _tune_words(self) -> dict[str, Any]:
        """`tune`, where anything is: ids are older than the word."""
        words = {name: tunable.as_word for name, tunable in self.tune.items()}
        return {"tune": words} if words else {}

    @cached_property
    def id(self) -> str:
        """64-bit hash of `canonical` and the plug-ins' revisions, 16 hexadecimal digits."""
        revisions = [[arm.target.revision, arm.learner.revision] for arm in self.arms]
        text = f"{self.canonical}{canonical_json(revisions)}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def asked(self, arm: Arm) -> tuple[Asked, ...]:
        """The thresholds asked of an arm: one per (d, k), with the ends of n rounded inward."""
        findings = Findings()
        default_k = arm.target.default_k
        asked = [
            Asked(d, k, *ends)
            for d, k in self.axes.pairs(default_k, findings)
            if (ends := self.axes.n_range(d, k, default_k, findings)) is not None
        ]
        assert not findings.faults, findings.faults
        return tuple(asked)

    def n_grid(self, arm: Arm, d: int, k: int) -> tuple[int, ...]:
        """The n of a grid at (d, k), ascending; the ladder's steps where the file counts none."""
        return self.axes.n_values(d, k, arm.target.default_k, Findings())

    def candidates(self, arm: Arm) -> tuple[dict[str, Any], ...]:
        """The settings at which tuning an arm begins; one empty setting where nothing is tuned."""
        return candidates(self.tune, arm)

    def tuned_fields(self, arm: Arm) -> tuple[str, ...]:
        """Fields of an arm that the search chooses, those of the target with `target.` in front."""
        return names_of({**self.tune, **self.search.fields}, arm)

    def theory_at(self, arm: Arm, d: int, k: int) -> TheoryValue | None:
        """What the first entry that applies says of the threshold at (d, k)."""
        for entry in self.theory:
            value = entry.at(arm, d, k)
            if value is not None:
                return value
        return None


def understood(words: Any) -> dict[str, Any]:
    """The parts those words describe. Raises `SpecError` with every fault."""
    findings = Findings()
    plain = check_plain(words, findings)
    if not isinstance(plain, dict):
        raise SpecError(findings.faults or [Fault("expected a mapping of words")])
    meaning = Findings()
    for word in plain:
        if word not in WORDS:
            meaning.add(below("", word), unknown_word(str(word), WORDS))
    parts = _parts(plain, meaning)
    _check_together(parts, meaning)
    if faults := merged(findings.faults, meaning.faults):
        raise SpecError(faults)
    return parts


def _parts(plain: dict[str, Any], findings: Findings) -> dict[str, Any]:
    head = read_part(
        Head, {word: plain[word] for word in Head.model_fields if word in plain}, "", findings
    )
    for word in ("axes", "success"):
        if word not in plain:
            findings.add(word, f"missing: {WORDS[word]}")
    return {
        **(head.model_dump(exclude={"format"}) if head else {}),
        "arms": read_arms(plain, findings),
        "axes": read_axes(plain["axes"], findings) if "axes" in plain else None,
        "success": (
            read_part(Criterion, plain["success"], "success", findings)
            if "success" in plain
            else None
        ),
        "search": read_part(Search, plain.get("search", {}), "search", findings),
        "tune": _read_tune(plain.get("tune", {}), findings),
        "theory": read_theory(plain.get("theory", []), findings),
        "resources": read_part(Resources, plain.get("resources", {}), "resources", findings),
    }


def _read_tune(found: Any, findings: Findings) -> dict[str, Tunable]:
    read = read_part(Tune, {"tune": found}, "", findings)
    return read.tune if read else {}


def _check_together(parts: dict[str, Any], findings: Findings) -> None:
    """Cross-field checks, of those parts that could be read."""
    arms, axes, search = parts["arms"], parts["axes"], parts["search"]
    if not arms:
        return
    check_arms(arms, findings)
    if parts["success"] is not None:
        check_success(arms, parts["success"], findings)
    if search is not None:
        check_fields(arms, search, findings)
    check_tune(arms, parts["tune"], search, findings)
    if axes is not None:
        check_points(arms, axes, search or Search(), findings)
        if not findings.touch("axes", "theory"):
            check_theory(arms, axes, parts["theory"], findings)
    check_means(parts["theory"], parts["tune"], findings)
    if search is not None:
        tune = {} if findings.touch("tune") else parts["tune"]
        entries = sum(len(candidates(tune, arm)) for arm in arms)
        check_search(entries, axes, search, parts.get("repeats"), findings)
