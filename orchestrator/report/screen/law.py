"""The law and the ratios of arms on the screen."""

from orchestrator.answer import Answer, Comparison
from orchestrator.report import words
from orchestrator.report.marks import Colour, look
from orchestrator.report.pictures.canvas import padded, thinned
from orchestrator.report.pictures.law import AXIS, legend_words, less_one
from orchestrator.report.pictures.phase_diagram import Plane
from orchestrator.report.pictures.ratios import pair_name
from orchestrator.report.screen.graph import (
    FAINT,
    SYMBOLS,
    Graph,
    Json,
    Key,
    error_bars,
    line_names,
    log_axis,
    marks,
    meta,
    theory,
    unknown,
)
from orchestrator.report.series import Letter, fitted, law_curve, mark, theory_name, theory_points


def graph(answer: Answer, along: Letter) -> Graph:
    """Thresholds of all arms against d or k with intervals, fitted laws and theory."""
    plane = Plane(
        "law", along, AXIS[along], words.n_star_axis(answer.arms),
        lambda asked: float(getattr(asked, along)), lambda asked: 1.0,
    )  # fmt: skip
    arms = range(len(answer.arms))
    traces = [trace for index in arms for trace in _arm(answer, index, plane)]
    across = [plane.x(one.asked) for arm in answer.arms for one in arm.thresholds] or [1.0]
    left, right = padded(across, 0.12)
    if any(len(plane.lines(arm)) > 1 for arm in answer.arms):
        right *= (right / left) ** 0.15  # room for the names of lines
    low, high = padded([end for trace in traces for end in _reach(trace)] or [1.0, 10.0], 0.08)
    names = [
        name
        for index, arm in enumerate(answer.arms)
        for name in (
            *unknown(arm, plane, shift=10.0 * (index - (len(arms) - 1) / 2)),
            *line_names(plane.lines(arm), plane, low, high),
        )
    ]
    rests = [trace for index in arms for trace in _residuals(answer, index, plane)]
    layout = {
        "xaxis": log_axis(plane.across, left, right, thinned([int(x) for x in across])),
        "yaxis": log_axis(plane.upward, low, high),
        "annotations": names,
    }
    if rests:
        layout |= _below(layout)
    laws = "; ".join(f"{arm.label}: {legend_words(arm)}" for arm in answer.arms)
    alt = f"{plane.upward} against {plane.across} on log axes, with fitted laws. {laws}."
    return Graph(
        f"law-{along}", "Thresholds and laws", alt, traces + rests, layout, _legend(answer)
    )


def _reach(trace: Json) -> list[float]:
    nothing = [None] * len(trace["y"])
    bars = trace.get("error_y", {"array": nothing, "arrayminus": nothing})
    ups = [y + (up or 0.0) for y, up in zip(trace["y"], bars["array"], strict=True)]
    downs = [y - (down or 0.0) for y, down in zip(trace["y"], bars["arrayminus"], strict=True)]
    return ups + downs


def _below(layout: Json) -> Json:
    """Room below for the residuals."""
    return {
        "xaxis": {**layout["xaxis"], "anchor": "y2"},
        "yaxis": {**layout["yaxis"], "domain": [0.3, 1.0]},
        "yaxis2": {
            "title": {"text": "n* / law − 1"}, "domain": [0.0, 0.2], "tickformat": ".0%",
            "nticks": 4, "zeroline": True,
        },
        "height": 500,
    }  # fmt: skip


def _legend(answer: Answer) -> tuple[Key, ...]:
    names = words.short_names(answer.arms)
    keys = [
        Key(f"{names[index]}: {legend_words(arm)}", f"arm {index}", look(index).colour, shape=index)
        for index, arm in enumerate(answer.arms)
    ]
    if any(one.theory is not None for arm in answer.arms for one in arm.thresholds):
        keys.append(Key(theory_name(answer.arms), "theory", FAINT_PAIR, "dash"))
    return tuple(keys)


