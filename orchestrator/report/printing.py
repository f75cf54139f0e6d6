"""Every picture of an answer as files."""

from orchestrator.answer import Answer
from orchestrator.report.kinds import kinds
from orchestrator.report.pictures.canvas import as_files, drawn, encoded
from orchestrator.report.pictures.headline_picture import draw as draw_headline


def figures(answer: Answer) -> dict[str, bytes]:
    """Every picture as PNG and PDF, by relative path."""
    files: dict[str, bytes] = {}
    for kind in kinds(answer):
        with drawn(answer, kind.on_paper) as figure:
            if figure is not None:
                files |= as_files(figure, answer, kind.name)
    return files


def headline(answer: Answer) -> bytes:
    """The answer in one wide picture, PNG."""
    with drawn(answer, draw_headline) as figure:
        if figure is None:
            raise AssertionError("the headline is always drawn")
        return encoded(figure, "png", answer, "headline")
