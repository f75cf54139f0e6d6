"""Where learning succeeds: every tried cell by success rate, with n_star, its band and theory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.inference.threshold import Asked
from orchestrator.report import words
from orchestrator.report.marks import THEORY_DASH
from orchestrator.report.pictures.canvas import (
    INK,
    is_dense,
    log_scale,
    padded,
    panels,
    provenance,
    thinned,
)
from orchestrator.report.pictures.threshold_mark import Name, draw_mark, name_lines
from orchestrator.report.series import (
    Letter,
    Line,
    gathered,
    letters,
    lines,
    mark,
    room,
    theory_name,
    theory_points,
)

THEORY = "#B0004B"
BAND = "#6b7280"


@dataclass(frozen=True)
class Plane:
    """Two axes of a phase diagram, as functions of what was asked."""

    name: str
    along: Letter
    across: str
    upward: str
    x: Callable[[Asked], float]
    divisor: Callable[[Asked], float]
    whole: bool = True
    """Whether x takes the integers asked, which then are the ticks."""

    def lines(self, arm: ArmAnswer) -> list[Line]:
        """The arm's thresholds as lines of this plane, in order of x."""
        return lines(arm, self.along)


def planes(answer: Answer) -> list[Plane]:
    """(d, n) and (k, n) where d and k vary; (k/d, n/d) where several d share a k/d."""
    varying, n = letters(answer), words.n_axis(answer.arms)
    chosen = []
    if "d" in varying:
        chosen.append(Plane("d_n", "d", "dimension d", n, lambda a: a.d, lambda a: 1.0))
    if "k" in varying:
        chosen.append(Plane("k_n", "k", "complexity k", n, lambda a: a.k, lambda a: 1.0))
    if len(varying) == 2 and _is_proportional(answer):
        chosen.append(
            Plane("kd_nd", "k", "k / d", "n / d", lambda a: a.k / a.d, lambda a: float(a.d), False)
        )
    return chosen


def _is_proportional(answer: Answer) -> bool:
    """Whether thresholds of different d would meet on the axis k/d."""
    asked = {(one.asked.d, one.asked.k) for arm in answer.arms for one in arm.thresholds}
    return len({round(k / d, 4) for d, k in asked}) < len(asked)


def draw(answer: Answer, plane: Plane) -> Figure:
    """One panel per arm, on common axes so that arms can be compared."""
    figure, axes = panels(answer.arms, height_in=3.0, share_x=True, share_y=True)
    seen: PathCollection | None = None
    names: list[tuple[Axes, list[Name]]] = []
    for ax, arm in zip(axes, answer.arms, strict=True):
        cells, here = _panel(ax, arm, plane, room(answer))
        seen, names = cells or seen, [*names, (ax, here)]
        ax.set_xlabel(plane.across)
        ax.set_ylabel(plane.upward)
    _axes(axes, answer, plane)
    for ax, here in names:
        name_lines(ax, here)
    if seen is not None:
        _rate_bar(figure, axes, seen)
        axes[0].legend(handles=_handles(answer), loc="upper left", borderaxespad=0.2)
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    provenance(
        figure,
        answer,
        f"Dashes: tried cells, wider with more trials. Line: n* at "
        f"{words.percent(answer.arms[0].level)} success with {level} band; "
        "arrows are one-sided bounds.",
    )
    return figure


def _handles(answer: Answer) -> list[Line2D]:
    handles = [Line2D([], [], color=INK, lw=1.3, marker="o", ms=3, label="n* measured")]
    if any(found.theory is not None for arm in answer.arms for found in arm.thresholds):
        handles.append(
            Line2D([], [], color=THEORY, lw=1.1, ls=THEORY_DASH, label=theory_name(answer.arms))
        )
    return handles


def _rate_bar(figure: Figure, axes: Sequence[Axes], seen: ScalarMappable) -> None:
    bar = figure.colorbar(seen, ax=list(axes), shrink=0.75, aspect=28, pad=0.01)
    bar.set_ticks([0, 0.5, 1], labels=["0", "50 %", "100 %"])
    bar.outline.set_visible(False)
    bar.set_label("success rate")


def _axes(axes: Sequence[Axes], answer: Answer, plane: Plane) -> None:
    thresholds = [found for arm in answer.arms for found in arm.thresholds]
    across = [plane.x(found.asked) for found in thresholds]
    upward = [value for found in thresholds for value in _heights(found, plane)]
    for ax in axes:
        if across:
            ax.set_xlim(*padded(across, 0.12))
        ax.set_ylim(*padded(upward or [1.0, 10.0], 0.05))
        whole = thinned([int(one) for one in across]) if plane.whole and across else None
        log_scale(ax.xaxis, whole)
        log_scale(ax.yaxis)


def _heights(found: FoundThreshold, plane: Plane) -> list[float]:
    scale = plane.divisor(found.asked)
    known = mark(found, scale)
    drawn = [known.value, known.low, known.high]
    if known.kind == "above" and known.low:
        drawn.append(known.low * 1.6)  # room for the arrow
    drawn += [None if found.theory is None else found.theory / scale]
    return [tally.n / scale for tally in found.tallies] + [one for one in drawn if one]


def _panel(
    ax: Axes, arm: ArmAnswer, plane: Plane, most: int
) -> tuple[PathCollection | None, list[Name]]:
    seen, names = _cells(ax, arm, plane, most), []
    several = len(plane.lines(arm)) > 1
    for line in plane.lines(arm):
        names += _threshold_line(ax, line, plane, several)
        x, y = theory_points(line.thresholds, plane.x, plane.divisor)
        ax.plot(x, y, color=THEORY, lw=1.1, ls=THEORY_DASH, zorder=6, marker="_", ms=5)
    return seen, names


def _cells(ax: Axes, arm: ArmAnswer, plane: Plane, most: int) -> PathCollection | None:
    cells = [
        (plane.x(found.asked), one.n / plane.divisor(found.asked), one.rate, one.trials)
        for found in arm.thresholds
        for one in gathered(found, most)
    ]
    if not cells:
        return None
    x, y, rate, trials = zip(*cells, strict=True)
    # Dashes, not squares: neighbouring n lie closer than a square is tall.
    return ax.scatter(
        x,
        y,
        c=rate,
        s=[22 * count**0.8 for count in trials],
        cmap="cividis",
        vmin=0,
        vmax=1,
        marker="_",
        linewidths=1.5,
        zorder=3,
        rasterized=is_dense(len(cells)),
    )


def _threshold_line(ax: Axes, line: Line, plane: Plane, several: bool) -> list[Name]:
    marks = [(plane.x(f.asked), mark(f, plane.divisor(f.asked))) for f in line.thresholds]
    solid = [(x, m) for x, m in marks if m.value and m.low and m.high]
    at = [x for x, _ in solid]
    if solid:
        ends = [m.low or 0 for _, m in solid], [m.high or 0 for _, m in solid]
        ax.fill_between(at, *ends, color=BAND, alpha=0.35, lw=0, zorder=4)
        ax.plot(at, [m.value or 0 for _, m in solid], color="white", lw=2.6, zorder=4.5)
        ax.plot(at, [m.value or 0 for _, m in solid], color=INK, lw=1.3, zorder=5)
    for x, one in marks:
        draw_mark(ax, x, one, INK, "o")
    if not (several and solid):
        return []
    return [Name(at[-1], solid[-1][1].value or 0, line.name, INK)]
