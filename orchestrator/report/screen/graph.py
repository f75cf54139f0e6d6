"""What every graph on the screen is made of: axes, marks of thresholds, colours in pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from orchestrator.answer import ArmAnswer, FoundThreshold
from orchestrator.report import words
from orchestrator.report.marks import Colour
from orchestrator.report.pictures.canvas import Ticks, log_ticks, plain
from orchestrator.report.pictures.phase_diagram import Plane
from orchestrator.report.pictures.threshold_mark import apart
from orchestrator.report.series import Line, Mark, mark

Json = dict[str, Any]

FAINT = "#8a9099"
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot")


Swatch = Literal["mark", "line", "dash", "dot", "dashdot"]

OUTLINES = (
    "M7.5 5a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "M8 1h8v8h-8z",
    "M12 0.5l4.8 8.5h-9.6z",
    "M12 0l5 5l-5 5l-5 -5z",
    "M12 9.5l4.8 -8.5h-9.6z",
    "M10.5 0.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "M8 2.5l1.5 -1.5l2.5 2.5l2.5 -2.5l1.5 1.5l-2.5 2.5"
    "l2.5 2.5l-1.5 1.5l-2.5 -2.5l-2.5 2.5l-1.5 -1.5l2.5 -2.5z",
)
"""The shapes of `SYMBOLS` as SVG paths, 24 wide and 10 high, for the legend."""


@dataclass(frozen=True)
class Key:
    """One line of a legend; pressing it hides and shows the traces of its `group`."""

    name: str
    group: str
    colour: Colour
    swatch: Swatch = "mark"
    shape: int = 0
    """Which of `SYMBOLS` a mark wears."""

    @property
    def outline(self) -> str:
        """The mark as an SVG path."""
        return OUTLINES[self.shape % len(OUTLINES)]


@dataclass(frozen=True)
class Graph:
    """One plotly graph: its place in the page, its words for those who do not see it.

    The legend is the page's own: plotly's takes its room from the picture, most of it on a phone.
    """

    id: str
    title: str
    alt: str
    traces: list[Json]
    layout: Json = field(default_factory=dict)
    legend: tuple[Key, ...] = ()

    def as_json(self) -> Json:
        """What the page's script draws."""
        return {"id": self.id, "data": self.traces, "layout": self.layout}


def meta(colour: Colour) -> Json:
    """The colours of a trace, for the page's script to choose from."""
    return {"light": colour.light, "dark": colour.dark}


def log_axis(title: str, low: float, high: float, values: list[float] | None = None) -> Json:
    """A log axis from `low` to `high`, labelled in powers of ten or with the `values` given."""
    ticks = log_ticks(low, high)
    if values:
        ticks = Ticks(values, [plain(one) for one in values])
    minor = {"tickvals": ticks.between, "ticks": "outside", "ticklen": 3, "tickcolor": FAINT}
    return {
        "title": {"text": escape(title)},
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks.at,
        "ticktext": ticks.labels,
        **({"minor": minor} if ticks.between else {}),
    }


def threshold_words(arm: ArmAnswer, found: FoundThreshold) -> str:
    """What stands beside a threshold when it is hovered over."""
    one = found.threshold
    said = [
        f"<b>{escape(arm.label)}</b>",
        f"d = {found.asked.d}, k = {found.asked.k}",
        f"n* {'' if one.n_star is None else '= '}{words.n_star(one)}".replace("<", "&lt;"),
        f"{words.percent(one.confidence)} interval: {words.interval(one)}",
    ]
    if found.theory is not None:
        said.append(f"theory: {words.number(found.theory)}")
    said.append(f"{words.STATUSES.get(one.status, one.status)}, {words.count(one.trials, 'trial')}")
    if one.gaps:
        said[-1] += f", {words.count(one.gaps, 'gap')}"
    return "<br>".join(said)


