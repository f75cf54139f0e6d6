"""From the words of a file to theory, noting every fault on the way."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin
from orchestrator.domain.target import Target
from orchestrator.spec.expressions import Condition, Expression
from orchestrator.spec.parts import Part
from orchestrator.spec.reading import attempt, check_words, read_part
from orchestrator.spec.theory import THEORY_KINDS, Chosen, Row, Theory, TheoryKind, ThresholdStatus
from orchestrator.spec.wording import Findings, below, note_all, number, shown, unknown_word

_T = TypeVar("_T")


def read_theory(found: Any, findings: Findings) -> tuple[Theory, ...]:
    """The entries those words describe, one or many; those with findings are left out."""
    if isinstance(found, dict):
        entry = _entry(found, "theory", findings)
        return () if entry is None else (entry,)
    if not isinstance(found, list):
        findings.add("theory", f"expected an entry or a list of them, found {shown(found)}")
        return ()
    entries = [_entry(one, below("theory", place), findings) for place, one in enumerate(found)]
    return tuple(entry for entry in entries if entry is not None)


class _RowWords(Part):
    d: int = Field(ge=1, description="the dimension")
    k: int | None = Field(None, ge=1)
    n_star: float = Field(gt=0, description="the threshold at (d, k)")


class _EntryWords(Part):
    kind: TheoryKind = Field(description=f"one of {', '.join(THEORY_KINDS)}")
    source: str = ""
    n_star: Any = None
    table: list[_RowWords] | None = None
    exponents: dict[Literal["d", "k"], float] | None = None
    status: ThresholdStatus | None = None
    measure: str | None = None
    mean: Any = None
    within: float | None = Field(None, gt=0, description="how far off still agrees")
    where: Any = None
    target: Any = None
    learner: Any = None

    @model_validator(mode="after")
    def _one_form(self) -> "_EntryWords":
        forms = (self.n_star, self.table, self.exponents, self.status, self.mean)
        if sum(form is not None for form in forms) != 1:
            raise ValueError("give one of n_star, table, exponents, status and mean")
        if self.exponents == {}:
            raise ValueError("exponents of nothing; give d or k")
        if (self.mean is None) != (self.measure is None):
            raise ValueError("mean and measure go together: the mean of a measure over trials")
        if self.table == []:
            raise ValueError("an empty table")
        return self


def _entry(found: Any, path: str, findings: Findings) -> Theory | None:
    words = read_part(_EntryWords, found, path, findings)
    if words is None:
        return None
    before = len(findings.faults)
    _check_table(words.table or (), f"{path}.table", findings)
    entry = Theory(
        kind=words.kind,
        source=words.source,
        n_star=_optional(Expression.of, words.n_star, f"{path}.n_star", findings),
        table=tuple(Row(row.d, row.k, row.n_star) for row in words.table or ()),
        exponents=words.exponents or {},
        status=words.status,
        measure=words.measure,
        mean=_optional(Expression.of, words.mean, f"{path}.mean", findings),
        within=words.within,
        where=_optional(Condition.of, words.where, f"{path}.where", findings),
        target=_chosen(Target, words.target, f"{path}.target", findings),
        learner=_chosen(Learner, words.learner, f"{path}.learner", findings),
    )
    of_a_threshold = (("n_star", entry.n_star), ("where", entry.where))
    for word, part in of_a_threshold if entry.mean is None else ():
        if part is not None and "n" in part.names:
            findings.add(f"{path}.{word}", "theory speaks of d and k; n has no value here")
    return entry if len(findings.faults) == before else None


def _check_table(table: Sequence[_RowWords], path: str, findings: Findings) -> None:
    """One (d, k) has one threshold."""
    first: dict[tuple[int, int | None], float] = {}
    for place, row in enumerate(table):
        earlier = first.setdefault((row.d, row.k), row.n_star)
        if earlier != row.n_star:
            at = f"d = {row.d}" if row.k is None else f"d = {row.d}, k = {row.k}"
            told = f"n_star is {number(row.n_star)} at {at}, where an earlier row says"
            findings.add(below(path, place), f"{told} {number(earlier)}; keep one")


def _optional(reader: Callable[[Any], _T], found: Any, path: str, findings: Findings) -> _T | None:
    return None if found is None else attempt(reader, found, path, findings)


def _chosen(base: type[Plugin], found: Any, path: str, findings: Findings) -> Chosen | None:
    if found is None:
        return None
    words = {"kind": found} if isinstance(found, str) else found
    if not isinstance(words, dict) or not words:
        findings.add(path, f"expected a kind or a mapping of settings, found {shown(found)}")
        return None
    kind = words.get("kind")
    if kind is not None and (not isinstance(kind, str) or kind not in base.kinds):
        findings.add(path, unknown_word(str(kind), base.kinds, "kind"))
        return None
    classes = [base.kinds[kind]] if isinstance(kind, str) else list(base.kinds.values())
    known = {name for plugin in classes for name in plugin.model_fields}
    check_words(words, known, path, findings)
    settings = {name: value for name, value in words.items() if name != "kind"}
    for name in settings:
        if name in known:
            _check_setting(classes, name, settings[name], below(path, name), findings)
    return Chosen(kind if isinstance(kind, str) else None, settings)


def _check_setting(
    classes: Sequence[type[Plugin]], name: str, value: Any, path: str, findings: Findings
) -> None:
    """Note a value that the field takes in none of the kinds which have it."""
    refusals: list[str] = []
    for plugin in classes:
        if name in plugin.model_fields:
            refusal = _refusal(plugin, name, value)
            if refusal is None:
                return
            refusals.append(f"{plugin.model_fields['kind'].default}: {refusal}")
    findings.add(path, refusals[0])


def _refusal(plugin: type[Plugin], name: str, value: Any) -> str | None:
    """Why that field of a plug-in does not take the value; None if it does."""
    try:
        plugin.model_validate_json(json.dumps({name: value}))
    except ValidationError as error:
        found = Findings()
        note_all(found, error, "", plugin)
        return next((f.message for f in found.faults if f.path.split(".")[0] == name), None)
    except (TypeError, ValueError):  # a check of several fields together, of which one is here
        return None
    return None
