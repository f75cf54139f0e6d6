"""Success against n: what was tried, with intervals, and the fitted curves with their bands."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked
from orchestrator.report import words
from orchestrator.report.marks import DASHES, MARKERS, Colour, shades
from orchestrator.report.pictures.canvas import (
    FAINT,
    LEGEND_LINE_IN,
    padded,
    panels,
    plain_log,
    provenance,
)
from orchestrator.report.series import FEWEST_FOR_BAR, band, gaps, letters, lines, pooled

LEGEND_COLUMNS = 3


def draw(answer: Answer) -> Figure:
    """One panel per arm; colour follows d (or k), dashes and markers follow k where both vary."""
    most = max((len(arm.thresholds) for arm in answer.arms), default=1)
    height_in = 2.6 + LEGEND_LINE_IN * math.ceil(most / LEGEND_COLUMNS)
    figure, axes = panels(answer.arms, height_in=height_in)
    for ax, arm in zip(axes, answer.arms, strict=True):
        _panel(ax, arm, looks(answer, arm))
        ax.set_xlabel(words.n_axis([arm]))
        ax.set_ylabel("success rate")
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    provenance(
        figure,
        answer,
        f"Points: observed rates, neighbouring n pooled, larger with more trials; bars: {level} "
        f"Wilson intervals from {FEWEST_FOR_BAR} trials on. Curves: posterior median with {level} "
        "band. Crosses below: n with gaps.",
    )
    return figure


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
    """A threshold's name in a legend."""
    asked = found.asked
    return f"d = {asked.d}, k = {asked.k}" if both else f"d = {asked.d}"


def _panel(ax: Axes, arm: ArmAnswer, look: dict[Asked, tuple[Colour, int]]) -> None:
    both = len({found.asked.k for found in arm.thresholds}) > 1
    for found in arm.thresholds:
        colour, style = look[found.asked]
        _curve(ax, found, colour.light, style, name(found, both))
        _points(ax, found, colour.light, style)
    ax.axhline(arm.level, color=FAINT, lw=0.7, ls=(0, (2, 2)), zorder=1)
    tried = [tally.n for found in arm.thresholds for tally in found.tallies]
    if tried:
        ax.set_xlim(*padded(tried, 0.04))
    else:
        ax.text(0.5, 0.5, "no trials yet", transform=ax.transAxes, ha="center", color=FAINT)
    plain_log(ax.xaxis)
    ax.set_ylim(-0.09, 1.04)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    if tried:
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


def _points(ax: Axes, found: FoundThreshold, colour: str, style: int) -> None:
    pools = pooled(found)
    barred = [one for one in pools if one.trials >= FEWEST_FOR_BAR]
    ends = [one.low for one in barred], [one.high for one in barred]
    ax.vlines([one.n for one in barred], *ends, color=colour, lw=0.8, alpha=0.6, zorder=3)
    for several, alpha in ((True, 0.95), (False, 0.5)):
        drawn = [one for one in pools if (one.trials >= FEWEST_FOR_BAR) is several]
        ax.scatter(
            [one.n for one in drawn],
            [one.rate for one in drawn],
            s=[(1.0 + 0.9 * one.trials**0.5) ** 2 for one in drawn],
            marker=MARKERS[style],
            color=colour,
            edgecolors="white",
            linewidths=0.4,
            alpha=alpha,
            zorder=5,
            clip_on=False,
        )
