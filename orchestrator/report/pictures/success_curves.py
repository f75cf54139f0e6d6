"""Success against n: what was tried, with intervals, and the fitted curves with their bands."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked
from orchestrator.report import words
from orchestrator.report.marks import DASHES, MARKERS, Colour, shades
from orchestrator.report.pictures.canvas import (
    FAINT,
    LEGEND_LINE_IN,
    is_dense,
    log_scale,
    padded,
    panels,
    provenance,
)
from orchestrator.report.series import (
    FEWEST_FOR_BAR,
    Rate,
    band,
    few,
    gaps,
    letters,
    lines,
    pooled,
    shown,
)

LEGEND_COLUMNS = 3
MOST_WEIGHED = 60
"""Trials beyond which a mark grows no more. Chosen by hand: it would hide its neighbours."""


def draw(answer: Answer) -> Figure:
    """One panel per arm; colour follows d (or k), dashes and markers follow k where both vary."""
    most = max((len(shown(arm)) for arm in answer.arms), default=1)
    height_in = 2.6 + LEGEND_LINE_IN * math.ceil(most / LEGEND_COLUMNS)
    figure, axes = panels(answer.arms, height_in=height_in)
    for ax, arm in zip(axes, answer.arms, strict=True):
        _panel(ax, arm, looks(answer, arm), few(answer))
        ax.set_xlabel(words.n_axis([arm]))
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    provenance(
        figure,
        answer,
        f"Points: observed rates, neighbouring n pooled, larger with more trials; bars: {level} "
        f"Wilson intervals from {FEWEST_FOR_BAR} trials on. Curves: posterior median with {level} "
        "band. Crosses below: n with gaps.",
        *left_out(answer),
    )
    return figure


def left_out(answer: Answer) -> list[str]:
    """Says how many thresholds a picture shows where it cannot show all."""
    return [
        f"Drawn: {len(shown(arm))} of the {len(arm.thresholds)} thresholds of {arm.label}."
        for arm in answer.arms
        if len(shown(arm)) < len(arm.thresholds)
    ]


def looks(answer: Answer, arm: ArmAnswer) -> dict[Asked, tuple[Colour, int]]:
    """Each threshold's colour, and the number of its marker and dash."""
    by = letters(answer)[0]
    values = sorted({getattr(found.asked, by) for found in arm.thresholds})
    colours = dict(zip(values, shades(len(values)), strict=True))
    return {
        found.asked: (colours[getattr(found.asked, by)], style % len(DASHES))
        for style, line in enumerate(lines(arm, by))
        for found in line.thresholds
    }


def name(found: FoundThreshold, both: bool) -> str:
    """A threshold's name in a legend; `both` d and k where k varies too."""
    asked = found.asked
    return f"d = {asked.d}, k = {asked.k}" if both else f"d = {asked.d}"


def _panel(ax: Axes, arm: ArmAnswer, look: dict[Asked, tuple[Colour, int]], most: int) -> None:
    both = len({found.asked.k for found in arm.thresholds}) > 1
    for found in shown(arm):
        colour, style = look[found.asked]
        _curve(ax, found, colour.light, style, name(found, both))
        draw_points(ax, pooled(found, most), colour.light, style)
    ax.axhline(arm.level, color=FAINT, lw=0.7, ls=(0, (2, 2)), zorder=1)
    tried = [tally.n for found in arm.thresholds for tally in found.tallies]
    if tried:
        ax.set_xlim(*padded(tried, 0.04))
    else:
        ax.text(0.5, 0.5, "no trials yet", transform=ax.transAxes, ha="center", color=FAINT)
    log_scale(ax.xaxis)
    rate_axis(ax)
    if tried:
        legend_below(ax, both)


def rate_axis(ax: Axes) -> None:
    """An upward axis of success rates, with room below for crosses."""
    ax.set_ylim(-0.09, 1.04)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    ax.set_ylabel("success rate")


def legend_below(ax: Axes, both: bool) -> None:
    """Names of curves under their panel; `both` says that they name d and k."""
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=LEGEND_COLUMNS if both else LEGEND_COLUMNS + 2,
        columnspacing=1.1,
        handlelength=1.4,
    )


def _curve(ax: Axes, found: FoundThreshold, colour: str, style: int, label: str) -> None:
    fit = band(found)
    if fit is None:
        return
    ax.fill_between(fit.n, fit.low, fit.high, color=colour, alpha=0.18, lw=0, zorder=2)
    ax.plot(fit.n, fit.median, color=colour, ls=DASHES[style], label=label, zorder=4)
    lost = [n for n, _ in gaps(found)]
    ax.plot(lost, [-0.055] * len(lost), marker="x", ms=3, mew=0.8, color=colour, ls="none")


def draw_points(ax: Axes, pools: Sequence[Rate], colour: str, style: int) -> None:
    """Observed rates with Wilson intervals; those of few trials are faint and have none."""
    barred = [one for one in pools if one.trials >= FEWEST_FOR_BAR]
    ends = [one.low for one in barred], [one.high for one in barred]
    dense = is_dense(8 * len(pools))  # several thresholds share a panel
    ax.vlines(
        [one.n for one in barred], *ends, color=colour, lw=0.8, zorder=3,
        alpha=0.6 if len(pools) <= 16 else 0.3,        rasterized=dense,
    )  # fmt: skip
    for several, alpha in ((True, 0.95), (False, 0.5)):
        drawn = [one for one in pools if (one.trials >= FEWEST_FOR_BAR) is several]
        ax.scatter(
            [one.n for one in drawn],
            [one.rate for one in drawn],
            s=[(1.0 + 0.9 * min(one.trials, MOST_WEIGHED) ** 0.5) ** 2 for one in drawn],
            marker=MARKERS[style],
            color=colour,
            edgecolors="white",
            linewidths=0.4,
            alpha=alpha,
            zorder=5,
            clip_on=False,
            rasterized=dense,
        )
