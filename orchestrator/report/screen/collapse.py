"""Success against n / n_star on the screen."""

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.pictures.collapse import axis_name, known
from orchestrator.report.pictures.success_curves import looks
from orchestrator.report.pictures.success_curves import name as threshold_name
from orchestrator.report.screen.graph import FAINT, Graph, Json, log_axis
from orchestrator.report.screen.success_curves import (
    RATE_AXIS,
    curve,
    keys,
    level_line,
    points,
)
from orchestrator.report.series import reach

ONE: Json = {
    "type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
    "line": {"width": 1, "dash": "dot", "color": FAINT},
}  # fmt: skip


def graph(answer: Answer, index: int) -> Graph:
    """All thresholds of one arm over each other."""
    arm = answer.arms[index]
    group, chosen = known(answer, arm), looks(answer, arm)
    both = len({one.asked.k for one in arm.thresholds}) > 1
    traces: list[Json] = []
    for one in group:
        look, name = chosen[one.found.asked], threshold_name(one.found, both)
        traces += curve(one.curve, look, name, "n / n*")
        traces.append(points(one.found, one.points, look, name, "n / n*"))
    layout = {
        "xaxis": log_axis(axis_name(arm), *reach(group)),
        "yaxis": RATE_AXIS,
        "shapes": [level_line(arm.level), ONE],
    }
    legend = keys([one.found for one in group], chosen, both)
    return Graph(
        f"collapse-{index}", arm.label, _alt(arm.label, len(group)), traces, layout, legend
    )


def _alt(label: str, count: int) -> str:
    return (
        f"Success rate of {label} against n over n*, {words.count(count, 'threshold')} over each "
        "other: where they lie on one curve, only the scale of n changes with d and k."
    )
