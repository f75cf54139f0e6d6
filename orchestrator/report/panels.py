"""The pictures of the page: interactive graphs, and the print that stands in for each."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from orchestrator.answer import Answer
from orchestrator.report.kinds import Kind, kinds
from orchestrator.report.pictures.canvas import as_files, drawn, encoded
from orchestrator.report.screen.graph import Graph

MOST_SVG = 120_000
"""Bytes of a picture's shapes beyond which its pixels may be fewer. Chosen by hand."""
DPI = 150
"""Of pixels in the page, where pictures stand in for graphs and are printed. Chosen by hand."""


@dataclass(frozen=True)
class Panel:
    """A picture of the page; `svg` is the address of its print, whatever its form."""

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
    first: list[Panel] = []
    evidence: list[Panel] = []
    for kind in kinds(answer):
        address = _printed(answer, kind, files)
        if address is not None:
            panel = Panel(kind.title, kind.caption, tuple(_graphs(answer, kind)), address)
            (first if kind.the_answer else evidence).append(panel)
    return first, evidence


def _graphs(answer: Answer, kind: Kind) -> Iterator[Graph]:
    for arm in range(1 if kind.of_all_arms else len(answer.arms)):
        graph = kind.on_screen(answer, arm)
        if graph is not None:
            yield graph


def _printed(answer: Answer, kind: Kind, files: dict[str, bytes] | None) -> str | None:
    """A picture in a data address: as SVG, or as PNG where its shapes take more room."""
    with drawn(answer, kind.on_paper) as figure:
        if figure is None:
            return None
        if files is not None:
            files |= as_files(figure, answer, kind.name)
        form, data = "svg+xml", encoded(figure, "svg", answer, kind.name, DPI)
        if len(data) > MOST_SVG:
            pixels = _few_colours(encoded(figure, "png", answer, kind.name, DPI))
            form, data = min((form, data), ("png", pixels), key=lambda one: len(one[1]))
        return f"data:image/{form};base64,{base64.b64encode(data).decode('ascii')}"


def _few_colours(png: bytes) -> bytes:
    """The same picture from a palette of 255 colours, in a third of the bytes."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(255).save(file, "PNG", optimize=True)
    return file.getvalue()