def marks(
    arm: ArmAnswer,
    thresholds: tuple[FoundThreshold, ...],
    plane: Plane,
    colour: Colour,
    symbol: str,
    name: str,
) -> Json:
    """Thresholds as marks with bars; a bound is a triangle pointing where n_star must lie."""
    known = [found for found in thresholds if height(found, plane) is not None]
    drawn = [mark(found, plane.divisor(found.asked)) for found in known]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        "x": [plane.x(found.asked) for found in known],
        "y": [height(found, plane) for found in known],
        "meta": meta(colour),
        "marker": {"symbol": [_symbol(one, symbol) for one in drawn], "size": 9, "opacity": 1},
        "error_y": error_bars(
            [one.high - one.value if one.value and one.high else None for one in drawn],
            [one.value - one.low if one.value and one.low else None for one in drawn],
        ),
        "text": [threshold_words(arm, found) for found in known],
        "hoverinfo": "text",
    }


def height(found: FoundThreshold, plane: Plane) -> float | None:
    """Where a threshold's mark stands: at n_star, else at what bounds it."""
    one = mark(found, plane.divisor(found.asked))
    return one.value or one.low or one.high


def _symbol(one: Mark, symbol: str) -> str:
    bound = {"above": "triangle-up-open", "below": "triangle-down-open"}.get(one.kind)
    return bound or (symbol if one.settled else f"{symbol}-open")


def short(value: float | None) -> float | None:
    """To four digits: what a screen can show, in half the bytes."""
    return None if value is None else float(f"{value:.4g}")


def error_bars(ups: Sequence[float | None], downs: Sequence[float | None]) -> Json:
    """Bars without caps, since the caps of short bars would hide the mark between them."""
    return {
        "type": "data", "symmetric": False, "array": [short(one) for one in ups],
        "arrayminus": [short(one) for one in downs],
        "width": 0, "thickness": 1.6,
    }  # fmt: skip


def theory(x: list[float], y: list[float], colour: Colour, name: str) -> Json:
    """Theory as a dashed line."""
    return {
        "type": "scatter", "mode": "lines", "name": escape(name), "x": x, "y": y,
        "meta": meta(colour), "legendgroup": "theory", "line": {"width": 1.5, "dash": "dash"},
        "text": [f"{escape(name)}: {words.number(one)}" for one in y], "hoverinfo": "text",
    }  # fmt: skip


def unknown(arm: ArmAnswer, plane: Plane, shift: float = 0.0) -> list[Json]:
    """A question mark at the lower edge for each threshold of which nothing is known.

    `shift`, in pixels, keeps the marks of several arms apart.
    """
    return [
        {
            "x": math.log10(plane.x(found.asked)), "y": 0.02, "yref": "y domain",
            "yanchor": "bottom", "xshift": shift, "text": "<b>?</b>", "showarrow": False,
            "font": {"color": FAINT, "size": 15}, "hovertext": threshold_words(arm, found),
            "captureevents": True,
        }
        for found in arm.thresholds
        if mark(found).kind == "unknown"
    ]  # fmt: skip


def line_names(lines: Sequence[Line], plane: Plane, low: float, high: float) -> list[Json]:
    """What tells several lines of one arm apart, written at their ends; nothing for a lone line."""
    ends = []
    for line in lines if len(lines) > 1 else ():
        known = [(plane.x(one.asked), y) for one in line.thresholds if (y := height(one, plane))]
        ends += [(known[-1], line.name)] if known else []
    written = []
    for x in sorted({x for (x, _), _ in ends}):
        here = sorted((math.log10(y), name) for (at, y), name in ends if at == x)
        gap = 0.05 * math.log10(high / low)
        places = apart([y for y, _ in here], gap, top=math.log10(high))
        written += [(x, y, name) for y, (_, name) in zip(places, here, strict=True)]
    return [
        {
            "x": math.log10(x), "y": y, "xshift": 8, "xanchor": "left", "text": escape(name),
            "showarrow": False, "font": {"size": 11},
        }
        for x, y, name in written
    ]  # fmt: skip
