"""How intervals narrowed, on the screen."""

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.pictures.narrowing import AXIS, limits, tolerance
from orchestrator.report.pictures.success_curves import looks
from orchestrator.report.pictures.success_curves import name as threshold_name
from orchestrator.report.screen.graph import (
    DASHES,
    FAINT,
    SYMBOLS,
    Graph,
    Json,
    log_axis,
    meta,
    short,
)
from orchestrator.report.screen.success_curves import Look, keys
from orchestrator.report.series import Shrinking, shrinking


def graph(answer: Answer, index: int) -> Graph | None:
    """Half widths against trials for one arm; None where none is known at two moments."""
    arm, group = answer.arms[index], shrinking(answer, index)
    if not group:
        return None
    chosen, both = looks(answer, arm), len({one.asked.k for one in arm.thresholds}) > 1
    traces = [_line(one, chosen[one.found.asked], threshold_name(one.found, both)) for one in group]
    aim = tolerance(answer)
    across, upward = limits(group, aim)
    layout = {
        "xaxis": log_axis("trials at this d and k", *across),
        "yaxis": log_axis(AXIS, *upward),
        "shapes": [_aim(aim)] if aim else [],
    }
    ends = "; ".join(
        f"{threshold_name(one.found, both)}: {one.widths[0]:.0%} after "
        f"{words.count(one.trials[0], 'trial')}, {one.widths[-1]:.1%} after {one.trials[-1]}"
        for one in group
    )
    alt = f"Half width of the intervals of {arm.label} over n*, against trials. {ends}."
    legend = keys([one.found for one in group], chosen, both)
    return Graph(f"narrowing-{index}", arm.label, alt, traces, layout, legend)


def _aim(aim: float) -> Json:
    line = {"width": 1, "dash": "dash", "color": FAINT}
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": aim, "y1": aim, "line": line,
        "layer": "below",
    }  # fmt: skip


def _line(one: Shrinking, look: Look, name: str) -> Json:
    colour, style = look
    return {
        "type": "scatter", "mode": "lines+markers", "legendgroup": name, "meta": meta(colour),
        "x": list(one.trials), "y": [short(width) for width in one.widths],
        "line": {"width": 2, "dash": DASHES[style]},
        "marker": {"symbol": SYMBOLS[style], "size": 6, "opacity": 1},
        "text": [
            f"{name}<br>{words.count(trials, 'trial')}: ± {width:.1%}"
            for trials, width in zip(one.trials, one.widths, strict=True)
        ],
        "hoverinfo": "text",
    }  # fmt: skip
