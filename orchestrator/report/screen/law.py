"""The law on the screen."""

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import Colour, look
from orchestrator.report.pictures.canvas import padded, thinned
from orchestrator.report.pictures.law import AXIS, legend_words, less_one
from orchestrator.report.pictures.phase_diagram import Plane
from orchestrator.report.screen.graph import (
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
    plane = plane_of(answer, along)
    arms = range(len(answer.arms))
    traces = [trace for index in arms for trace in thresholds(answer, index, plane)]
    low, high = padded([end for trace in traces for end in reach(trace)] or [1.0, 10.0], 0.08)
    rests = [trace for index in arms for trace in _residuals(answer, index, plane)]
    layout = {
        "xaxis": x_axis(answer, plane),
        "yaxis": log_axis(plane.upward, low, high),
        "annotations": names(answer, plane, low, high),
    }
    if rests:
        layout |= _below(layout)
    laws = "; ".join(f"{arm.label}: {legend_words(arm)}" for arm in answer.arms)
    alt = f"{plane.upward} against {plane.across} on log axes, with fitted laws. {laws}."
    return Graph(
        f"law-{along}", "Thresholds and laws", alt, traces + rests, layout, _legend(answer)
    )


def x_axis(answer: Answer, plane: Plane) -> Json:
    """The axis of d or k, with room for the names of lines where there are several."""
    across = [plane.x(one.asked) for arm in answer.arms for one in arm.thresholds] or [1.0]
    left, right = padded(across, 0.12)
    if any(len(plane.lines(arm)) > 1 for arm in answer.arms):
        right *= (right / left) ** 0.15
    return log_axis(plane.across, left, right, thinned([int(x) for x in across]))


def names(answer: Answer, plane: Plane, low: float, high: float) -> list[Json]:
    """Names of lines at their ends, and question marks where nothing is known."""
    middle = (len(answer.arms) - 1) / 2
    return [
        name
        for index, arm in enumerate(answer.arms)
        for name in (
            *unknown(arm, plane, shift=10.0 * (index - middle)),
            *line_names(plane.lines(arm), plane, low, high),
        )
    ]


def plane_of(answer: Answer, along: Letter) -> Plane:
    """Thresholds against one letter."""
    return Plane(
        "law", along, AXIS[along], words.n_star_axis(answer.arms),
        lambda asked: float(getattr(asked, along)), lambda asked: 1.0,
    )  # fmt: skip


def reach(trace: Json) -> list[float]:
    """The ends of a trace's bars, or its points where it has none."""
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


def thresholds(answer: Answer, index: int, plane: Plane) -> list[Json]:
    """One arm's thresholds with intervals, its law and theory."""
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
