"""Pictures for print: one module per picture, each `draw(answer) -> Figure | None`."""

from collections.abc import Callable

from matplotlib.figure import Figure

from orchestrator.answer import Answer
from orchestrator.report.pictures import (
    headline_picture,
    law,
    phase_diagram,
    ratios,
    success_curves,
    trials_spent,
)
from orchestrator.report.pictures.canvas import drawn, encoded
from orchestrator.report.series import letters

__all__ = ["figures", "headline", "pictures"]

Draw = Callable[[Answer], Figure | None]


def pictures(answer: Answer) -> dict[str, Draw]:
    """The pictures that make sense for this answer, by name, in the order they are read."""
    chosen: dict[str, Draw] = {"success_curves": success_curves.draw}
    for plane in phase_diagram.planes(answer):
        chosen[f"phase_{plane.name}"] = lambda one, plane=plane: phase_diagram.draw(one, plane)
    for letter in letters(answer):
        name = "law" if letter == letters(answer)[0] else f"law_{letter}"
        chosen[name] = lambda one, letter=letter: law.draw(one, letter)
    if answer.comparisons:
        chosen["ratios"] = ratios.draw
    chosen["trials_spent"] = trials_spent.draw
    return chosen


def figures(answer: Answer) -> dict[str, bytes]:
    """Every picture as PNG and PDF, by relative path."""
    files = {}
    for name, draw in pictures(answer).items():
        with drawn(answer, draw) as figure:
            if figure is not None:
                for suffix in ("png", "pdf"):
                    files[f"figures/{name}.{suffix}"] = encoded(figure, suffix, answer, name)
    return files


def headline(answer: Answer) -> bytes:
    """The answer in one wide picture, PNG."""
    with drawn(answer, headline_picture.draw) as figure:
        if figure is None:
            raise AssertionError("the headline is always drawn")
        return encoded(figure, "png", answer, "headline")
