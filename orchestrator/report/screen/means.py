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
    name_at,
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
            traces += _crosses(found, index, one)
    traces += _names(found)
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
    every = [(index, one) for index, own in found.items() for one in own if one.means]
    named = [(*name_at(one, found), series_name(one, found), index) for index, one in every]
    traces = []
    for n in sorted({at for at, _, name, _ in named if name}):
        here = sorted(one for one in named if one[0] == n)
        places = apart([share(found, value) for _, value, _, _ in here], 0.05)
        traces += [
            {
                "type": "scatter", "mode": "text", "legendgroup": f"arm {index}",
                "meta": meta(look(index).colour), "x": [n], "y": [short(value_at(found, place))],
                "text": ["  " + escape(name)], "textposition": "middle right",
                "textfont": {"size": 11}, "cliponaxis": False, "hoverinfo": "skip",
            }
            for place, (_, _, name, index) in zip(places, here, strict=True)
        ]  # fmt: skip
    return traces


def _crosses(found: Found, index: int, one: Means) -> list[Json]:
    """A cross at the lower edge for each n without a mean, and why."""
    if not one.lost:
        return []
    shift, low = beside(index, list(found)), value_at(found, 0.03)
    return [
        {
            "type": "scatter", "mode": "markers", "legendgroup": f"arm {index}",
            "meta": meta(look(index).colour), "marker": {"symbol": "x-thin-open", "size": 7},
            "x": [short(cell.n * shift) for cell in one.lost], "y": [short(low)] * len(one.lost),
            "text": [
                f"d = {one.d}, k = {one.k}, n = {cell.n}: {cell.without} of "
                f"{words.count(cell.trials, 'trial')} have no such number"
                for cell in one.lost
            ],
            "hoverinfo": "text",
        }
    ]  # fmt: skip


def share(found: Found, value: float) -> float:
    """How far up its axis a value stands, from 0 to 1."""
    low, high, logarithmic = reach(found)
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def value_at(found: Found, share: float) -> float:
    """The value that stands so far up its axis."""
    low, high, logarithmic = reach(found)
    return low * (high / low) ** share if logarithmic else low + share * (high - low)


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
