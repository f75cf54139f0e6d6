"""The law and the ratios of arms on the screen."""

from html import escape

from orchestrator.answer import Answer, Comparison
from orchestrator.report import words
from orchestrator.report.marks import look
from orchestrator.report.pictures.canvas import padded, thinned
from orchestrator.report.pictures.law import AXIS, legend_words
from orchestrator.report.pictures.phase_diagram import Plane
from orchestrator.report.screen.graph import (
    SYMBOLS,
    Graph,
    Json,
    error_bars,
    log_axis,
    marks,
    meta,
    theory,
    unknown,
)
from orchestrator.report.series import Letter, law_curve, theory_name, theory_points


def graph(answer: Answer, along: Letter) -> Graph:
    """Thresholds of all arms against d or k with intervals, fitted laws and theory."""
    plane = Plane(
        "law", along, AXIS[along], words.n_star_axis(answer.arms),
        lambda asked: float(getattr(asked, along)), lambda asked: 1.0,
    )  # fmt: skip
    traces = [trace for index in range(len(answer.arms)) for trace in _arm(answer, index, plane)]
    annotations = [
        one
        for index, arm in enumerate(answer.arms)
        for one in unknown(arm, plane, look(index).colour.light)
    ]
    across = [plane.x(one.asked) for arm in answer.arms for one in arm.thresholds] or [1.0]
    heights = [value for trace in traces for value in _reach(trace)] or [1.0, 10.0]
    layout = {
        "xaxis": log_axis(plane.across, *padded(across, 0.1), thinned([int(x) for x in across])),
        "yaxis": log_axis(plane.upward, *padded(heights, 0.08)),
        "annotations": annotations,
    }
    laws = "; ".join(f"{arm.label}: {legend_words(arm)}" for arm in answer.arms)
    alt = f"{plane.upward} against {plane.across} on log axes, with fitted laws. {laws}."
    return Graph(f"law-{along}", "Thresholds and laws", alt, traces, layout)


def _reach(trace: Json) -> list[float]:
    nothing = [None] * len(trace["y"])
    bars = trace.get("error_y", {"array": nothing, "arrayminus": nothing})
    ups = [y + (up or 0.0) for y, up in zip(trace["y"], bars["array"], strict=True)]
    downs = [y - (down or 0.0) for y, down in zip(trace["y"], bars["arrayminus"], strict=True)]
    return ups + downs


def _arm(answer: Answer, index: int, plane: Plane) -> list[Json]:
    arm, style = answer.arms[index], look(index)
    name, symbol = words.short_names(answer.arms)[index], SYMBOLS[index % len(SYMBOLS)]
    traces: list[Json] = []
    for number, line in enumerate(plane.lines(arm)):
        shown = {"legendgroup": name, "showlegend": number == 0}
        called = f"{name}: {legend_words(arm)}"
        drawn = marks(arm, line.thresholds, plane, style.colour, symbol, called)
        traces.append({**drawn, **shown})
        curve = law_curve(arm, line, plane.along)
        if curve is not None:
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "name": "law", "legendgroup": name,
                    "showlegend": False, "x": curve[0].round(4).tolist(),
                    "y": curve[1].round(4).tolist(), "meta": meta(style.colour),
                    "line": {"width": 2}, "hoverinfo": "skip",
                }
            )  # fmt: skip
        x, y = theory_points(line.thresholds, plane.x, plane.divisor)
        if x:
            said = f"{theory_name(answer)}, {name}"
            traces.append({**theory(x, y, style.colour, said), **shown})
    return traces


def ratios(answer: Answer, along: Letter) -> Graph | None:
    """How many times more one arm needs than another; None where no ratio is known."""
    if not any(one.ratios for one in answer.comparisons):
        return None
    traces = [_ratio(answer, one, index, along) for index, one in enumerate(answer.comparisons)]
    across = [x for trace in traces for x in trace["x"]]
    heights = [value for trace in traces for value in _reach(trace)]
    line = {"width": 1, "color": "#8a9099"}
    layout = {
        "xaxis": log_axis(AXIS[along], *padded(across, 0.1), thinned([int(x) for x in across])),
        "yaxis": log_axis("ratio of thresholds n*", *padded([*heights, 1.0], 0.08)),
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}
        ],
    }
    said = "; ".join(
        f"{trace['name']}: {', '.join(words.number(y) for y in trace['y'])}" for trace in traces
    )
    alt = f"Ratio of thresholds against {AXIS[along]}. {said}."
    return Graph(f"ratios-{along}", "Ratios of thresholds", alt, traces, layout)


def _ratio(answer: Answer, comparison: Comparison, index: int, along: Letter) -> Json:
    names = words.short_names(answer.arms)
    rows = sorted(comparison.ratios, key=lambda row: (row[1], row[0]))
    return {
        "type": "scatter",
        "mode": "markers" if len({row[1] for row in rows}) > 1 else "lines+markers",
        "name": escape(f"{names[comparison.first]} over {names[comparison.second]}"),
        "x": [d if along == "d" else k for d, k, *_ in rows],
        "y": [ratio for *_, ratio, _, _ in rows],
        "error_y": error_bars(
            [high - ratio for *_, ratio, _, high in rows],
            [ratio - low for *_, ratio, low, _ in rows],
        ),
        "meta": meta(look(index).colour),
        "line": {"width": 2},
        "marker": {"size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "text": [
            f"d = {d}, k = {k}<br>ratio {words.number(ratio)} ({words.between(low, high)})"
            for d, k, ratio, low, high in rows
        ],
        "hoverinfo": "text",
    }
