"""Settings of tuned learners on parallel axes, on the screen.

Drawn with plain lines: plotly's own parallel coordinates need WebGL and code made from text, which
a sandboxed viewer may lack and the page's policy forbids; they have nothing to hover over either.
"""

import math
from collections.abc import Sequence
from html import escape

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import Colour, shades
from orchestrator.report.pictures.settings import WORST
from orchestrator.report.screen.graph import FAINT, Graph, Json, Key, meta, short
from orchestrator.report.series import Dimension, Tried, dimensions, tried

CLASSES = (1.1, 1.5, 2.0, WORST, math.inf)
"""Upper ends of classes of n_star over the best, each with a colour and a place in the legend."""
LOST = Colour("#8a9099", "#6b7480")


def graph(answer: Answer, index: int) -> Graph | None:
    """One arm's settings; None where it is not tuned."""
    arm, lines = answer.arms[index], tried(answer.arms[index])
    if not lines:
        return None
    axes = dimensions(lines)
    classes = [(name, colour, _of(lines, name)) for name, colour in looks()]
    drawn = [one for one in classes if one[2]]
    traces = [
        trace
        for name, colour, places in reversed(drawn)
        for trace in _lines(lines, places, axes, name, colour)
    ]
    layout = {
        "xaxis": {
            "range": [-0.3, len(axes) - 0.6], "tickvals": list(range(len(axes))),
            "ticktext": [escape(axis.name) for axis in axes], "showgrid": False,
        },
        "yaxis": {"range": [-0.08, 1.22], "visible": False},
        "shapes": [
            {
                "type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "layer": "below",
                "line": {"width": 1.5, "color": FAINT},
            }
            for place in range(len(axes))
        ],
        "annotations": [tick for place, axis in enumerate(axes) for tick in _ticks(place, axis)],
    }  # fmt: skip
    legend = tuple(Key(name, name, colour, "line") for name, colour, _ in drawn)
    return Graph(f"settings-{index}", arm.label, _alt(arm.label, lines), traces, layout, legend)


def looks() -> list[tuple[str, Colour]]:
    """Classes of settings by how much more they need than the best one, with their colours."""
    names = [f"up to × {end:g}" for end in CLASSES[:-1]] + [f"more than × {CLASSES[-2]:g}"]
    chosen = ("chosen", Colour("#D55E00", "#FF8A4C"))
    return [chosen, *zip(names, shades(len(names)), strict=True), ("n* not known", LOST)]


def _of(lines: Sequence[Tried], name: str) -> list[int]:
    return [place for place, one in enumerate(lines) if _class(one) == name]


def _class(one: Tried) -> str:
    names = [name for name, _ in looks()]
    if one.chosen:
        return names[0]
    if one.ratio is None:
        return names[-1]
    return names[1 + next(place for place, end in enumerate(CLASSES) if one.ratio <= end)]


def _lines(
    lines: Sequence[Tried], places: Sequence[int], axes: Sequence[Dimension], name: str,
    colour: Colour,
) -> list[Json]:  # fmt: skip
    """All lines of a class as one trace, with breaks between them."""
    x: list[int | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for place in places:
        x += [*range(len(axes)), None]
        y += [*(short(axis.places[place]) for axis in axes), None]
        texts += [_text(lines[place])] * (len(axes) + 1)
    return [
        {
            "type": "scatter", "mode": "lines+markers", "legendgroup": name, "x": x, "y": y,
            "meta": meta(colour), "text": texts, "hoverinfo": "text", "connectgaps": False,
            "line": {
                "width": 3 if name == "chosen" else 1.2,
                "dash": "dash" if colour is LOST else "solid",
            },
            "marker": {"size": 6 if name == "chosen" else 4, "opacity": 1},
        }
    ]  # fmt: skip


def _text(one: Tried) -> str:
    settings = "<br>".join(escape(f"{name} = {value}") for name, value in one.tuned.items())
    threshold = one.threshold
    times = "" if one.ratio is None else f", × {words.number(one.ratio)} the best"
    return (
        f"d = {one.d}, k = {one.k}<br>{settings}<br>"
        f"n* {words.n_star(threshold)} ({words.interval(threshold)}){times}<br>"
        f"{words.STATUSES.get(threshold.status, threshold.status)}, "
        f"{words.count(threshold.trials, 'trial')}"
    ).replace("* <", "* &lt;")


def _ticks(place: int, axis: Dimension) -> list[Json]:
    return [
        {
            "x": place, "y": height, "text": escape(label), "showarrow": False,
            "xanchor": "right", "xshift": -5, "font": {"size": 11},
        }
        for height, label in axis.ticks
    ]  # fmt: skip


def _alt(label: str, lines: Sequence[Tried]) -> str:
    return (
        f"Settings of {label} on parallel axes, {words.count(len(lines), 'line')}, each one "
        "setting at one d and k, from its values to its n*; the chosen ones are thick."
    )
