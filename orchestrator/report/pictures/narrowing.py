"""How intervals narrowed as trials came in."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.report import words
from orchestrator.report.marks import DASHES, MARKERS
from orchestrator.report.pictures.canvas import (
    FAINT,
    log_scale,
    padded,
    panels,
    provenance,
)
from orchestrator.report.pictures.success_curves import left_out, legend_below, looks, name
from orchestrator.report.series import Shrinking, shrinking

AXIS = "half width of interval / n*"


def draw(answer: Answer) -> Figure | None:
    """One panel per arm; None where no interval is known at two moments."""
    groups = [shrinking(answer, index) for index in range(len(answer.arms))]
    together = [one for group in groups for one in group]
    if not together:
        return None
    figure, axes = panels(answer.arms, height_in=3.0)
    across, upward = limits(together, tolerance(answer))
    for ax, arm, group in zip(axes, answer.arms, groups, strict=True):
        ax.set_xlim(*across)
        ax.set_ylim(*upward)
        _panel(ax, answer, arm, group)
        ax.set_xlabel("trials at this d and k")
        ax.set_ylabel(AXIS)
    provenance(figure, answer, *said(answer), *left_out(answer))
    return figure


def tolerance(answer: Answer) -> float | None:
    """The half width that the search was asked for, where it was asked for one."""
    search = answer.search
    sought = search is not None and search.kind == "threshold" and search.aim == "thresholds"
    return search.tolerance if search is not None and sought else None


def limits(
    drawn: Iterable[Shrinking], aim: float | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes, the same for every arm."""
    across = [float(count) for one in drawn for count in one.trials]
    upward = [width for one in drawn for width in one.widths]
    return padded(across), padded([*upward, *([aim] if aim else [])])


def said(answer: Answer) -> list[str]:
    """What the lines are."""
    level = words.percent(words.confidence(answer.arms[0]))
    aim = tolerance(answer)
    dashed = f" Dashed: the tolerance asked for, {words.percent(aim)}." if aim else ""
    return [
        f"Half the width of the {level} interval of n* over n*, judged from the trials of the "
        f"first rounds alone, at a few rounds. Dotted: 1 / √trials.{dashed}"
    ]


def guide(one: Shrinking) -> tuple[list[float], list[float]]:
    """From the middle of a line, how far 1 / sqrt(trials) would bring it."""
    first, last = float(one.trials[0]), float(one.trials[-1])
    width = one.widths[-1]
    return [first, last], [width * (last / first) ** 0.5, width]


def _panel(ax: Axes, answer: Answer, arm: ArmAnswer, group: list[Shrinking]) -> None:
    chosen, both = looks(answer, arm), len({one.asked.k for one in arm.thresholds}) > 1
    for one in group:
        colour, style = chosen[one.found.asked]
        ax.plot(
            one.trials, one.widths, color=colour.light, ls=DASHES[style], lw=1, ms=2.6,
            marker=MARKERS[style], label=name(one.found, both), zorder=4,
        )  # fmt: skip
    if group:
        longest = max(group, key=lambda one: one.trials[-1] / one.trials[0])
        ax.plot(*guide(longest), color=FAINT, lw=0.9, ls=(0, (1, 1.6)), zorder=2)
        legend_below(ax, both)
    else:
        ax.text(0.5, 0.5, "no interval known", transform=ax.transAxes, ha="center", color=FAINT)
    aim = tolerance(answer)
    if aim:
        ax.axhline(aim, color=FAINT, lw=0.8, ls=(0, (4, 2.5)), zorder=1)
    log_scale(ax.xaxis)
    log_scale(ax.yaxis)
