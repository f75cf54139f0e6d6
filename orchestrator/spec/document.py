"""An experiment file as plain values, with the place where each was written."""

import math
import unicodedata
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from orchestrator.domain.plugin import Plugin
from orchestrator.errors import Fault, SpecError
from orchestrator.spec.wording import Findings, below, shown

MOST_BYTES = 256_000
"""Size of a file, checked before parsing: 1 MB of flat list took YAML 9 s. Chosen by hand."""
MOST_DEPTH = 32
"""Mappings and lists inside each other; deeper files exhausted parsers' stacks. Chosen by hand."""
MOST_NODES = 20_000
"""Values in a file; 1 to 2 s of YAML. Chosen by hand."""
MOST_DIGITS = 18
"""Digits of a whole number: what fits in 64 bits."""


@dataclass(frozen=True)
class Place:
    """Where a value was written. An override has its own words as `file` and no line."""

    file: str
    line: int | None = None


@dataclass
class Document:
    """Plain values with their places, by path; `comment` is the text that opens the file."""

    value: Any
    file: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    comment: str = ""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the text; the values are read on, so that all faults are told at once."""

    def place(self, path: str) -> Place:
        """Where the value at `path` was written, or the nearest value around it."""
        nearest = path
        while nearest and nearest not in self.places:
            nearest = nearest.rpartition(".")[0]
        if path and not nearest:  # a missing word stands on no line
            return Place(self.file)
        return self.places.get(nearest, Place(self.file))

    def located(self, fault: Fault) -> Fault:
        """The fault with its file and line, where it had none."""
        if fault.file:
            return fault
        place = self.place(fault.path)
        return Fault(fault.message, fault.path, place.file, place.line)

    def fail(self, faults: tuple[Fault, ...]) -> SpecError:
        """The error that tells all faults with their places, in the order of the file."""
        located = [self.located(fault) for fault in faults]
        return SpecError(sorted(located, key=_order))


def _order(fault: Fault) -> tuple[bool, int]:
    """By line; what stands on none, such as a missing word, comes last."""
    return fault.line is None, fault.line or 0


def check_plain(value: Any, findings: Findings) -> Any:
    """Copy lists and mappings; note every value that no experiment file can hold.

    Values that are not data, such as a plug-in given in Python, pass through. Iterative, because a
    document may be deeper than Python's stack.
    """
    root: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any, str, int]] = [(value, root, 0, "", 0)]
    count = 0
    while waiting:
        found, holder, key, path, depth = waiting.pop()
        count += 1
        if count > MOST_NODES:
            findings.add("", f"more than {MOST_NODES} values; an experiment file holds fewer")
            break
        if depth > MOST_DEPTH:
            findings.add("", f"values nested more than {MOST_DEPTH} deep")
            break
        if isinstance(found, dict):
            holder[key] = copy = dict.fromkeys(found)
            for name in found:
                _check_key(name, path, findings)
            waiting += [(found[k], copy, k, below(path, k), depth + 1) for k in reversed(found)]
        elif isinstance(found, list | tuple):
            holder[key] = items = [None] * len(found)
            waiting += [
                (item, items, place, below(path, place), depth + 1)
                for place, item in reversed(list(enumerate(found)))
            ]
        else:
            holder[key] = found
            _check_scalar(found, path, findings)
    return root[0]


def _check_key(key: object, path: str, findings: Findings) -> None:
    if not isinstance(key, str):
        findings.add(path, f"{shown(key)} stands where a word belongs; words are text")


def _check_scalar(found: object, path: str, findings: Findings) -> None:
    if isinstance(found, float) and not math.isfinite(found):
        findings.add(path, f"{found} is not a finite number")
    elif isinstance(found, int) and abs(found) >= 10**MOST_DIGITS:
        findings.add(path, f"a whole number of more than {MOST_DIGITS} digits")
    elif isinstance(found, str) and any(map(_is_hidden, found)):
        findings.add(path, f"{shown(found)} holds invisible or control characters")
    elif isinstance(found, date | time):  # TOML has them
        findings.add(path, f"the date or time {found}; put it in quotes if it is text")
    elif not isinstance(found, str | int | float | Plugin | None):
        findings.add(path, f"{shown(found)} is not a plain value")


def _is_hidden(letter: str) -> bool:
    """Whether a terminal or an editor would act on the character instead of showing it."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter not in "\n\t"
