"""Where trials were spent, on the screen."""

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import Colour, scales
from orchestrator.report.pictures.canvas import padded
from orchestrator.report.screen.graph import Graph, Json, log_axis, meta, short, threshold_words
from orchestrator.report.series import Cell, Dot, heaviest, last_round, mark, shown, spent

INK = Colour("#1b1f24", "#f2f4f7")


def graph(answer: Answer, index: int) -> Graph:
    """One strip per threshold of one arm; within a strip rounds run from top to bottom."""
    arm = answer.arms[index]
    rounds, found = 1 + last_round(answer), spent(answer, index)
    rows = {(one.asked.d, one.asked.k): row for row, one in enumerate(shown(arm))}
    dots = [
        (dot, row + 0.36 * (2 * dot.round / max(rounds - 1, 1) - 1), cell)
        for cell, own in found.items()
        if (row := rows.get(cell)) is not None
        for dot in own
    ]
    both = len({one.asked.k for one in arm.thresholds}) > 1
    layout = {
        "xaxis": log_axis(
            words.n_axis([arm]), *padded([dot.n for dot, *_ in dots] or [1, 10], 0.06)
        ),
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(rows.values()),
            "ticktext": [f"d {d}, k {k}" if both else f"d = {d}" for d, k in rows],
            "showgrid": False,
        },
        "shapes": [_stripe(row) for row in rows.values() if row % 2 == 0],
        "showlegend": False,
        "height": 110 + 48 * max(len(rows), 2),
    }
    alt = (
        f"Where {arm.label} spent its trials: "
        + "; ".join(
            f"{words.count(one.threshold.trials, 'trial')} at d = {one.asked.d}, k = {one.asked.k}"
            for one in shown(arm)
        )
        + "."
    )
    traces = [*_thresholds(answer, index), _dots(dots, heaviest(found), rounds)]
    return Graph(f"trials-{index}", arm.label, alt, traces, layout)


def _stripe(row: int) -> Json:
    return {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row + 0.5,
        "line": {"width": 0}, "fillcolor": "rgba(128,136,150,0.09)", "layer": "below",
    }  # fmt: skip


def _dots(dots: list[tuple[Dot, float, Cell]], top: int, rounds: int) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [short(dot.n) for dot, *_ in dots],
        "y": [short(height) for _, height, _ in dots],
        "meta": {"scale": scales("plasma")},
        "marker": {
            "size": [short(4 + 7 * (dot.trials / top) ** 0.5) for dot, *_ in dots],
            "color": [dot.round for dot, *_ in dots],
            "cmin": 0,
            "cmax": max(rounds - 1, 1),
            "line": {"width": 0},
            "showscale": rounds > 1,
            "colorbar": {
                "title": {"text": "round", "side": "right"},
                "tickvals": [0, rounds - 1],
                "ticktext": ["first", "last"],
                "thickness": 10,
                "len": 0.8,
                "outlinewidth": 0,
            },
        },
        "text": [
            f"d = {d}, k = {k}, n = {words.number(dot.n)}<br>"
            f"round {dot.round}: {words.count(dot.trials, 'trial')}"
            for dot, _, (d, k) in dots
        ],
        "hoverinfo": "text",
    }


def _thresholds(answer: Answer, index: int) -> list[Json]:
    arm = answer.arms[index]
    return [
        {
            "type": "scatter", "mode": "lines", "x": [one.value] * 2,
            "y": [row - 0.45, row + 0.45], "meta": meta(INK), "line": {"width": 1.5},
            "text": [threshold_words(arm, found)] * 2, "hoverinfo": "text",
        }
        for row, found in enumerate(shown(arm))
        if (one := mark(found)).value is not None
    ]  # fmt: skip