FAINT_PAIR = Colour("#57606a", "#a5adb8")


def _arm(answer: Answer, index: int, plane: Plane) -> list[Json]:
    arm, style = answer.arms[index], look(index)
    name, symbol = words.short_names(answer.arms)[index], SYMBOLS[index % len(SYMBOLS)]
    group = {"legendgroup": f"arm {index}"}
    traces: list[Json] = []
    for line in plane.lines(arm):
        traces.append({**marks(arm, line.thresholds, plane, style.colour, symbol, name), **group})
        curve = law_curve(arm, line, plane.along)
        if curve is not None:
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "x": curve[0].round(4).tolist(),
                    "y": curve[1].round(4).tolist(), "meta": meta(style.colour),
                    "line": {"width": 2}, "hoverinfo": "skip", **group,
                }
            )  # fmt: skip
        x, y = theory_points(line.thresholds, plane.x, plane.divisor)
        if x:
            traces.append(theory(x, y, style.colour, f"{theory_name([arm])}, {name}"))
    return traces


def _residuals(answer: Answer, index: int, plane: Plane) -> list[Json]:
    """How far each threshold lies from the law, with the interval that its own interval gives."""
    arm, style = answer.arms[index], look(index)
    against = [
        (plane.x(one.asked), less_one(mark(one, fit)), one)
        for one in arm.thresholds
        if (fit := fitted(arm, one)) is not None
    ]
    known = [(x, one, found) for x, one, found in against if one.value is not None]
    if not known:
        return []
    # Arms stand beside one another, so that bars do not hide bars.
    shift = 1 + 0.012 * (index - (len(answer.arms) - 1) / 2)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "yaxis": "y2",
            "legendgroup": f"arm {index}",
            "x": [x * shift for x, *_ in known],
            "y": [one.value for _, one, _ in known],
            "meta": meta(style.colour),
            "marker": {"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 7, "opacity": 1},
            "error_y": error_bars(
                [None if o.high is None else o.high - (o.value or 0) for _, o, _ in known],
                [None if o.low is None else (o.value or 0) - o.low for _, o, _ in known],
            ),
            "text": [
                f"d = {found.asked.d}, k = {found.asked.k}: {one.value:+.1%} from the law"
                for _, one, found in known
            ],
            "hoverinfo": "text",
        }
    ]


def ratios(answer: Answer, along: Letter) -> Graph | None:
    """How many times more one arm needs than another; None where no ratio is known."""
    if not any(one.ratios for one in answer.comparisons):
        return None
    traces = [_ratio(one, index, along) for index, one in enumerate(answer.comparisons)]
    across = [x for trace in traces for x in trace["x"]]
    heights = [value for trace in traces for value in _reach(trace)]
    line = {"width": 1, "color": FAINT}
    layout = {
        "xaxis": log_axis(AXIS[along], *padded(across, 0.1), thinned([int(x) for x in across])),
        "yaxis": log_axis("ratio of thresholds n*", *padded([*heights, 1.0], 0.08)),
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}
        ],
    }
    legend = tuple(
        Key(pair_name(answer, one), f"pair {index}", look(index).colour, shape=index)
        for index, one in enumerate(answer.comparisons)
    )
    said = "; ".join(
        f"{key.name}: {', '.join(words.number(y) for y in trace['y'])}"
        for key, trace in zip(legend, traces, strict=True)
    )
    alt = f"Ratio of thresholds against {AXIS[along]}. {said}."
    return Graph(f"ratios-{along}", "Ratios of thresholds", alt, traces, layout, legend)


def _ratio(comparison: Comparison, index: int, along: Letter) -> Json:
    rows = sorted(comparison.ratios, key=lambda row: (row[1], row[0]))
    return {
        "type": "scatter",
        "mode": "markers" if len({row[1] for row in rows}) > 1 else "lines+markers",
        "legendgroup": f"pair {index}",
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
