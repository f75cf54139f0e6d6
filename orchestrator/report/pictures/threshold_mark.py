"""A threshold as a mark with its interval, the same in every picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from orchestrator.report.series import Mark


def draw_mark(
    ax: Axes,
    x: float,
    one: Mark,
    colour: str,
    marker: str,
    size: float = 4.0,
    zorder: float = 7,
    shift: float = 0.0,
) -> None:
    """A point with its bar; hollow where it is not settled; an arrow where only a bound is known.

    A threshold of which nothing is known is a question mark at the lower edge of the panel, so
    that it cannot be overlooked; `shift`, in points, keeps those of several arms apart.
    """
    if one.low is not None and one.high is not None:
        ax.plot(
            [x, x], [one.low, one.high], color=colour, lw=1.1, zorder=zorder, solid_capstyle="butt"
        )
    if one.value is not None:
        face = colour if one.settled else "white"
        ax.plot(
            x,
            one.value,
            marker=marker,
            ms=size,
            mfc=face,
            mec=colour,
            mew=0.9,
            ls="none",
            zorder=zorder,
        )
    elif one.kind in ("above", "below"):
        _arrow(ax, x, one, colour, zorder)
    elif one.kind == "unknown":
        ax.annotate(
            "?",
            (x, 0.015),
            xycoords=ax.get_xaxis_transform(),
            xytext=(shift, 0),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=colour,
            fontweight="bold",
            zorder=zorder,
        )


def _arrow(ax: Axes, x: float, one: Mark, colour: str, zorder: float) -> None:
    upward = one.kind == "above"
    from_n = (one.low if upward else one.high) or 0.0
    ax.annotate(
        "",
        xy=(x, from_n),
        xytext=(0, 14 if upward else -14),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<|-", "color": colour, "lw": 1.1, "shrinkA": 0, "shrinkB": 0},
        zorder=zorder,
        annotation_clip=False,
    )
    ax.plot(x, from_n, marker="_", ms=6, color=colour, mew=1.1, ls="none", zorder=zorder)


@dataclass(frozen=True)
class Name:
    """What to write beside the end of a line at (x, y)."""

    x: float
    y: float
    text: str
    colour: str


def name_lines(ax: Axes, names: Sequence[Name], gap: float = 0.05) -> None:
    """Write names beside the ends of lines; those that would meet move apart."""
    upward = ax.transData + ax.transAxes.inverted()
    for x in sorted({name.x for name in names}):
        here = sorted((name for name in names if name.x == x), key=lambda name: name.y)
        heights = [float(upward.transform((x, name.y))[1]) for name in here]
        for name, height in zip(here, apart(heights, gap), strict=True):
            ax.annotate(
                name.text,
                (x, height),
                xycoords=ax.get_xaxis_transform(),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.4,
                color=name.colour,
                annotation_clip=False,
            )


def apart(heights: Sequence[float], gap: float, top: float = 1.0) -> list[float]:
    """Ascending heights moved as little as needed to be `gap` apart and at most `top`."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    # The mean shift is taken back, so that a crowd stays centred on where it belongs.
    drift = sum(a - b for a, b in zip(placed, heights, strict=True)) / max(len(placed), 1)
    placed = [height - drift for height in placed]
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], top)
        top = placed[index] - gap
    return placed
