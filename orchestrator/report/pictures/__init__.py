"""Pictures for print: one module per picture, each `draw(answer) -> Figure | None`."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from orchestrator.answer import Answer
from orchestrator.report.pictures.canvas import as_files, drawn, encoded
from orchestrator.report.pictures.collapse import draw as draw_collapse
from orchestrator.report.pictures.headline_picture import draw as draw_headline
from orchestrator.report.pictures.law import draw as draw_law
from orchestrator.report.pictures.learning_curves import draw as draw_learning_curves
from orchestrator.report.pictures.narrowing import draw as draw_narrowing
from orchestrator.report.pictures.phase_diagram import draw as draw_phase
from orchestrator.report.pictures.phase_diagram import planes
from orchestrator.report.pictures.ratios import draw as draw_ratios
from orchestrator.report.pictures.settings import draw as draw_settings
from orchestrator.report.pictures.success_curves import draw as draw_success_curves
from orchestrator.report.pictures.trials_spent import draw as draw_trials_spent
from orchestrator.report.series import learned_measures, letters

__all__ = ["figures", "headline", "pictures"]

Draw = Callable[[Answer], Figure | None]


def pictures(answer: Answer) -> dict[str, Draw]:
    """The pictures that may make sense for this answer, by name, in the order they are read.

    Those that turn out to have nothing to show draw None.
    """
    tried = any(found.tallies for arm in answer.arms for found in arm.thresholds)
    chosen: dict[str, Draw] = {}
    if tried:
        chosen |= {"success_curves": draw_success_curves, "collapse": draw_collapse}
    for plane in planes(answer) if tried else ():
        chosen[f"phase_{plane.name}"] = partial(draw_phase, plane=plane)
    for letter in letters(answer):
        name = "law" if letter == letters(answer)[0] else f"law_{letter}"
        chosen[name] = partial(draw_law, along=letter)
    if answer.comparisons:
        chosen["ratios"] = draw_ratios
    if any(found.rivals for arm in answer.arms for found in arm.thresholds):
        chosen["settings"] = draw_settings
    for measure in learned_measures(answer):
        chosen[f"learning_{measure}"] = partial(draw_learning_curves, measure=measure)
    if tried:
        chosen["trials_spent"] = draw_trials_spent
        chosen["narrowing"] = draw_narrowing
    return chosen


def figures(answer: Answer) -> dict[str, bytes]:
    """Every picture as PNG and PDF, by relative path."""
    files: dict[str, bytes] = {}
    for name, draw in pictures(answer).items():
        with drawn(answer, draw) as figure:
            if figure is not None:
                files |= as_files(figure, answer, name)
    return files


def headline(answer: Answer) -> bytes:
    """The answer in one wide picture, PNG."""
    with drawn(answer, draw_headline) as figure:
        if figure is None:
            raise AssertionError("the headline is always drawn")
        return encoded(figure, "png", answer, "headline")
