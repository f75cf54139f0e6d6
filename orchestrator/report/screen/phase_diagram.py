"""The phase diagram on the screen."""

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.report import words
from orchestrator.report.marks import Colour, scales
from orchestrator.report.pictures.canvas import padded, thinned
from orchestrator.report.pictures.phase_diagram import Plane
from orchestrator.report.screen.graph import (
    Graph,
    Json,
    Key,
    line_names,
    log_axis,
    marks,
    meta,
    theory,
    unknown,
)
from orchestrator.report.series import Line, gathered, room, theory_name, theory_points

INK = Colour("#1b1f24", "#f2f4f7")
THEORY = Colour("#B0004B", "#FF7FAE")


def graph(answer: Answer, index: int, plane: Plane) -> Graph:
    """Every tried cell of one arm by its success rate, with n_star, its interval, and theory."""
    arm = answer.arms[index]
    traces = [_cells(arm, plane, room(answer))]
    for line in plane.lines(arm):
        x, y = theory_points(line.thresholds, plane.x, plane.divisor)
        traces.append(_line(line, plane))
        drawn = marks(arm, line.thresholds, plane, INK, "circle", line.name or "n*")
        traces.append({**drawn, "legendgroup": "n*"})
        if x:
            traces.append(theory(x, y, THEORY, theory_name([arm])))
    asked = [plane.x(one.asked) for one in arm.thresholds] or [1.0]
    heights = [value for trace in traces for value in trace["y"] if value] or [1.0, 10.0]
    ticks = thinned([int(one) for one in asked]) if plane.whole else None
    low, high = padded(heights, 0.06)
    left, right = padded(asked, 0.14)
    if len(plane.lines(arm)) > 1:
        right *= (right / left) ** 0.15  # room for the names of lines
    layout = {
        "xaxis": log_axis(plane.across, left, right, ticks),
        "yaxis": log_axis(plane.upward, low, high),
        "annotations": unknown(arm, plane) + line_names(plane.lines(arm), plane, low, high),
    }
    legend: tuple[Key, ...] = (Key("n* with its interval", "n*", INK, "line"),)
    if any(one.theory is not None for one in arm.thresholds):
        legend += (Key(theory_name([arm]), "theory", THEORY, "dash"),)
    alt = (
        f"Phase diagram of {arm.label}: tried cells by {plane.across} and {plane.upward}, coloured "
        "by success rate; the threshold runs between failing cells below and succeeding ones above."
    )
    return Graph(f"phase-{plane.name}-{index}", arm.label, alt, traces, layout, legend)


def _line(line: Line, plane: Plane) -> Json:
    """A line through the known n_star only: a bound is no place to draw a line to."""
    known = [
        (plane.x(found.asked), found.threshold.n_star / plane.divisor(found.asked))
        for found in line.thresholds
        if found.threshold.n_star is not None
    ]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x for x, _ in known],
        "y": [y for _, y in known],
        "meta": meta(INK),
        "legendgroup": "n*",
        "line": {"width": 2},
        "hoverinfo": "skip",
    }


def _cells(arm: ArmAnswer, plane: Plane, most: int) -> Json:
    cells = [
        (plane.x(found.asked), one.n / plane.divisor(found.asked), found.asked, one)
        for found in arm.thresholds
        for one in gathered(found, most)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, *_ in cells],
        "y": [y for _, y, *_ in cells],
        "meta": {"scale": scales("cividis")},
        "marker": {
            "symbol": "line-ew-open",
            "size": [8 + 3 * one.trials**0.5 for *_, one in cells],
            "line": {"width": 3},
            "opacity": 1,
            "color": [one.rate for *_, one in cells],
            "cmin": 0,
            "cmax": 1,
            "colorbar": {
                "title": {"text": "success", "side": "right"},
                "tickformat": ".0%",
                "tickvals": [0, 0.5, 1],
                "thickness": 10,
                "len": 0.8,
                "outlinewidth": 0,
            },
        },
        "text": [
            f"d = {asked.d}, k = {asked.k}, n = {words.number(one.n)}<br>"
            f"{one.successes} of {one.trials} succeed"
            for *_, asked, one in cells
        ],
        "hoverinfo": "text",
    }
