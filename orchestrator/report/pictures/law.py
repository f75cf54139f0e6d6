"""The scaling law: thresholds against d or k with intervals, fitted family, theory, residuals."""

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.report import words
from orchestrator.report.marks import THEORY_DASH, look
from orchestrator.report.pictures.canvas import (
    COLUMN_IN,
    FAINT,
    INK,
    legend_in,
    log_scale,
    padded,
    provenance,
    shortened,
    thinned,
)
from orchestrator.report.pictures.threshold_mark import Name, draw_mark, name_lines
from orchestrator.report.series import (
    Letter,
    Mark,
    fitted,
    law_curve,
    lines,
    mark,
    theory_name,
    theory_points,
)

AXIS = {"d": "dimension d", "k": "complexity k"}


def draw(answer: Answer, along: Letter) -> Figure:
    """All arms in one panel on log axes, and below it the residuals of the fitted laws."""
    handles = _handles(answer)
    height_in = 4.2 + legend_in([str(handle.get_label()) for handle in handles])
    figure = Figure(figsize=(1.35 * COLUMN_IN, height_in), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
    draw_laws(upper, answer, along)
    _residuals(lower, answer, along)
    lower.set_xlabel(AXIS[along])
    upper.set_ylabel(words.n_star_axis(answer.arms))
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    provenance(
        figure,
        answer,
        f"Bars: {level} intervals; short ones lie inside their marks. Hollow marks are not "
        "settled, arrows are one-sided bounds, ? is not known.",
    )
    return figure


def draw_laws(ax: Axes, answer: Answer, along: Letter, size: float = 4.2) -> None:
    """Thresholds of all arms with intervals, fitted laws solid, theory dashed, on log axes."""
    names = [
        name
        for index, arm in enumerate(answer.arms)
        for name in _laws_of(ax, arm, index, along, size)
    ]
    _axes(ax, answer, along)
    name_lines(ax, names)


def _laws_of(ax: Axes, arm: ArmAnswer, index: int, along: Letter, size: float) -> list[Name]:
    style = look(index)
    colour = style.colour.light
    drawn, names = lines(arm, along), []
    for line in drawn:
        curve = law_curve(arm, line, along)
        if curve is not None:
            ax.plot(*curve, color=colour, lw=1.3, zorder=4)
        x, y = theory_points(line.thresholds, lambda a: getattr(a, along), lambda a: 1.0)
        ax.plot(x, y, color=colour, ls=THEORY_DASH, lw=0.9, alpha=0.9, zorder=3, marker="_", ms=6)
        for found in line.thresholds:
            x = getattr(found.asked, along)
            draw_mark(ax, x, mark(found), colour, style.marker, size, shift=7.0 * index)
        if len(drawn) > 1:
            names += _line_name(line.thresholds[-1], line.name, along, colour)
    return names


def _line_name(last: FoundThreshold, name: str, along: Letter, colour: str) -> list[Name]:
    known = mark(last)
    height = known.value or known.low or known.high
    return [Name(getattr(last.asked, along), height, name, colour)] if height else []


def _axes(ax: Axes, answer: Answer, along: Letter) -> None:
    thresholds = [found for arm in answer.arms for found in arm.thresholds]
    across = [getattr(found.asked, along) for found in thresholds]
    known = [mark(found) for found in thresholds]
    upward = [one for m in known for one in (m.value, m.low, m.high) if one]
    upward += [found.theory for found in thresholds if found.theory]
    upward += [m.low * 1.3 for m in known if m.kind == "above" and m.low]  # room for the arrow
    if across:
        ax.set_xlim(*padded(across, 0.1))
    ax.set_ylim(*padded(upward or [1.0, 10.0], 0.07))
    log_scale(ax.xaxis, thinned(across) if across else None)
    log_scale(ax.yaxis)


def _handles(answer: Answer) -> list[Line2D]:
    handles = []
    for index, arm in enumerate(answer.arms):
        style = look(index)
        handles.append(
            Line2D(
                [],
                [],
                color=style.colour.light,
                marker=style.marker,
                ms=4.2,
                label=shortened(f"{arm.label}: {legend_words(arm)}", 74),
            )
        )
    if any(found.theory is not None for arm in answer.arms for found in arm.thresholds):
        handles.append(
            Line2D([], [], color=INK, lw=0.9, ls=THEORY_DASH, label=theory_name(answer.arms))
        )
    return handles


def legend_words(arm: ArmAnswer) -> str:
    """The arm's law with the interval of each exponent, on one line."""
    if arm.law is None:
        return "no law (fewer than three thresholds)"
    ends = [
        (name, words.between_exponents(one.low, one.high))
        for name, one in arm.law.exponents.items()
    ]
    said = ", ".join(f"{name}: {one}" if len(ends) > 1 else one for name, one in ends)
    notes = [note for note in (said, "" if arm.law.decisive else "not decisive") if note]
    return words.growth(arm.law) + (f" ({'; '.join(notes)})" if notes else "")


def _residuals(ax: Axes, answer: Answer, along: Letter) -> None:
    ax.axhline(0, color=FAINT, lw=0.8)
    drawn = [
        (arm, index, line) for index, arm in enumerate(answer.arms) for line in lines(arm, along)
    ]
    for place, (arm, index, line) in enumerate(drawn):
        # Lines stand beside one another, so that bars do not hide bars.
        shift = 1 + 0.012 * (place - (len(drawn) - 1) / 2)
        for found in line.thresholds:
            fit = fitted(arm, found)
            if fit is not None:
                x, one = getattr(found.asked, along) * shift, less_one(mark(found, fit))
                draw_mark(ax, x, one, look(index).colour.light, look(index).marker, 3.6)
    seen = any(arm.law for arm in answer.arms)
    reach = 1.1 * max(abs(end) for end in ax.get_ylim()) if seen else 0.1
    ax.set_ylim(-reach, reach)
    ax.set_ylabel("n* / law − 1")
    ax.yaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    ax.yaxis.set_major_formatter(lambda value, _: words.percent(round(value, 4)))


def less_one(ratio: Mark) -> Mark:
    """A ratio to the law as its relative deviation, with its interval."""
    return replace(
        ratio,
        value=None if ratio.value is None else ratio.value - 1,
        low=None if ratio.low is None else ratio.low - 1,
        high=None if ratio.high is None else ratio.high - 1,
    )
