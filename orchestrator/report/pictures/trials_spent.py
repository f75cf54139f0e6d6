"""Where trials were spent: for each threshold, which n were tried in which round."""

from collections import Counter

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.report import words
from orchestrator.report.marks import shades
from orchestrator.report.pictures.canvas import (
    FAINT,
    GRID,
    INK,
    padded,
    panels,
    plain_log,
    provenance,
)
from orchestrator.report.series import mark

Spent = dict[tuple[int, int, int, int], Counter[int]]
"""Trials by (arm, d, k, n), counted by round."""


def draw(answer: Answer) -> Figure:
    """One panel per arm, one strip per threshold; within a strip rounds run from top to bottom."""
    tallest = max((len(arm.thresholds) for arm in answer.arms), default=1)
    figure, axes = panels(answer.arms, height_in=0.8 + 0.32 * tallest)
    spent = by_round(answer)
    rounds = 1 + max((number for counts in spent.values() for number in counts), default=0)
    colours = [one.light for one in shades(rounds, "plasma")]
    for index, (ax, arm) in enumerate(zip(axes, answer.arms, strict=True)):
        _panel(ax, arm, index, spent, colours)
        ax.set_xlabel(words.n_axis([arm]))
    if rounds > 1:
        _round_bar(figure, axes, colours)
    provenance(
        figure,
        answer,
        "Dots: trials at one n in one round, larger with more; later rounds lie lower in a strip. "
        "Bars: n* with its interval. Right: trials, and gaps where there are any.",
    )
    return figure


def by_round(answer: Answer) -> Spent:
    """Trials from the rows; without rows from the tallies, as one round."""
    spent: Spent = {}
    for row in answer.rows:
        at = (row.arm, row.point.d, row.point.k, row.point.n)
        spent.setdefault(at, Counter())[row.round] += 1
    if spent:
        return spent
    return {
        (index, tally.d, tally.k, tally.n): Counter({0: tally.trials + tally.gaps})
        for index, arm in enumerate(answer.arms)
        for found in arm.thresholds
        for tally in found.tallies
    }


def _panel(ax: Axes, arm: ArmAnswer, index: int, spent: Spent, colours: list[str]) -> None:
    tried = [n for (one, *_, n) in spent if one == index]
    both = len({found.asked.k for found in arm.thresholds}) > 1
    for row, found in enumerate(arm.thresholds):
        if row % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color="#f5f6f8", lw=0, zorder=0)
        _strip(ax, index, row, found, spent, colours)
    names = [
        f"d {f.asked.d}, k {f.asked.k}" if both else f"d = {f.asked.d}" for f in arm.thresholds
    ]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID)
    if tried:
        ax.set_xlim(*padded(tried, 0.06))
    plain_log(ax.xaxis)


def _strip(
    ax: Axes, index: int, row: int, found: FoundThreshold, spent: Spent, colours: list[str]
) -> None:
    asked = found.asked
    dots = [
        (n, number, trials)
        for (arm, d, k, n), rounds in spent.items()
        if (arm, d, k) == (index, asked.d, asked.k)
        for number, trials in rounds.items()
    ]
    ax.scatter(
        [n for n, *_ in dots],
        [row + 0.36 * (2 * number / max(len(colours) - 1, 1) - 1) for _, number, _ in dots],
        s=[5 + 3.2 * trials for *_, trials in dots],
        c=[colours[number] for _, number, _ in dots],
        alpha=0.85,
        lw=0,
        zorder=3,
    )
    one = mark(found)
    if one.low is not None and one.high is not None:
        ax.fill_betweenx([row - 0.46, row + 0.46], one.low, one.high, color=FAINT, alpha=0.3, lw=0)
    if one.value is not None:
        ax.plot([one.value] * 2, [row - 0.46, row + 0.46], color=INK, lw=1, zorder=2)
    ax.text(
        1.01, row, _counts(found), transform=ax.get_yaxis_transform(), va="center", fontsize=6.2
    )


def _counts(found: FoundThreshold) -> str:
    lost = found.threshold.gaps
    return f"{found.threshold.trials}" + (f"\n+{words.count(lost, 'gap')}" if lost else "")


def _round_bar(figure: Figure, axes: list[Axes], colours: list[str]) -> None:
    scale = ScalarMappable(Normalize(-0.5, len(colours) - 0.5), ListedColormap(colours))
    bar = figure.colorbar(scale, ax=axes, shrink=0.8, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_ticks([0, len(colours) - 1], labels=["first", "last"])
    bar.ax.invert_yaxis()
    bar.set_label("round")
