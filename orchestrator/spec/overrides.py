"""`--set path=value`: words said on the command line in place of the file's."""

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import Fault, SpecError
from orchestrator.spec.document import Document, Place
from orchestrator.spec.wording import Findings, below, shown
from orchestrator.spec.yaml_text import read_yaml


def override(document: Document, overrides: Sequence[str]) -> tuple[Fault, ...]:
    """Set each `path=value` in the document, in order; the value is read as YAML.

    A path that leads nowhere yet is made of mappings. Returns the faults of overrides that could
    not be set; they name the override, and so do later faults of values that were.
    """
    findings = Findings()
    for one in overrides:
        file = f"--set {one}" if one.isprintable() else f"--set {one!a}"
        try:
            path, value = _read(one, file)
            _set(document, path, value, file)
        except SpecError as error:
            findings.faults += error.faults
    return tuple(findings.faults)


def _read(one: str, file: str) -> tuple[list[str], Any]:
    path, equals, text = one.partition("=")
    words = [word.strip() for word in path.split(".")]
    if not equals or not all(words):
        raise _fault("expected path=value, such as search.tolerance=0.02", file)
    if not text.strip():
        raise _fault("no value after '='", file)
    try:
        read = read_yaml(text)
        if read.faults:
            raise SpecError(read.faults)
    except SpecError as error:
        raise SpecError([Fault(fault.message, path, file) for fault in error.faults]) from None
    return words, read.value


def _set(document: Document, words: list[str], value: Any, file: str) -> None:
    holder, path = document.value, ""
    for word in words[:-1]:
        key = _key(holder, word, path, file)
        if isinstance(holder, dict) and key not in holder:
            holder[key] = {}
        holder, path = holder[key], below(path, key)
    key = _key(holder, words[-1], path, file)
    holder[key] = value
    path = below(path, key)
    for place in [place for place in document.places if f"{place}.".startswith(f"{path}.")]:
        del document.places[place]
    document.places[path] = Place(file)


def _key(holder: Any, word: str, path: str, file: str) -> Any:
    if isinstance(holder, dict):
        return word
    if not isinstance(holder, list):
        raise _fault(f"{path} is {shown(holder)} and has no {word}", file, path)
    if word.isascii() and word.isdigit() and len(word) < 6 and int(word) < len(holder):
        return int(word)
    raise _fault(
        f"{path} is a list of {len(holder)}; name one by its place from 0, such as {path}.0",
        file,
        path,
    )


def _fault(message: str, file: str, path: str = "") -> SpecError:
    return SpecError([Fault(message, path, file)])
