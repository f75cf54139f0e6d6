"""Arms over each other and their ratios, on the screen."""

from orchestrator.answer import Answer, Comparison
from orchestrator.report import words
from orchestrator.report.marks import look
from orchestrator.report.pictures.canvas import padded
from orchestrator.report.pictures.law import AXIS
from orchestrator.report.pictures.ratios import pair_name
from orchestrator.report.screen.graph import (
    FAINT,
    SYMBOLS,
    Graph,
    Json,
    Key,
    error_bars,
    log_axis,
    meta,
)
from orchestrator.report.screen.law import names, plane_of, reach, thresholds, x_axis
from orchestrator.report.series import Letter


def graph(answer: Answer, along: Letter) -> Graph | None:
    """Thresholds of all arms, their ratios below; None where no ratio is known."""
    if not any(one.ratios for one in answer.comparisons):
        return None
    plane = plane_of(answer, along)
    arms = range(len(answer.arms))
    above = [trace for index in arms for trace in thresholds(answer, index, plane)]
    below = [_ratio(one, index, along) for index, one in enumerate(answer.comparisons)]
    low, high = padded(_ends(above) or [1.0, 10.0], 0.08)
    line = {"width": 1, "color": FAINT}
    upper = log_axis(plane.upward, low, high)
    lower = log_axis("ratio of n*", *padded([*_ends(below), 1.0], 0.12))
    layout = {
        "xaxis": {**x_axis(answer, plane), "anchor": "y2"},
        "yaxis": {**upper, "domain": [0.42, 1.0]},
        "yaxis2": {**lower, "domain": [0.0, 0.34]},
        "annotations": names(answer, plane, low, high),
        "shapes": [
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "y0": 1, "y1": 1,
                "line": line, "layer": "below",
            }
        ],
        "height": 580,
    }  # fmt: skip
    kinds = words.short_names(answer.arms)
    legend = tuple(Key(kinds[i], f"arm {i}", look(i).colour, shape=i) for i in arms) + tuple(
        Key(pair_name(answer, one), f"pair {index}", look(index).colour, "dot")
        for index, one in enumerate(answer.comparisons)
    )
    said = "; ".join(
        f"{pair_name(answer, one)}: {', '.join(words.number(y) for y in trace['y'])}"
        for one, trace in zip(answer.comparisons, below, strict=True)
    )
    alt = f"Thresholds of all arms, and their ratios, against {AXIS[along]}. {said}."
    return Graph(f"ratios-{along}", "Ratios of thresholds", alt, above + below, layout, legend)


def _ends(traces: list[Json]) -> list[float]:
    return [end for trace in traces for end in reach(trace)]


def _ratio(comparison: Comparison, index: int, along: Letter) -> Json:
    rows = sorted(comparison.ratios, key=lambda row: (row[1], row[0]))
    return {
        "type": "scatter",
        "mode": "markers" if len({row[1] for row in rows}) > 1 else "lines+markers",
        "legendgroup": f"pair {index}",
        "yaxis": "y2",
        "x": [d if along == "d" else k for d, k, *_ in rows],
        "y": [ratio for *_, ratio, _, _ in rows],
        "error_y": error_bars(
            [high - ratio for *_, ratio, _, high in rows],
            [ratio - low for *_, ratio, low, _ in rows],
        ),
        "meta": meta(look(index).colour),
        "line": {"width": 2, "dash": "dot"},
        "marker": {"size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "text": [
            f"d = {d}, k = {k}<br>ratio {words.number(ratio)} ({words.between(low, high)})"
            for d, k, ratio, low, high in rows
        ],
        "hoverinfo": "text",
    }
