"""From a file on disk to plain values with line numbers, or all the reasons why not."""

import json
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.errors import Fault, SpecError
from orchestrator.spec.document import MOST_BYTES, MOST_DEPTH, MOST_DIGITS, Document, Place
from orchestrator.spec.wording import below, quoted
from orchestrator.spec.yaml_text import places_in, read_yaml


def read_file(path: Path) -> Document:
    """The file's values. YAML, TOML or JSON by suffix. Raises `SpecError`."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise _fault(
            f"unknown suffix {quoted(path.suffix)}; an experiment file ends in "
            ".yaml, .yml, .toml or .json",
            str(path),
        )
    return read_text(decoded(_bytes(path), str(path)), path.suffix, str(path))


def read_text(text: str, suffix: str = ".yaml", file: str = "") -> Document:
    """The text's values, read as `suffix` says. Raises `SpecError`."""
    document = _READERS[suffix.lower()](text, file)
    if not isinstance(document.value, dict):
        kind = "a list" if isinstance(document.value, list) else "a single value"
        raise _fault(f"the file holds {kind}; an experiment file is a mapping of words", file)
    document.comment = question_of(text)
    return document


def question_of(source: str) -> str:
    """The first paragraph of the comment that opens a YAML or TOML file, on one line.

    Of JSON, which has no comments, the word `question`.
    """
    if source.lstrip().startswith("{"):
        return _json_question(source)
    lines: list[str] = []
    for line in source.splitlines():
        text = line.strip()
        if not text.startswith("#"):
            if lines or text:
                break
            continue
        words = text.lstrip("#").strip()
        if not words and lines:
            break
        if words:
            lines.append(words)
    return " ".join(lines)


def _json_question(source: str) -> str:
    try:
        words = json.loads(source)
    except (ValueError, RecursionError):
        return ""
    question = words.get("question") if isinstance(words, dict) else None
    return question if isinstance(question, str) else ""


def _fault(message: str, file: str, line: int | None = None, path: str = "") -> SpecError:
    return SpecError([Fault(message, path, file, line)])


def _bytes(path: Path) -> bytes:
    """What the file holds; one byte past the limit is enough to know that it is too long."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _fault("not a regular file", str(path))
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise _fault(f"cannot read the file: {reason}", quoted_path(path)) from None


def quoted_path(path: Path) -> str:
    """The path as text that is safe to print."""
    return str(path) if str(path).isprintable() else quoted(str(path))


def decoded(content: bytes, file: str) -> str:
    """The text of `content`, which must be plain UTF-8. Raises `SpecError`."""
    if len(content) > MOST_BYTES:
        raise _fault(f"longer than {MOST_BYTES // 1000} kB; an experiment file is short", file)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _fault("written in UTF-16; save it as UTF-8", file)
    if content.startswith(b"\xef\xbb\xbf"):
        raise _fault("starts with a byte-order mark; save it as UTF-8 without one", file, 1)
    if (place := content.find(b"\0")) >= 0:
        raise _fault("contains a NUL byte", file, content.count(b"\n", 0, place) + 1)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _fault("not valid UTF-8; save it as UTF-8", file, line) from None
    if not text.strip():
        raise _fault("the file is empty", file)
    return text


# TOML


def _read_toml(text: str, file: str) -> Document:
    if (line := _over_dotted(text)) is not None:
        raise _fault(f"values nested more than {MOST_DEPTH} deep", file, line)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _toml_fault(str(error), file) from None
    except RecursionError:
        raise _fault(f"values nested more than {MOST_DEPTH} deep", file) from None
    except ValueError:  # Python reads no number of thousands of digits
        raise _fault(f"a whole number of more than {MOST_DIGITS} digits", file) from None
    return Document(value, file, _toml_places(text, file))


def _toml_fault(message: str, file: str) -> SpecError:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(found[1]) if found else None
    words = message[: found.start()] if found else message.removesuffix(" (at end of document)")
    if words.startswith(("Cannot overwrite", "Cannot declare", "Duplicate inline")):
        words = f"stands twice: {words}"
    return _fault(f"not readable as TOML: {words}", file, line)


_TOML_PIECE = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|[\w-]+|\.|\n|[^\s]')


def _over_dotted(text: str) -> int | None:
    """The line of a dotted key with too many parts; tomllib takes quadratic time over those."""
    line, parts = 1, 0
    for found in _TOML_PIECE.finditer(text):
        piece = found[0]
        if piece == "\n":
            line, parts = line + 1, 0
        elif piece == ".":
            parts += 1
        elif not (piece[0] in "\"'" or piece[0].isalnum() or piece[0] in "_-"):
            parts = 0
        if parts > MOST_DEPTH:
            return line
    return None


_TOML_LINE = re.compile(r"\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?|\s*([\w\"'. -]+?)\s*=")


def _toml_places(text: str, file: str) -> dict[str, Place]:
    """Lines of headers and keys, found line by line; tomllib gives none.

    A line inside a long text may pass for a key; that misplaces a line number and nothing else.
    """
    places: dict[str, Place] = {}
    counts: dict[str, int] = {}
    table = ""
    for line, written in enumerate(text.splitlines(), start=1):
        found = _TOML_LINE.match(written[:200])  # keys are short; the pattern is quadratic
        if found is None:
            continue
        if found[1]:
            table = _dotted("", found[2])
            if found[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = below(table, counts[table])
            places.setdefault(table, Place(file, line))
        else:
            places.setdefault(_dotted(table, found[3]), Place(file, line))
    return places


def _dotted(table: str, key: str) -> str:
    path = table
    for part in key.split("."):
        path = below(path, part.strip().strip("\"'"))
    return path


# JSON


def _read_json(text: str, file: str) -> Document:
    # JSON is nearly a part of YAML, whose events carry lines.
    places = places_in(text.replace("\t", " "), file)
    doubles: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        words = dict(found)
        if len(words) < len(found):
            names = [name for name, _ in found]
            doubles.extend(sorted({name for name in names if names.count(name) > 1}))
        return words

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=_json_int)
    except json.JSONDecodeError as error:
        raise _fault(f"not readable as JSON: {error.msg}", file, error.lineno) from None
    except RecursionError:
        raise _fault(f"values nested more than {MOST_DEPTH} deep", file) from None
    twice = _json_doubles(text, file, doubles) if doubles else ()
    return Document(value, file, places, faults=twice)


def _json_int(text: str) -> int:
    """The number; one with more digits than Python will read is replaced by one that is refused."""
    return int(text) if len(text.lstrip("-")) <= MOST_DIGITS else 10**MOST_DIGITS


def _json_doubles(text: str, file: str, doubles: list[str]) -> tuple[Fault, ...]:
    try:
        faults = read_yaml(text.replace("\t", " "), file).faults
    except SpecError as error:
        faults = error.faults
    twice = tuple(fault for fault in faults if "stands twice" in fault.message)
    return twice or tuple(Fault("stands twice", below("", name), file) for name in doubles)


_READERS: dict[str, Callable[[str, str], Document]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".toml": _read_toml,
    ".json": _read_json,
}
