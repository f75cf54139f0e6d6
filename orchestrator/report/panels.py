"""The pictures of the page: which there are, in which order, and the words beneath them."""

import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PIL import Image

from orchestrator.answer import Answer
from orchestrator.report.pictures import pictures
from orchestrator.report.pictures.canvas import as_files, drawn, encoded
from orchestrator.report.pictures.learning_curves import SAID as LEARNING
from orchestrator.report.pictures.phase_diagram import planes
from orchestrator.report.screen import (
    collapse,
    law,
    learning_curves,
    narrowing,
    phase_diagram,
    ratios,
    settings,
    success_curves,
    trials_spent,
)
from orchestrator.report.screen.graph import Graph
from orchestrator.report.series import FEWEST_FOR_BAR, learned_measures, letters

LAW = (
    "Marks are measured thresholds with their intervals, solid lines the fitted laws, dashed lines "
    "theory. Hollow marks are not settled, triangles are one-sided bounds, ? is not known. Below: "
    "how far the thresholds lie from the laws."
)
SUCCESS = (
    "Points are observed success rates, neighbouring n pooled, with Wilson intervals from "
    f"{FEWEST_FOR_BAR} trials on; faint points are the single n. Curves are the posterior median "
    "with its band."
)
COLLAPSE = (
    "Every threshold with its n divided by its own n*. Where curves lie on each other, d and k "
    "change the scale of n alone, and not how sharply success sets in."
)
PHASE = (
    "Dashes are tried cells by success rate, wider with more trials. A triangle is a one-sided "
    "bound on n*, ? is not known."
)
RATIOS = (
    "Above, the arms over each other; below, thresholds of one arm over another's, with intervals. "
    "At 1 both need the same."
)
SPENT = (
    "Each strip is one threshold; dots are trials at one n in one round, larger with more; rounds "
    "run from top to bottom; where dots would be too many, neighbours are drawn as one. The line "
    "is n*."
)
NARROWING = (
    "Half the width of the interval of n* over n*, judged from the trials of the first rounds "
    "alone, at a few rounds. Dashed: the tolerance asked for."
)
SETTINGS = (
    "Each line is one setting at one d and k, from its values to its n*. Colours say how much more "
    "it needs than the best setting there; the orange ones were chosen."
)


MOST_SVG = 120_000
"""Bytes of a picture's shapes beyond which its pixels may be fewer. Chosen by hand."""
DPI = 150
"""Of pixels in the page, where pictures stand in for graphs and are printed. Chosen by hand."""


@dataclass(frozen=True)
class Panel:
    """A picture of the page: interactive graphs, and the print that stands in for them."""

    title: str
    caption: str
    graphs: tuple[Graph, ...]
    svg: str

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return " ".join(graph.alt for graph in self.graphs)


def panels(
    answer: Answer, files: dict[str, bytes] | None = None
) -> tuple[list[Panel], list[Panel]]:
    """The pictures of the answer itself, and those of its evidence.

    Where `files` is given, each is put there too, as PNG and PDF: drawing takes longer than writing
    a drawn picture once more.
    """
    svg, varying = _printed(answer, files), letters(answer)
    first = [
        Panel(
            f"Thresholds against {letter}",
            LAW,
            (law.graph(answer, letter),),
            svg["law" if letter == varying[0] else f"law_{letter}"],
        )
        for letter in varying
    ]
    return first, [panel for panel in _evidence(answer, svg) if panel is not None]


def _evidence(answer: Answer, svg: dict[str, str]) -> Iterable[Panel | None]:
    """The pictures in the order they are read; None for those that cannot be drawn."""
    arms = range(len(answer.arms))

    def each(
        name: str, title: str, caption: str, graph: Callable[[int], Graph | None]
    ) -> Panel | None:
        if name not in svg:
            return None
        graphs = tuple(one for index in arms if (one := graph(index)) is not None)
        return Panel(title, caption, graphs, svg[name])

    def of(draw: Callable[[Answer, int], Graph | None]) -> Callable[[int], Graph | None]:
        return lambda index: draw(answer, index)

    yield each("success_curves", "Success curves", SUCCESS, of(success_curves.graph))
    yield each("collapse", "Success curves over n / n*", COLLAPSE, of(collapse.graph))
    for plane in planes(answer):
        yield each(
            f"phase_{plane.name}",
            f"Phase diagram: {plane.across} and {plane.upward.split(',')[0]}",
            PHASE,
            lambda index, plane=plane: phase_diagram.graph(answer, index, plane),  # type: ignore[misc]
        )
    if "ratios" in svg and (both := ratios.graph(answer, letters(answer)[0])) is not None:
        yield Panel("Ratios of thresholds", RATIOS, (both,), svg["ratios"])
    yield each("settings", "Settings tried", SETTINGS, of(settings.graph))
    for measure in learned_measures(answer):
        yield each(
            f"learning_{measure}",
            f"Learning curves: {measure}",
            LEARNING,
            lambda index, measure=measure: learning_curves.graph(answer, index, measure),  # type: ignore[misc]
        )
    yield each("trials_spent", "Where trials were spent", SPENT, of(trials_spent.graph))
    yield each("narrowing", "How intervals narrowed", NARROWING, of(narrowing.graph))


def _printed(answer: Answer, files: dict[str, bytes] | None) -> dict[str, str]:
    """Every picture in a data address: as SVG, or as PNG where its shapes take more room."""
    addresses = {}
    for name, draw in pictures(answer).items():
        with drawn(answer, draw) as figure:
            if figure is not None:
                kind, data = "svg+xml", encoded(figure, "svg", answer, name, DPI)
                if len(data) > MOST_SVG:
                    pixels = _few_colours(encoded(figure, "png", answer, name, DPI))
                    kind, data = min((kind, data), ("png", pixels), key=lambda one: len(one[1]))
                text = base64.b64encode(data).decode("ascii")
                addresses[name] = f"data:image/{kind};base64,{text}"
                if files is not None:
                    files |= as_files(figure, answer, name)
    return addresses


def _few_colours(png: bytes) -> bytes:
    """The same picture from a palette of 255 colours, in a third of the bytes."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(255).save(file, "PNG", optimize=True)
    return file.getvalue()
