"""Findings about an experiment file, and the words for them.

A path is written with dots, list places counted from 0: `theory.0.n_star`, as `--set` takes it.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import Fault, SpecError

LONGEST_SHOWN = 60
"""Characters of a found value that a message repeats; chosen by hand."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")


class Findings:
    """Faults as they are found, so that a file's are given all at once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, path: str, message: str, file: str = "", line: int | None = None) -> None:
        """Note a fault at `path`."""
        self.faults.append(Fault(message=message, path=path, file=file, line=line))

    def once(self, path: str, message: str) -> None:
        """Note a fault unless `path` has one already; for checks repeated over a grid."""
        if all(fault.path != path for fault in self.faults):
            self.add(path, message)

    def touch(self, *paths: str) -> bool:
        """Whether any fault lies at one of `paths` or below it."""
        return any(_inside(fault.path, path) for fault in self.faults for path in paths)

    def raise_if_any(self) -> None:
        """Raise `SpecError` with everything found, if anything was."""
        if self.faults:
            raise SpecError(self.faults)


def merged(first: Sequence[Fault], later: Sequence[Fault]) -> tuple[Fault, ...]:
    """Both, without those later faults that an earlier one at the same place may have caused."""

    def is_caused(fault: Fault) -> bool:
        return any(
            _inside(fault.path, cause.path) or _inside(cause.path, fault.path) for cause in first
        )

    return (*first, *(fault for fault in later if not is_caused(fault)))


def _inside(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


def below(path: str, key: object) -> str:
    """The path of `key` inside `path`. Keys with odd characters are quoted and cut short."""
    text = str(key)
    shown = text if _PLAIN_KEY.fullmatch(text) else quoted(text)
    return f"{path}.{shown}" if path else shown


def quoted(text: str) -> str:
    """The text in ASCII quotes, cut short; control characters and look-alikes become escapes."""
    cut = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return ascii(cut).replace("\\u2026", "...")


def shown(value: object) -> str:
    """What was found, as a person would name it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return number(value)
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    return f"a {type(value).__name__}"


def number(value: float) -> str:
    """A number as a person writes it: no `.0`, as many digits as it has."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:20]}..."


def unknown_word(found: str, known: Iterable[str], what: str = "word") -> str:
    """The words for a name that is not known: the nearest one, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(found.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {quoted(found)}; {hint}known {what}s: {', '.join(names)}"


def note_all(findings: Findings, error: ValidationError, path: str, words: type[BaseModel]) -> None:
    """Turn everything pydantic found in `words`, read at `path`, into faults."""
    for detail in error.errors(include_url=False):
        place = path
        for key in detail["loc"]:
            place = below(place, key)
        findings.add(place, _message(detail, words))


def _message(detail: ErrorDetails, words: type[BaseModel]) -> str:
    kind, found = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_word(str(detail["loc"][-1]), words.model_fields)
    if kind == "missing":
        return _missing(str(detail["loc"][-1]), words)
    if kind == "literal_error":
        hint = _near(found, context) or _hint(kind, found)
        return f"expected {context['expected']}, found {shown(found)}{hint}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {shown(found)}{_hint(kind, found)}"
    if kind in _BOUNDS:
        bound = number(next(iter(context.values())))
        return f"expected a number {_BOUNDS[kind]} {bound}, found {shown(found)}"
    return str(context.get("error", detail["msg"]))


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "nothing",
}
_BOUNDS = {
    "greater_than": "above",
    "greater_than_equal": "of at least",
    "less_than": "below",
    "less_than_equal": "of at most",
}


def _missing(name: str, words: type[BaseModel]) -> str:
    field = words.model_fields.get(name)
    meaning = field.description if field else None
    return f"missing: {meaning}" if meaning else "missing"


def _near(found: object, context: Mapping[str, Any]) -> str:
    choices = re.findall(r"'([^']*)'", str(context["expected"]))
    near = difflib.get_close_matches(str(found), choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _hint(kind: str, found: object) -> str:
    if kind.startswith("int") and isinstance(found, float) and found.is_integer():
        return f" with a decimal point; write {int(found)}"
    if isinstance(found, str) and kind != "string_type" and looks_numeric(found):
        return f"; write {found.strip()} without quotes"
    if kind == "string_type" and isinstance(found, int | float):
        return "; put it in quotes"
    return ""


def looks_numeric(text: str) -> bool:
    """Whether the text is a finite number that somebody quoted."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
