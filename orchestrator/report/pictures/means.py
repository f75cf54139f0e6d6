"""Means of a measure: over the trials of a cell with intervals, against n, beside theory."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.marks import THEORY_DASH, Look, look
from orchestrator.report.pictures.canvas import (
    COLUMN_IN,
    INK,
    legend_in,
    log_scale,
    padded,
    provenance,
    shortened,
    thinned,
)
from orchestrator.report.pictures.threshold_mark import Name, name_lines
from orchestrator.report.series import Claimed, Means, drawn_of_all, means

SAID = (
    "Marks are means over the trials at one n, with Student's interval (where all are 0 or 1, that "
    "of Clopper and Pearson). Dashed: theory, straight between dashes where it speaks of single n. "
    "A cross below is an n without a mean: some trial there has no such number. Of an arm up to "
    "three (d, k)."
)
Found = dict[int, list[Means]]
"""What is drawn of each arm that has the measure, by its number."""
LEGEND_WIDTH = 84
"""Characters of a legend's line that fit the picture's width. By hand."""
FEWEST_DECADES = 1.0
"""Powers of ten that means span from which on their axis is a log one. By hand."""


def draw(answer: Answer, measure: str) -> Figure | None:
    """All arms in one panel; None where no trial has the measure."""
    found = found_in(answer, measure)
    if not found:
        return None
    handles = _handles(answer, found)
    height_in = 3.1 + legend_in([str(handle.get_label()) for handle in handles])
    figure = Figure(figsize=(1.35 * COLUMN_IN, height_in), layout="constrained")
    ax = figure.subplots()
    names = []
    for index, own in found.items():
        for one in own:
            _series(ax, one, look(index), beside(index, list(found)))
            if one.means and (text := series_name(one, found)):
                names.append(Name(*name_at(one, found), text, look(index).colour.light))
    _axes(ax, answer, found, measure)
    name_lines(ax, names)
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    provenance(figure, answer, _note(answer), *left_out(answer, measure))
    return figure


def found_in(answer: Answer, measure: str) -> Found:
    """What is drawn."""
    every = {index: means(answer, index, measure) for index in range(len(answer.arms))}
    return {index: own for index, own in every.items() if own}


def beside(index: int, arms: list[int]) -> float:
    """By what n is multiplied: arms stand beside one another, so that bars do not hide bars."""
    return 1.0 + 0.012 * (arms.index(index) - (len(arms) - 1) / 2)


def name_at(one: Means, found: Found) -> tuple[float, float]:
    """Where a series that has means is named: right of its last one, whichever arm that is of."""
    last = one.means[-1]
    return last.n * beside(max(found), list(found)), last.value


def series_name(one: Means, found: Found) -> str:
    """The letters of d and k that vary over what is drawn, with their values; else nothing."""
    return ", ".join(f"{letter} = {getattr(one, letter)}" for letter in _letters(found, vary=True))


def n_axis(answer: Answer, found: Found) -> str:
    """What n counts, and the letters of d and k that do not vary."""
    (first, *_), *_ = found.values()
    fixed = [f"{letter} = {getattr(first, letter)}" for letter in _letters(found, vary=False)]
    counts = words.n_axis([answer.arms[index] for index in found])
    return f"{counts} ({', '.join(fixed)})" if fixed else counts


def _letters(found: Found, vary: bool) -> list[str]:
    every = [one for own in found.values() for one in own]
    return [
        letter
        for letter in ("d", "k")
        if (len({getattr(one, letter) for one in every}) > 1) is vary
    ]


def left_out(answer: Answer, measure: str) -> list[str]:
    """Says how many (d, k) a picture shows where it cannot show all."""
    counts = [drawn_of_all(answer, index, measure) for index in range(len(answer.arms))]
    return [
        f"Drawn: {drawn} of the {every} (d, k) of {arm.label}."
        for arm, (drawn, every) in zip(answer.arms, counts, strict=True)
        if drawn < every
    ]


def reach(found: Found) -> tuple[float, float, bool]:
    """The lowest and highest of means, intervals and theory, and whether on a log axis.

    The axis is a log one where means and theory are positive and span a power of ten or more; there
    an interval that reaches below 0 is cut off.
    """
    every = [one for own in found.values() for one in own]
    inner = [mean.value for one in every for mean in one.means]
    inner += [value for one in every for line in one.theory for value in line.mean]
    ends = [end for one in every for mean in one.means for end in (mean.low, mean.high)]
    outer = [*inner, *(end for end in ends if end is not None)] or [0.0, 1.0]
    logarithmic = (
        bool(inner) and min(inner) > 0.0 and max(inner) >= 10.0**FEWEST_DECADES * min(inner)
    )
    if logarithmic:
        kept = [one for one in outer if one >= 0.5 * min(inner)]
        return *padded(kept, 0.07), True
    room = 0.07 * (max(outer) - min(outer)) or 0.1 * abs(outer[0]) or 0.1
    return min(outer) - room, max(outer) + room, False


def across(found: Found) -> list[int]:
    """Every n that was tried, in order."""
    every = [one for own in found.values() for one in own]
    known = {mean.n for one in every for mean in one.means}
    return sorted(known | {cell.n for one in every for cell in one.lost})


def _series(ax: Axes, one: Means, style: Look, shift: float) -> None:
    colour = style.colour.light
    for line in one.theory:
        _theory(ax, line, colour)
    at, values = [mean.n * shift for mean in one.means], [mean.value for mean in one.means]
    ax.plot(at, values, color=colour, lw=0.6, alpha=0.5, zorder=2)
    for x, mean in zip(at, one.means, strict=True):
        if mean.low is not None and mean.high is not None:
            ax.plot([x, x], [mean.low, mean.high], color=colour, lw=1.1, zorder=5)
    ax.plot(at, values, color=colour, marker=style.marker, ms=4.2, ls="none", zorder=6)
    lost = [cell.n * shift for cell in one.lost]
    ax.plot(
        lost, [0.03] * len(lost), transform=ax.get_xaxis_transform(), marker="x", ms=3.5, mew=0.9,
        color=colour, ls="none",
    )  # fmt: skip


def _theory(ax: Axes, line: Claimed, colour: str) -> None:
    marker = "_" if line.points else ""
    ax.plot(
        line.n, line.mean, color=colour, ls=THEORY_DASH, lw=0.9, alpha=0.9, zorder=4,
        marker=marker, ms=13, mew=1.1,
    )  # fmt: skip


def _axes(ax: Axes, answer: Answer, found: Found, measure: str) -> None:
    tried, (low, high, logarithmic) = across(found), reach(found)
    ax.set_xlim(*padded(tried, 0.1))
    ax.set_ylim(low, high)
    log_scale(ax.xaxis, thinned(tried))
    if logarithmic:
        log_scale(ax.yaxis)
    ax.set_xlabel(n_axis(answer, found))
    ax.set_ylabel(f"mean {measure}")


def _handles(answer: Answer, found: Found) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=look(index).colour.light, marker=look(index).marker, ms=4.2, lw=0.6,
            label=shortened(f"{answer.arms[index].label}: {sample(own)}", LEGEND_WIDTH),
        )
        for index, own in found.items()
    ]  # fmt: skip
    if any(one.theory for own in found.values() for one in own):
        handles.append(Line2D([], [], color=INK, lw=0.9, ls=THEORY_DASH, label=theory_name(answer)))
    return handles


def sample(own: list[Means]) -> str:
    """How many trials a mark has: `40 trials each`, or `20 to 40 trials each`."""
    counts = [mean.trials for one in own for mean in one.means]
    if not counts:
        return "no means"
    few, many = min(counts), max(counts)
    trials = words.count(many, "trial")
    return f"{trials if few == many else f'{few} to {trials}'} each"


def theory_name(answer: Answer) -> str:
    """`theory (exact)`, or all kinds of the claims about means."""
    kinds = dict.fromkeys(one.kind for arm in answer.arms for one in arm.means)
    return f"theory ({', '.join(kinds)})"


def _note(answer: Answer) -> str:
    level = words.percent(words.confidence(answer.arms[0]))
    return f"Bars: {level} intervals; short ones lie inside their marks. {SAID}"
