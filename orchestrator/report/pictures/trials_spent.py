"""Where trials were spent: for each threshold, which n were tried in which round."""

from collections.abc import Mapping

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
    is_dense,
    log_scale,
    padded,
    panels,
    provenance,
)
from orchestrator.report.pictures.success_curves import left_out
from orchestrator.report.series import Cell, Dot, heaviest, last_round, mark, shown, spent


def draw(answer: Answer) -> Figure:
    """One panel per arm, one strip per threshold; within a strip rounds run from top to bottom."""
    tallest = max((len(shown(arm)) for arm in answer.arms), default=1)
    figure, axes = panels(answer.arms, height_in=0.8 + 0.32 * tallest)
    rounds = 1 + last_round(answer)
    colours = [one.light for one in shades(min(rounds, 256), "plasma")]
    for index, (ax, arm) in enumerate(zip(axes, answer.arms, strict=True)):
        _panel(ax, arm, spent(answer, index), rounds, colours)
        ax.set_xlabel(words.n_axis([arm]))
    if rounds > 1:
        _round_bar(figure, axes, colours)
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    provenance(
        figure,
        answer,
        "Dots: trials at one n in one round, larger with more; later rounds lie lower in a strip. "
        f"Bars: n* with its {level} interval. Right: trials, and gaps where there are any. "
        "Where dots would be too many, neighbours are drawn as one.",
        *left_out(answer),
    )
    return figure


def _panel(
    ax: Axes, arm: ArmAnswer, dots: Mapping[Cell, list[Dot]], rounds: int, colours: list[str]
) -> None:
    drawn = shown(arm)
    both = len({found.asked.k for found in arm.thresholds}) > 1
    for row, found in enumerate(drawn):
        if row % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color="#f5f6f8", lw=0, zorder=0)
        own = dots.get((found.asked.d, found.asked.k), [])
        _strip(ax, row, found, own, heaviest(dots), rounds, colours)
    names = [f"d {f.asked.d}, k {f.asked.k}" if both else f"d = {f.asked.d}" for f in drawn]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID)
    tried = [dot.n for own in dots.values() for dot in own]
    if tried:
        ax.set_xlim(*padded(tried, 0.06))
    log_scale(ax.xaxis)


def _strip(
    ax: Axes,
    row: int,
    found: FoundThreshold,
    dots: list[Dot],
    top: int,
    rounds: int,
    colours: list[str],
) -> None:
    share = [dot.round / max(rounds - 1, 1) for dot in dots]
    ax.scatter(
        [dot.n for dot in dots],
        [row + 0.36 * (2 * at - 1) for at in share],
        s=[4 + 42 * dot.trials / top for dot in dots],
        c=[colours[round(at * (len(colours) - 1))] for at in share],
        alpha=0.85,
        lw=0,
        zorder=3,
        rasterized=is_dense(8 * len(dots)),  # several strips share a panel
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
