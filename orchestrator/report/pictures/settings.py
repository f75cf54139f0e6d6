"""Settings of tuned learners on parallel axes: one line per setting tried, ending at its n_star."""

import math

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from orchestrator.answer import Answer
from orchestrator.report import words
from orchestrator.report.pictures.canvas import FAINT, INK, PAGE_IN, provenance, shortened
from orchestrator.report.series import Dimension, Tried, dimensions, tried

PAPER = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
WORST = 4.0
"""Times the best n_star from which lines look no worse. Chosen by hand."""


def draw(answer: Answer) -> Figure | None:
    """One panel per tuned arm, below each other; None where nothing was tuned."""
    arms = [(arm, tried(arm)) for arm in answer.arms if tried(arm)]
    if not arms:
        return None
    figure = Figure(figsize=(PAGE_IN, 2.7 * len(arms) + 0.45), layout="constrained")
    axes = list(figure.subplots(len(arms), 1, squeeze=False).flat)
    scale = ScalarMappable(LogNorm(1, WORST), "viridis")
    for ax, (arm, lines) in zip(axes, arms, strict=True):
        ax.set_title(shortened(arm.label, 90))
        _panel(ax, lines, scale)
    bar = figure.colorbar(scale, ax=axes, shrink=0.8, aspect=28, pad=0.01)
    bar.ax.yaxis.set_major_locator(FixedLocator([1, 1.5, 2, 3, WORST]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.set_yticklabels(["best", "× 1.5", "× 2", "× 3", f"× {WORST:g}"])
    bar.outline.set_visible(False)
    bar.set_label("n* over the best there")
    provenance(figure, answer, *(said(lines) for _, lines in arms[:1]))
    return figure


def said(lines: list[Tried]) -> str:
    """What the lines are, and how many trials they stand for."""
    trials = sum(one.threshold.trials for one in lines)
    return (
        f"One line per setting at one d and k ({len(lines)} lines, "
        f"{words.count(trials, 'trial')}), coloured by its n* over that of the best setting there; "
        "thick: chosen. Dashed grey: n* not known."
    )


def shade(ratio: float) -> float:
    """Where on the scale of colours a ratio to the best lies, from 0 to 1."""
    return min(math.log(ratio) / math.log(WORST), 1.0)


def _panel(ax: Axes, lines: list[Tried], scale: ScalarMappable) -> None:
    axes, viridis = dimensions(lines), scale.get_cmap()
    for index, one in enumerate(lines):
        heights = [axis.places[index] for axis in axes]
        known = one.ratio is not None
        ax.plot(
            range(len(axes)), heights,
            color=viridis(shade(one.ratio)) if one.ratio is not None else FAINT,
            lw=2.2 if one.chosen else 0.8, ls="-" if known else (0, (3, 2)),
            alpha=0.95 if one.chosen else 0.75, zorder=4 if one.chosen else 3,
        )  # fmt: skip
    for place, axis in enumerate(axes):
        _axis(ax, place, axis, last=place == len(axes) - 1)
    ax.set_xticks(range(len(axes)), [shortened(axis.name, 18, 2) for axis in axes])
    ax.set_xlim(-0.25, len(axes) - 1 + 0.35)
    ax.set_ylim(-0.08, 1.2)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.tick_params(axis="x", length=0, labelsize=7.5)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _axis(ax: Axes, place: int, axis: Dimension, last: bool) -> None:
    ax.plot([place] * 2, [0, 1], color=INK, lw=0.7, zorder=5)
    for height, label in axis.ticks:
        ax.annotate(
            shortened(label, 14, 1), (place, height), xytext=(4 if last else -4, 0),
            textcoords="offset points", ha="left" if last else "right", va="center", fontsize=6.4,
            zorder=6, bbox=PAPER,
        )  # fmt: skip
        ax.plot(place, height, marker="_", ms=4, color=INK, mew=0.7, zorder=5)
