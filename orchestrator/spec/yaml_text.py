"""YAML read as data and nothing else: no tags, no aliases, no duplicate keys, no surprises.

The parser's events are composed here rather than by `yaml.safe_load`, which keeps the last of two
equal keys in silence, expands aliases (a 1 kB file can ask for gigabytes), recurses, and reads
`no` as false, `010` as 8, `1:30` as 90, and `1e-3` as text. Plain words are read as YAML 1.2 and
every newcomer expect: `true` and `false` are truths, `1e-3` is a number, `no` and dates are text.
"""

import math
import re
from typing import Any

import yaml

from orchestrator.errors import Fault, SpecError
from orchestrator.spec.document import MOST_DEPTH, MOST_DIGITS, MOST_NODES, Document, Place
from orchestrator.spec.wording import below, quoted

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def read_yaml(text: str, file: str = "") -> Document:
    """The text as one document, with what is wrong with it. Raises `SpecError` if unreadable."""
    composer, end = _composed(text, file)
    if end is None and composer.documents == 0:
        end = Fault("the file is empty", file=file)
    if end is not None:
        raise SpecError([*composer.faults, end])
    return Document(composer.root, file, composer.places, faults=tuple(composer.faults))


def places_in(text: str, file: str) -> dict[str, Place]:
    """Where each value stands, as far as the text can be read."""
    return _composed(text, file)[0].places


def _composed(text: str, file: str) -> tuple["_Composer", Fault | None]:
    """What was read, and the fault that ended it early, if one did."""
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.YAMLError as error:
        return composer, _unreadable(error, text, file)
    except _TooMuchError as error:
        return composer, error.fault
    except UnicodeEncodeError:  # half a surrogate pair, as a shell may pass one
        return composer, Fault("not valid Unicode", file=file)
    return composer, None


class _TooMuchError(Exception):
    """The file is larger, deeper or more than one; reading stops here."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


class _Open:
    """A mapping or list that is being read; `key` waits for its value."""

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None
        self.is_strange = False
        self.lines: dict[str, int] = {}


class _Composer:
    """Builds values from parser events, one at a time, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.places: dict[str, Place] = {}
        self.documents = 0
        self.root: Any = None
        self._open: list[_Open] = []
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        assert event.start_mark is not None
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._begin_document(event, line)
            case yaml.AliasEvent():
                self._fault(line, f"alias *{event.anchor}; write the value out, aliases are off")
                self._put(None, line)
            case yaml.ScalarEvent():
                self._check_node(event, line)
                self._put(self._scalar(event, line), line)
            case yaml.MappingStartEvent():
                self._check_node(event, line)
                self._enter({}, line)
            case yaml.SequenceStartEvent():
                self._check_node(event, line)
                self._enter([], line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()

    def _begin_document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _TooMuchError(self._at(line, "a second document starts here; one file asks one"))
        if event.tags:
            self._fault(line, "a %TAG directive; tags are off")

    def _check_node(self, event: Any, line: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _TooMuchError(self._at(line, f"more than {MOST_NODES} values"))
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(line, f"the tag {quoted(tag)}; tags are off, write plain values")
        if event.anchor is not None:
            self._fault(line, f"the anchor &{event.anchor}; anchors and aliases are off")

    def _enter(self, value: Any, line: int) -> None:
        if len(self._open) >= MOST_DEPTH:
            raise _TooMuchError(self._at(line, f"values nested more than {MOST_DEPTH} deep"))
        path = self._path()
        self._put(value, line)
        self._open.append(_Open(value, path))

    def _path(self) -> str:
        if not self._open:
            return ""
        top = self._open[-1]
        if isinstance(top.value, list):
            return below(top.path, len(top.value))
        return below(top.path, top.key) if top.key is not None else top.path

    def _put(self, value: Any, line: int) -> None:
        if not self._open:
            self.root = value
            self.places[""] = Place(self.file, line)
            return
        top = self._open[-1]
        if isinstance(top.value, list):
            self.places[self._path()] = Place(self.file, line)
            top.value.append(value)
        elif top.key is None:
            self._take_key(top, value, line)
        else:
            if not top.is_strange:
                top.value[top.key] = value
            top.key, top.is_strange = None, False

    def _take_key(self, top: _Open, key: Any, line: int) -> None:
        if not isinstance(key, str):
            found = "a list or mapping" if isinstance(key, list | dict) else str(key)
            place = below(top.path, found)
            self._fault(line, f"{found} stands where a word belongs; words are text", place)
            key, top.is_strange = found, True
        elif key in top.lines:
            place = below(top.path, key)
            self._fault(line, f"stands twice, on lines {top.lines[key]} and {line}", place)
        top.key = key
        top.lines.setdefault(key, line)
        self.places[self._path()] = Place(self.file, line)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        if event.style in ("'", '"', "|", ">"):  # quoted or a block: text, whatever it says
            return event.value
        try:
            return plain_word(event.value)
        except ValueError as error:
            self._fault(line, str(error), self._path())
            return None

    def _at(self, line: int, message: str, path: str = "") -> Fault:
        return Fault(message, path, self.file, line)

    def _fault(self, line: int, message: str, path: str | None = None) -> None:
        self.faults.append(self._at(line, message, self._path() if path is None else path))


def plain_word(text: str) -> bool | int | float | str | None:
    """What an unquoted word means. Raises `ValueError` for numbers that would surprise."""
    if text in _NOTHING:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError(
            f"{text[:40]} starts with a zero, which YAML readers take for octal; "
            "drop the zero, or quote it if it is text"
        )
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if _WHOLE.fullmatch(text):
        if len(text.lstrip("+-")) > MOST_DIGITS:
            raise ValueError(f"a whole number of more than {MOST_DIGITS} digits")
        return int(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    line = mark.line + 1 if mark is not None else None
    lines = text.splitlines()
    written = lines[line - 1] if line is not None and line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return Fault("indented with a tab; YAML indents with spaces", file=file, line=line)
    if hint := _likely(problem, written):
        problem = f"{problem}; {hint}"
    return Fault(f"not readable as YAML: {problem}", file=file, line=line)


def _likely(problem: str, written: str) -> str:
    if "mapping values are not allowed" in problem:
        return "quote text that contains ': '"
    if "cannot start any token" in problem and ("@" in written or "`" in written):
        return "quote text that starts with @ or `"
    return ""
