"""Pictures as objects, for a notebook: matplotlib's, and graphs of the page as plotly figures.

Those are painted for a light page and bring plotly's own legend, as no page of ours is around them.
"""

import copy
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

from orchestrator.answer import Answer
from orchestrator.report.pictures import pictures
from orchestrator.report.pictures.canvas import drawn
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
from orchestrator.report.screen.graph import Graph, Json
from orchestrator.report.series import learned_measures, letters

Draw = Callable[[Answer, int], Graph | None]
"""Of an answer and, where each arm has a graph of its own, the arm's number."""


def graphs(answer: Answer) -> dict[str, Draw]:
    """What can be drawn on a screen, by the names of the printed pictures."""
    along = letters(answer)
    table: dict[str, Draw] = {"success_curves": success_curves.graph, "collapse": collapse.graph}
    for plane in planes(answer):
        table[f"phase_{plane.name}"] = partial(phase_diagram.graph, plane=plane)
    for letter in along:
        name = "law" if letter == along[0] else f"law_{letter}"
        table[name] = partial(_of_all_arms, draw=partial(law.graph, along=letter))
    table["ratios"] = partial(_of_all_arms, draw=partial(ratios.graph, along=along[0]))
    table["settings"] = settings.graph
    for measure in learned_measures(answer):
        table[f"learning_{measure}"] = partial(learning_curves.graph, measure=measure)
    return {**table, "trials_spent": trials_spent.graph, "narrowing": narrowing.graph}


def _of_all_arms(answer: Answer, arm: int, draw: Callable[[Answer], Graph | None]) -> Graph | None:
    return draw(answer)


def on_paper(answer: Answer, kind: str) -> Any:
    """The printed picture of that name as a matplotlib figure, of all arms."""
    with drawn(answer, pictures(answer)[kind]) as figure:
        return figure


def on_screen(answer: Answer, kind: str, arm: int = 0) -> Any:
    """The picture of that name as a plotly figure: of one arm, where arms are drawn apart.

    None where there is nothing to draw. Raises `KeyError` for a name not in `graphs`.
    """
    from plotly.graph_objects import Figure

    graph = graphs(answer)[kind](answer, arm)
    if graph is None:
        return None
    layout = {
        "template": "plotly_white",
        "height": 460,
        "hovermode": "closest",
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0.0},
        **graph.layout,
        "title": {"text": escape(graph.title)},
    }
    return Figure(_traces(graph), layout)


def _traces(graph: Graph) -> list[Json]:
    """Painted, and one of each group of the legend shown there: the one that has a name."""
    traces = [{**_painted(trace), "showlegend": False} for trace in graph.traces]
    for key in graph.legend:
        members = [one for one in traces if one.get("legendgroup") == key.group]
        named = next((one for one in members if "name" in one), members[0] if members else None)
        if named is not None:
            named.update(name=escape(key.name), showlegend=True)
    return traces


def _painted(trace: Json) -> Json:
    """The trace in the colours of a light page, which it brings in `meta`."""
    painted = copy.deepcopy(trace)
    colours = painted.pop("meta", {})
    if "scale" in colours:
        painted["marker"]["colorscale"] = colours["scale"]["light"]
    if "light" not in colours:
        return painted
    colour = colours["light"]
    painted["line"] = {**painted.get("line", {}), "color": colour}
    for part in ("marker", "error_y"):
        if part in painted:
            painted[part]["color"] = colour
    if "fill" in painted:
        painted["fillcolor"] = f"{colour}30"
    return painted
