"""Pictures as objects, for a notebook: matplotlib's, and graphs of the page as plotly figures.

Those are painted for a light page and bring plotly's own legend, as no page of ours is around them.
"""

import copy
from html import escape
from typing import Any

from orchestrator.answer import Answer
from orchestrator.report.kinds import kind_named
from orchestrator.report.pictures.canvas import drawn
from orchestrator.report.screen.graph import Graph, Json


def on_paper(answer: Answer, kind: str) -> Any:
    """The printed picture of that name as a matplotlib figure, of all arms.

    None where there is nothing to draw. Raises `KeyError` for a kind that the answer does not have.
    """
    with drawn(answer, kind_named(answer, kind).on_paper) as figure:
        return figure


def on_screen(answer: Answer, kind: str, arm: int = 0) -> Any:
    """The picture of that name as a plotly figure: of one arm, where arms are drawn apart.

    None where there is nothing to draw. Raises `KeyError` for a kind that the answer does not have.
    """
    from plotly.graph_objects import Figure

    graph = kind_named(answer, kind).on_screen(answer, arm)
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
