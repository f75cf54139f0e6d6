"""Means of a measure on the screen."""

import math
from html import escape

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import Look, look
from orchestrator.report.pictures.canvas import padded, thinned
from orchestrator.report.pictures.means import (
    Found,
    across,
    beside,
    found_in,
    n_axis,
    reach,
    sample,
    series_name,
    theory_name,
)
from orchestrator.report.pictures.threshold_mark import apart
from orchestrator.report.screen.graph import (
    SYMBOLS,
    Graph,
    Json,
    Key,
    error_bars,
    log_axis,
    meta,
    short,
)
from orchestrator.report.screen.law import FAINT_PAIR
from orchestrator.report.series import Claimed, Mean, Means


def graph(answer: Answer, measure: str) -> Graph | None:
    """Means of all arms against n; None where no trial has the measure."""
    found = found_in(answer, measure)
    if not found:
        return None
    traces: list[Json] = []
    for index, own in found.items():
        for one in own:
            traces += _series(answer, index, one, beside(index, list(found)))
    return Graph(
        f"means-{measure}", f"Mean {measure}", _alt(answer, found, measure), traces,
        _layout(answer, found, measure), _legend(answer, found),
    )  # fmt: skip


def _layout(answer: Answer, found: Found, measure: str) -> Json:
    low, high, logarithmic = reach(found)
    left, right = padded(across(found), 0.1)
    if any(series_name(one, found) for own in found.values() for one in own):
        right *= (right / left) ** 0.12
    upward: Json = {"title": {"text": escape(f"mean {measure}")}, "range": [low, high]}
    return {
        "xaxis": log_axis(n_axis(answer, found), left, right, thinned(across(found))),
        "yaxis": log_axis(f"mean {measure}", low, high) if logarithmic else upward,
        "annotations": [*_names(found), *_crosses(found)],
    }


def _series(answer: Answer, index: int, one: Means, shift: float) -> list[Json]:
    style = look(index)
    theory = [_theory(line, style, words.short_names(answer.arms)[index]) for line in one.theory]
    bars = [
        (None, None)
        if mean.low is None or mean.high is None
        else (mean.high - mean.value, mean.value - mean.low)
        for mean in one.means
    ]
    level = words.percent(words.confidence(answer.arms[index]))
    shared: Json = {
        "type": "scatter", "legendgroup": f"arm {index}", "meta": meta(style.colour),
        "x": [short(mean.n * shift) for mean in one.means],
        "y": [short(mean.value) for mean in one.means],
    }  # fmt: skip
    joined = {**shared, "mode": "lines", "line": {"width": 1}, "opacity": 0.5, "hoverinfo": "skip"}
    marked = {
        **shared, "mode": "markers",
        "marker": {"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 8, "opacity": 1},
        "error_y": error_bars([up for up, _ in bars], [down for _, down in bars]),
        "text": [
            f"<b>{escape(answer.arms[index].label)}</b><br>d = {one.d}, k = {one.k}, n = {mean.n}"
            f"<br>mean {words.number(mean.value)} over {words.count(mean.trials, 'trial')}<br>"
            f"{level} interval: {words.between(mean.low, mean.high)}"
            for mean in one.means
        ],
        "hoverinfo": "text",
    }  # fmt: skip
    return [*theory, joined, marked]


def _theory(line: Claimed, style: Look, arm: str) -> Json:
    return {
        "type": "scatter", "mode": "lines+markers" if line.points else "lines",
        "legendgroup": "theory", "meta": meta(style.colour),
        "x": list(line.n), "y": [short(value) for value in line.mean],
        "line": {"width": 1.5, "dash": "dash"},
        "marker": {"symbol": "line-ew-open", "size": 20, "opacity": 1},
        "text": [
            f"theory, {escape(arm)}<br>{escape(line.source)}<br>n = {n}: {words.number(value)}"
            for n, value in zip(line.n, line.mean, strict=True)
        ],
        "hoverinfo": "text",
    }  # fmt: skip


def _names(found: Found) -> list[Json]:
    """What tells several (d, k) of an arm apart, written at their ends, moved where they meet."""
    low, high, logarithmic = reach(found)
    scale = math.log10 if logarithmic else float
    bottom, top = scale(low), scale(high)
    ends = [
        (one.means[-1].n, scale(one.means[-1].value), name)
        for own in found.values()
        for one in own
        if one.means and (name := series_name(one, found))
    ]
    written = []
    for n in sorted({end[0] for end in ends}):
        here = sorted((end for end in ends if end[0] == n), key=lambda end: end[1])
        places = apart([end[1] for end in here], 0.05 * (top - bottom), top=top)
        written += [(n, y, name) for y, (_, _, name) in zip(places, here, strict=True)]
    return [
        {
            "x": math.log10(n), "y": y, "xshift": 10, "xanchor": "left", "text": escape(name),
            "showarrow": False, "font": {"size": 11},
        }
        for n, y, name in written
    ]  # fmt: skip


def _crosses(found: Found) -> list[Json]:
    """A cross at the lower edge for each n without a mean, and why."""
    return [
        {
            "x": math.log10(cell.n * beside(index, list(found))), "y": 0.02, "yref": "y domain",
            "yanchor": "bottom", "text": "×", "showarrow": False,
            "font": {"color": look(index).colour.light, "size": 14}, "captureevents": True,
            "hovertext": f"d = {one.d}, k = {one.k}, n = {cell.n}: {cell.without} of "
            f"{words.count(cell.trials, 'trial')} have no such number",
        }
        for index, own in found.items()
        for one in own
        for cell in one.lost
    ]  # fmt: skip


def _legend(answer: Answer, found: Found) -> tuple[Key, ...]:
    names = words.short_names(answer.arms)
    keys = [
        Key(f"{names[index]}: {sample(own)}", f"arm {index}", look(index).colour, shape=index)
        for index, own in found.items()
    ]
    if any(one.theory for own in found.values() for one in own):
        keys.append(Key(theory_name(answer), "theory", FAINT_PAIR, "dash"))
    return tuple(keys)


def _told(one: Means) -> list[Mean]:
    """The first mean, the last, and the least and greatest, by n."""
    if not one.means:
        return []
    by_value = sorted(one.means, key=lambda mean: mean.value)
    told = {mean.n: mean for mean in (one.means[0], by_value[0], by_value[-1], one.means[-1])}
    return [told[n] for n in sorted(told)]


def _alt(answer: Answer, found: Found, measure: str) -> str:
    said = "; ".join(
        f"{answer.arms[index].label}, d = {one.d}, k = {one.k}: "
        + (", ".join(f"{words.number(at.value)} at n = {at.n}" for at in _told(one)) or "none")
        for index, own in found.items()
        for one in own
    )
    return (
        f"Mean {measure} over trials with intervals against {n_axis(answer, found)}, "
        f"n on a log axis. {said}."
    )
