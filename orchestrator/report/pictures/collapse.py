"""Success against n / n_star: if only the scale of n changes, all thresholds share one curve."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.inference.threshold import Asked
from orchestrator.report import words
from orchestrator.report.marks import DASHES, Colour
from orchestrator.report.pictures.canvas import (
    FAINT,
    LEGEND_LINE_IN,
    log_scale,
    panels,
    provenance,
)
from orchestrator.report.pictures.success_curves import (
    LEGEND_COLUMNS,
    draw_points,
    left_out,
    legend_below,
    looks,
    name,
    rate_axis,
)
from orchestrator.report.series import FEWEST_FOR_BAR, Collapsed, collapsed, few, reach, shown


def draw(answer: Answer) -> Figure | None:
    """One panel per arm, its thresholds over each other; None where fewer than two are known."""
    groups = [known(answer, arm) for arm in answer.arms]
    together = [one for group in groups for one in group]
    if len(together) < 2:
        return None
    height_in = 2.6 + LEGEND_LINE_IN * math.ceil(max(map(len, groups)) / LEGEND_COLUMNS)
    figure, axes = panels(answer.arms, height_in=height_in)
    view = reach(together)
    for ax, arm, group in zip(axes, answer.arms, groups, strict=True):
        _panel(ax, arm, group, looks(answer, arm), view)
        ax.set_xlabel(axis_name(arm))
    level = words.percent(words.confidence(answer.arms[0]))
    provenance(
        figure,
        answer,
        "Every threshold with its n divided by its own n*. Points: observed rates, neighbouring n "
        f"pooled; bars: {level} Wilson intervals from {FEWEST_FOR_BAR} trials on. Curves: "
        f"posterior medians, shaded: their {level} bands.",
        *unknown(answer, len(together)),
        *left_out(answer),
    )
    return figure


def known(answer: Answer, arm: ArmAnswer) -> list[Collapsed]:
    """The arm's thresholds that can be drawn, which are those whose n_star is known."""
    found = [collapsed(one, few(answer)) for one in shown(arm)]
    return [one for one in found if one is not None]


def axis_name(arm: ArmAnswer) -> str:
    """What the axis shows; it has no unit of its own."""
    return f"n / n*, n in {arm.n_counts}"


def unknown(answer: Answer, drawn: int) -> list[str]:
    """Says how many thresholds are missing because their n_star is not known."""
    count = sum(len(shown(arm)) for arm in answer.arms) - drawn
    return [f"Left out: {words.count(count, 'threshold')} not known."] if count else []


def _panel(
    ax: Axes,
    arm: ArmAnswer,
    group: list[Collapsed],
    look: dict[Asked, tuple[Colour, int]],
    view: tuple[float, float],
) -> None:
    both = len({found.asked.k for found in arm.thresholds}) > 1
    for one in group:
        (colour, style), fit = look[one.found.asked], one.curve
        ax.fill_between(fit.n, fit.low, fit.high, color=colour.light, alpha=0.1, lw=0, zorder=2)
        label = name(one.found, both)
        ax.plot(
            fit.n, fit.median, color=colour.light, ls=DASHES[style], lw=1, label=label, zorder=4
        )
        inside = [point for point in one.points if view[0] <= point.n <= view[1]]
        draw_points(ax, inside, colour.light, style)
    ax.axhline(arm.level, color=FAINT, lw=0.7, ls=(0, (2, 2)), zorder=1)
    ax.axvline(1, color=FAINT, lw=0.7, ls=(0, (2, 2)), zorder=1)
    ax.set_xlim(*view)
    log_scale(ax.xaxis)
    rate_axis(ax)
    if group:
        legend_below(ax, both)
    else:
        ax.text(0.5, 0.5, "no n* known", transform=ax.transAxes, ha="center", color=FAINT)
