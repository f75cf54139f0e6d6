"""A threshold as a mark with its interval, the same in every picture."""

from matplotlib.axes import Axes

from orchestrator.report.series import Mark


def draw_mark(
    ax: Axes, x: float, one: Mark, colour: str, marker: str, size: float = 4.0, zorder: float = 7
) -> None:
    """A point with its bar; hollow where it is not settled; an arrow where only a bound is known.

    A threshold of which nothing is known is a question mark at the lower edge of the panel, so
    that it cannot be overlooked.
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
        ax.text(
            x,
            0.015,
            "?",
            transform=ax.get_xaxis_transform(),
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
