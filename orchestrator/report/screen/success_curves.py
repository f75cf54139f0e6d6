"""Success against n on the screen: pooled rates with intervals, every tried n, fitted curves."""

from collections.abc import Mapping, Sequence

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked
from orchestrator.report import words
from orchestrator.report.marks import Colour
from orchestrator.report.pictures.canvas import padded
from orchestrator.report.pictures.success_curves import MOST_WEIGHED, looks
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
    short,
)
from orchestrator.report.series import (
    FEWEST_FOR_BAR,
    Band,
    Rate,
    band,
    few,
    pooled,
    rates,
    room,
    shown,
)

Look = tuple[Colour, int]
"""A threshold's colour, and the number of its marker and dash."""


def graph(answer: Answer, index: int) -> Graph:
    """Success against n for one arm."""
    arm = answer.arms[index]
    chosen, most = looks(answer, arm), room(answer)
    both = len({one.asked.k for one in arm.thresholds}) > 1
    traces: list[Json] = []
    for found in shown(arm):
        look, name = chosen[found.asked], threshold_name(found, both)
        traces += curve(band(found, 60), look, name)
        traces.append(points(found, pooled(found, few(answer)), look, name))
        if len(found.tallies) <= most:
            traces.append(_single(found, look, name))
    tried = [tally.n for found in arm.thresholds for tally in found.tallies]
    layout = {
        "xaxis": log_axis(words.n_axis([arm]), *padded(tried or [1, 10], 0.04)),
        "yaxis": RATE_AXIS,
        "shapes": [level_line(arm.level)],
    }
    legend = keys([one for one in shown(arm) if one.tallies], chosen, both)
    return Graph(f"success-{index}", arm.label, _success_alt(arm), traces, layout, legend)


def keys(
    found: Sequence[FoundThreshold], chosen: Mapping[Asked, Look], both: bool
) -> tuple[Key, ...]:
    """The legend of curves, one key per threshold."""
    return tuple(
        Key(name, name, chosen[one.asked][0], SWATCHES[chosen[one.asked][1]])
        for one in found
        for name in (threshold_name(one, both),)
    )


RATE_AXIS: Json = {
    "title": {"text": "success rate"},
    "range": [-0.06, 1.06],
    "tickformat": ".0%",
    "tickvals": [0, 0.25, 0.5, 0.75, 1],
}
SWATCHES: tuple[Swatch, ...] = ("line", "dash", "dot", "dashdot")


def level_line(level: float) -> Json:
    """The success rate at which n_star is read off."""
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


def curve(fit: Band | None, look: Look, name: str, letter: str = "n") -> list[Json]:
    """A fitted curve with its band; nothing where nothing was fitted."""
    if fit is None:
        return []
    colour, style = look
    n = [short(one) for one in fit.n]
    shared = {"type": "scatter", "mode": "lines", "legendgroup": name, "meta": meta(colour)}
    hidden = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 0}}
    texts = [
        f"{name}<br>{letter} = {words.number(at)}: {p:.0%} ({low:.0%} to {high:.0%})"
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


def points(
    found: FoundThreshold, pools: Sequence[Rate], look: Look, name: str, letter: str = "n"
) -> Json:
    """Observed rates with Wilson intervals; those of few trials have none."""
    (colour, style), level = look, words.percent(found.threshold.confidence)
    barred = [one.trials >= FEWEST_FOR_BAR for one in pools]
    bars = error_bars(
        [one.high - one.rate if b else None for one, b in zip(pools, barred, strict=True)],
        [one.rate - one.low if b else None for one, b in zip(pools, barred, strict=True)],
    )
    return {
        "type": "scatter", "mode": "markers", "legendgroup": name, "showlegend": False,
        "hoverinfo": "text", "meta": meta(colour),
        "x": [short(one.n) for one in pools], "y": [short(one.rate) for one in pools],
        "error_y": {**bars, "thickness": 1},
        "marker": {
            "symbol": SYMBOLS[style], "opacity": 1,
            "size": [short(3 + 1.6 * min(one.trials, MOST_WEIGHED) ** 0.5) for one in pools],
        },
        "text": [
            f"{name}<br>around {letter} = {words.number(one.n)}: {one.successes} of {one.trials} "
            f"succeed<br>{level} interval {one.low:.0%} to {one.high:.0%}"
            for one in pools
        ],
    }  # fmt: skip


def _single(found: FoundThreshold, look: Look, name: str) -> Json:
    """Every n by itself, faint, with what was lost there."""
    raw, (colour, style) = rates(found), look
    return {
        "type": "scatter", "mode": "markers", "legendgroup": name, "showlegend": False,
        "hoverinfo": "text", "meta": meta(colour),
        "x": [one.n for one in raw], "y": [short(one.rate) for one in raw],
        "marker": {"symbol": SYMBOLS[style], "size": 3, "opacity": 0.35},
        "text": [
            f"{name}<br>n = {one.n}: {one.successes} of {one.trials} succeed"
            + (f", {words.count(one.gaps, 'gap')}" if one.gaps else "")
            for one in raw
        ],
    }  # fmt: skip
