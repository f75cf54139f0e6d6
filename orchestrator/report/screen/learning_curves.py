"""Learning curves on the screen."""

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import Colour
from orchestrator.report.pictures.learning_curves import colours, name
from orchestrator.report.screen.graph import DASHES, Graph, Json, Key, log_axis, meta, short
from orchestrator.report.screen.success_curves import SWATCHES
from orchestrator.report.series import Learning, learning


def graph(answer: Answer, index: int, measure: str) -> Graph | None:
    """A measure against steps for one arm; None where it logged nothing."""
    arm, cells = answer.arms[index], learning(answer, index, measure)
    if not cells:
        return None
    chosen = list(zip(cells, colours(len(cells)), strict=True))
    traces = [
        trace for style, (one, colour) in enumerate(chosen) for trace in _cell(one, colour, style)
    ]
    first, last = min(one.steps[0] for one in cells), max(one.steps[-1] for one in cells)
    layout = {
        "xaxis": log_axis("step", float(first), float(max(last, 2 * first))),
        "yaxis": {"title": {"text": measure}},
    }
    legend = tuple(
        Key(name(one), name(one), colour, SWATCHES[style])
        for style, (one, colour) in enumerate(chosen)
    )
    return Graph(
        f"learning-{measure}-{index}", arm.label, _alt(arm.label, measure, cells), traces, layout,
        legend,
    )  # fmt: skip


def _alt(label: str, measure: str, cells: list[Learning]) -> str:
    ends = "; ".join(
        f"at d = {one.d}, n = {one.n} its mean ends at {words.number(one.mean[-1])}"
        for one in cells
    )
    return f"Learning curves of {label}: {measure} against steps on a log axis; {ends}."


def _cell(one: Learning, colour: Colour, style: int) -> list[Json]:
    steps = [short(step) for step in one.steps]
    shared: Json = {
        "type": "scatter", "mode": "lines", "legendgroup": name(one), "x": steps,
        "meta": meta(colour), "hoverinfo": "skip",
    }  # fmt: skip
    hidden = {**shared, "line": {"width": 0}}
    texts = [
        f"{name(one)}<br>step {words.number(step)}, {words.count(int(count), 'trial')}<br>"
        f"mean {words.number(mean)}, 10 % to 90 %: {words.between(low, high)}"
        for step, count, mean, low, high in zip(
            one.steps, one.counts, one.mean, one.low, one.high, strict=True
        )
    ]
    return [
        {**hidden, "y": [short(value) for value in one.low]},
        {**hidden, "y": [short(value) for value in one.high], "fill": "tonexty"},
        {**shared, "y": [short(value) for value in one.median], "line": {"width": 1}},
        {
            **shared, "y": [short(value) for value in one.mean], "text": texts,
            "hoverinfo": "text", "line": {"width": 2.5, "dash": DASHES[style]},
        },
    ]  # fmt: skip
