"""Reading words into values, a fault for each that does not fit."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.spec.arithmetic import ExpressionError
from orchestrator.spec.parts import Part
from orchestrator.spec.wording import Findings, below, note_all, shown, unknown_word

_T = TypeVar("_T")
_Part = TypeVar("_Part", bound=Part)


def read_part(words: type[_Part], found: Any, path: str, findings: Findings) -> _Part | None:
    """The part those words describe; None where a finding says why."""
    if not isinstance(found, dict):
        findings.add(path, f"expected a mapping, found {shown(found)}")
        return None
    try:
        return words.model_validate_json(json.dumps(found))
    except ValidationError as error:
        note_all(findings, error, path, words)
    except (TypeError, ValueError):
        findings.add(path, "holds something other than plain values")
    return None


def attempt(reader: Callable[[Any], _T], found: Any, path: str, findings: Findings) -> _T | None:
    """What `reader` makes of `found`; None where it has a finding."""
    try:
        return reader(found)
    except ExpressionError as fault:
        findings.add(path, str(fault))
        return None


def check_words(found: dict[str, Any], known: Iterable[str], path: str, findings: Findings) -> None:
    """Note every word that is not among `known`."""
    for word in found:
        if word not in known:
            findings.add(below(path, word), unknown_word(word, known))
