"""Success against n on the screen: pooled rates with intervals, every tried n, fitted curves."""

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.report import words
from orchestrator.report.marks import Colour
from orchestrator.report.pictures.canvas import padded
from orchestrator.report.pictures.success_curves import looks
from orchestrator.report.pictures.success_curves import name as threshold_name
from orchestrator.report.screen.graph import (
    DASHES,
    SYMBOLS,
    Graph,
    Json,
    Key,
    Swatch,
    error_bars,
    log_axis,
    meta,
)
from orchestrator.report.series import FEWEST_FOR_BAR, band, pooled, rates


def graph(answer: Answer, index: int) -> Graph:
    """Success against n for one arm."""
    arm = answer.arms[index]
    chosen, both = looks(answer, arm), len({one.asked.k for one in arm.thresholds}) > 1
    traces: list[Json] = []
    for found in arm.thresholds:
        colour, style = chosen[found.asked]
        traces += _curve(found, colour, style, threshold_name(found, both))
        traces += _points(found, colour, style, threshold_name(found, both))
    tried = [tally.n for found in arm.thresholds for tally in found.tallies]
    layout = {
        "xaxis": log_axis(words.n_axis([arm]), *padded(tried or [1, 10], 0.04)),
        "yaxis": {
            "title": {"text": "success rate"},
            "range": [-0.06, 1.06],
            "tickformat": ".0%",
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
        },
        "shapes": [_level(arm.level)],
    }
    legend = tuple(
        Key(name, name, chosen[found.asked][0], SWATCHES[chosen[found.asked][1]])
        for found in arm.thresholds
        if found.tallies
        for name in (threshold_name(found, both),)
    )
    return Graph(f"success-{index}", arm.label, _success_alt(arm), traces, layout, legend)


SWATCHES: tuple[Swatch, ...] = ("line", "dash", "dot", "dashdot")


def _level(level: float) -> Json:
    line = {"width": 1, "dash": "dot", "color": "#8a9099"}
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line,
        "layer": "below",
    }  # fmt: skip


def _success_alt(arm: ArmAnswer) -> str:
    passed = [
        f"{words.n_star(one.threshold)} at d = {one.asked.d}, k = {one.asked.k}"
        for one in arm.thresholds
    ]
    return (
        f"Success rate of {arm.label} against {arm.n_counts}. "
        f"It passes {words.percent(arm.level)} at n = {'; '.join(passed)}."
    )


def _curve(found: FoundThreshold, colour: Colour, style: int, name: str) -> list[Json]:
    fit = band(found, 80)
    if fit is None:
        return []
    n = fit.n.round(4).tolist()
    shared = {"type": "scatter", "mode": "lines", "legendgroup": name, "meta": meta(colour)}
    hidden = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 0}}
    texts = [
        f"{name}<br>n = {words.number(at)}: {p:.0%} ({low:.0%} to {high:.0%})"
        for at, p, low, high in zip(fit.n, fit.median, fit.low, fit.high, strict=True)
    ]
    return [
        {**shared, **hidden, "x": n, "y": fit.low.round(4).tolist()},
        {**shared, **hidden, "x": n, "y": fit.high.round(4).tolist(), "fill": "tonexty"},
        {
            **shared, "name": name, "x": n, "y": fit.median.round(4).tolist(),
            "line": {"width": 2, "dash": DASHES[style]}, "text": texts, "hoverinfo": "text",
        },
    ]  # fmt: skip


def _points(found: FoundThreshold, colour: Colour, style: int, name: str) -> list[Json]:
    level = words.percent(found.threshold.confidence)
    pools, raw = pooled(found), rates(found)
    barred = [one.trials >= FEWEST_FOR_BAR for one in pools]
    shared = {
        "type": "scatter", "mode": "markers", "legendgroup": name, "showlegend": False,
        "hoverinfo": "text", "meta": meta(colour),
    }  # fmt: skip
    bars = error_bars(
        [one.high - one.rate if b else None for one, b in zip(pools, barred, strict=True)],
        [one.rate - one.low if b else None for one, b in zip(pools, barred, strict=True)],
    )
    return [
        {
            **shared, "x": [one.n for one in pools], "y": [one.rate for one in pools],
            "error_y": {**bars, "thickness": 1},
            "marker": {
                "symbol": SYMBOLS[style], "size": [3 + 1.6 * one.trials**0.5 for one in pools],
                "opacity": 1,
            },
            "text": [
                f"{name}<br>around n = {words.number(one.n)}: {one.successes} of {one.trials} "
                f"succeed<br>{level} interval {one.low:.0%} to {one.high:.0%}"
                for one in pools
            ],
        },
        {
            **shared, "x": [one.n for one in raw], "y": [one.rate for one in raw],
            "marker": {"symbol": SYMBOLS[style], "size": 3, "opacity": 0.35},
            "text": [
                f"{name}<br>n = {one.n}: {one.successes} of {one.trials} succeed"
                + (f", {words.count(one.gaps, 'gap')}" if one.gaps else "")
                for one in raw
            ],
        },
    ]  # fmt: skip
