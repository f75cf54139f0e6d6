"""Arms over each other, and how many times more one needs than another, with intervals."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from orchestrator.answer import Answer, Comparison
from orchestrator.report import words
from orchestrator.report.marks import look
from orchestrator.report.pictures.canvas import (
    COLUMN_IN,
    FAINT,
    legend_in,
    log_scale,
    padded,
    provenance,
    shortened,
)
from orchestrator.report.pictures.law import AXIS, draw_laws
from orchestrator.report.pictures.threshold_mark import draw_mark
from orchestrator.report.series import Letter, Mark, letters


def draw(answer: Answer) -> Figure | None:
    """Thresholds of all arms in one panel, their ratios below; None where no ratio is known."""
    if not any(comparison.ratios for comparison in answer.comparisons):
        return None
    along = letters(answer)[0]
    handles = [*_arm_handles(answer), *_handles(answer)]
    height_in = 4.4 + legend_in([str(handle.get_label()) for handle in handles])
    figure = Figure(figsize=(1.35 * COLUMN_IN, height_in), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    draw_laws(upper, answer, along)
    upper.set_ylabel(words.n_star_axis(answer.arms))
    lower.axhline(1, color=FAINT, lw=0.8)
    for index, comparison in enumerate(answer.comparisons):
        _pair(lower, comparison, index, along, len(answer.comparisons))
    _axes(lower, answer, along)
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    provenance(
        figure,
        answer,
        f"Bars: {words.percent(words.confidence(answer.arms[0]))} intervals. Above: thresholds and "
        "their laws, dashed: theory. Below: their ratio; under 1 the first arm needs less. "
        + _missing(answer),
    )
    return figure


def _arm_handles(answer: Answer) -> list[Line2D]:
    return [
        Line2D([], [], color=look(i).colour.light, marker=look(i).marker, ms=4, label=name)
        for i, name in enumerate(words.short_names(answer.arms))
    ]


def _missing(answer: Answer) -> str:
    asked = max(len(arm.thresholds) for arm in answer.arms)
    missing = sum(asked - len(one.ratios) for one in answer.comparisons)
    if missing <= 0:
        return ""
    return f"{words.count(missing, 'ratio')} not known, since a threshold is not."


def _pair(ax: Axes, comparison: Comparison, index: int, along: Letter, pairs: int) -> None:
    style = look(index)
    # Pairs stand beside one another, a hundredth of the way apart, so that bars do not hide bars.
    shift = 1 + 0.012 * (index - (pairs - 1) / 2)
    for k in sorted({(k if along == "d" else d) for d, k, *_ in comparison.ratios}):
        points = sorted(
            ((d if along == "d" else k_) * shift, ratio, low, high)
            for d, k_, ratio, low, high in comparison.ratios
            if (k_ if along == "d" else d) == k
        )
        ax.plot(
            [x for x, *_ in points], [ratio for _, ratio, *_ in points],
            color=style.colour.light, lw=0.9, alpha=0.6, ls=":",
        )  # fmt: skip
        for x, ratio, low, high in points:
            draw_mark(
                ax, x, Mark("value", ratio, low, high, True), style.colour.light, style.marker
            )


def _axes(ax: Axes, answer: Answer, along: Letter) -> None:
    upward = [value for one in answer.comparisons for row in one.ratios for value in row[2:]]
    ax.set_ylim(*padded([*upward, 1.0], 0.08))
    log_scale(ax.yaxis)
    ax.set_xlabel(AXIS[along])
    ax.set_ylabel("ratio of n*")


def _handles(answer: Answer) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=look(i).colour.light,
            marker=look(i).marker,
            ls=":",
            ms=4,
            label=shortened(pair_name(answer, one), 74),
        )
        for i, one in enumerate(answer.comparisons)
    ]


def pair_name(answer: Answer, comparison: Comparison) -> str:
    """`two_layer over kernel_ridge`."""
    names = words.short_names(answer.arms)
    return f"{names[comparison.first]} over {names[comparison.second]}"
