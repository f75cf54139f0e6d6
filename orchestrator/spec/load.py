"""`load`: from a file to an experiment, or to everything that is wrong with the file."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.document import Document
from orchestrator.spec.loading import read_file, read_text
from orchestrator.spec.model import ExperimentSpec
from orchestrator.spec.overrides import override
from orchestrator.spec.wording import merged


def load(path: Path, overrides: Sequence[str] = ()) -> ExperimentSpec:
    """The experiment that the file asks, after `path=value` overrides.

    Raises `SpecError` with all faults, each with its file and line; nothing else is raised.
    """
    return _understood(read_file(path), overrides)


def loads(
    text: str, suffix: str = ".yaml", file: str = "", overrides: Sequence[str] = ()
) -> ExperimentSpec:
    """The experiment that a text asks, read as a file with that suffix would be."""
    return _understood(read_text(text, suffix, file), overrides)


def _understood(document: Document, overrides: Sequence[str]) -> ExperimentSpec:
    unset = override(document, overrides)
    words = document.value
    if "question" not in words:
        words = {**words, "question": document.comment}
    try:
        spec = ExperimentSpec.from_words(words)
    except SpecError as error:
        raise document.fail((*merged(document.faults, error.faults), *unset)) from None
    if document.faults or unset:
        raise document.fail((*document.faults, *unset))
    return spec
