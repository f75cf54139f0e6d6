"""The paper: sizes, fonts, log axes, the line of provenance, and files without a clock."""

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.report.words import count, power_of_ten

COLUMN_IN = 3.5
PAGE_IN = 7.1
"""Widths in inches of one and of two columns, as Science, Nature and PNAS print them (rounded)."""

INK = "#1b1f24"
FAINT = "#8a9099"
GRID = "#e4e7eb"

SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a name such as cost$_a$ is a name, not mathematics
    "legend.fontsize": 6.8,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
    "pdf.fonttype": 42,
    "svg.hashsalt": "phasefront",
}

Suffix = Literal["png", "pdf", "svg"]


@contextmanager
def drawn(answer: Answer, draw: Callable[[Answer], Figure | None]) -> Iterator[Figure | None]:
    """The drawn figure, with our settings in force until it has been encoded."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # A name in a script the font lacks is drawn as boxes; the page shows it as it is.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield draw(answer)


def encoded(figure: Figure, suffix: str, answer: Answer, name: str, dpi: int = 220) -> bytes:
    """The figure as a file's bytes: equal for equal figures, and naming the sweep it came from."""
    title = f"{name} of sweep {answer.sweep} ({answer.name})"
    about: dict[str, dict[str, Any]] = {
        "png": {"Title": title, "Software": None},
        "pdf": {"Title": title, "CreationDate": None, "Producer": None, "Creator": None},
        "svg": {"Title": title, "Date": None, "Creator": None},
    }
    file = io.BytesIO()
    figure.savefig(file, format=suffix, dpi=dpi, metadata=about[suffix])
    figure.set_layout_engine("none")  # it is laid out: half of the time of the next format
    return file.getvalue()


def as_files(figure: Figure, answer: Answer, name: str) -> dict[str, bytes]:
    """The figure as PNG and PDF, by relative path."""
    return {
        f"figures/{name}.{suffix}": encoded(figure, suffix, answer, name)
        for suffix in ("png", "pdf")
    }


def panels(
    arms: Sequence[ArmAnswer],
    *,
    height_in: float = 2.9,
    share_x: bool = False,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """One panel per arm, two to a row, titled with the arm's label."""
    columns = 1 if len(arms) == 1 else 2
    rows = math.ceil(len(arms) / columns)
    width = PAGE_IN if columns == 2 else 1.35 * COLUMN_IN
    figure = Figure(figsize=(width, height_in * rows + 0.45), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y)
    axes = list(grid.flat)
    for spare in axes[len(arms) :]:
        spare.remove()
    for ax, arm in zip(axes, arms, strict=False):
        ax.set_title(shortened(arm.label, 44 if columns == 2 else 54))
    return figure, axes[: len(arms)]


def shortened(text: str, width: int, lines: int = 3) -> str:
    """`text` on at most `lines` lines of `width` characters; … says that something is left out."""
    wrapped = textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False) or [""]
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], wrapped[lines - 1][: width - 1] + "…"]
    return "\n".join(wrapped)


LEGEND_LINE_IN = 0.16
"""Height of a line of a legend, inches: 6.8 points of type with their leading (measured)."""


def legend_in(labels: Sequence[str]) -> float:
    """Height in inches that a legend of one column takes."""
    return LEGEND_LINE_IN * sum(1 + label.count("\n") for label in labels)


def provenance(figure: Figure, answer: Answer, *notes: str) -> None:
    """Write under the figure its notes, its sweep, what counts as success, how much was tried."""
    facts = (
        f"{answer.name} · sweep {answer.sweep} · success: {answer.criterion} · "
        f"{count(answer.finished_trials, 'trial')}, {count(answer.gaps, 'gap')}"
    )
    width = int(figure.get_figwidth() * 23.5)
    lines = [line for part in (*notes, facts) if part for line in textwrap.wrap(part, width)]
    figure.supxlabel(
        "\n".join(lines), x=0.012, ha="left", fontsize=6, color="#596069", linespacing=1.4
    )


def log_scale(axis: Axis, values: Sequence[float] | None = None, most: int = 7) -> None:
    """A log axis labelled in powers of ten, or with the `values` themselves where given."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    low, high = sorted(axis.get_view_interval())
    ticks = Ticks(list(values), [plain(one) for one in values]) if values else None
    ticks = ticks or log_ticks(low, high, most)
    axis.set_major_locator(FixedLocator(ticks.at))
    axis.set_major_formatter(FixedFormatter(ticks.labels))
    axis.set_minor_locator(FixedLocator(ticks.between) if ticks.between else NullLocator())
    axis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True)
class Ticks:
    """Ticks of an axis with their labels, and bare ones between them."""

    at: list[float]
    labels: list[str]
    between: list[float] = field(default_factory=list)


def log_ticks(low: float, high: float, most: int = 7) -> Ticks:
    """Powers of ten with their multiples as bare ticks; round numbers where fewer than two fit."""
    low, high = max(low, 1e-12), max(high, 2e-12)
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if len(exponents) < 2:
        at = nice_ticks(low, high, most)
        return Ticks(at, [plain(one) for one in at])
    chosen = exponents[:: math.ceil(len(exponents) / most)]
    labels = [power_of_ten(one) for one in chosen]
    decades = range(exponents[0] - 1, exponents[-1] + 1) if chosen == exponents else ()
    between = [step * 10.0**one for one in decades for step in range(2, 10)]
    return Ticks(
        [10.0**one for one in chosen], labels, [one for one in between if low <= one <= high]
    )


def plain(value: float) -> str:
    """A tick's label: 10, 1 500, 0.25."""
    return f"{value:,.12g}".replace(",", "\u202f").replace("-", "−")


def is_dense(marks: int) -> bool:
    """Whether so many marks are smaller as pixels, in PDF and SVG, than as shapes."""
    return marks > MOST_SHAPES


MOST_SHAPES = 400
"""Marks drawn as shapes: about 100 bytes each (measured), beside some 40 kB for pixels."""


def thinned(values: Sequence[int], most: int = 9) -> list[float]:
    """The values themselves as ticks, those too close on a log axis left out."""
    kept: list[float] = []
    ordered = sorted(set(values))
    span = math.log(ordered[-1] / ordered[0]) if len(ordered) > 1 else 1.0
    for value in ordered:
        if not kept or math.log(value / kept[-1]) >= span / most:
            kept.append(float(value))
    return kept


def nice_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """At most `most` round numbers from `low` to `high`, about evenly spaced in the logarithm."""
    low, high = max(low, 1e-12), max(high, 2e-12)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: Sequence[Sequence[float]] = (
        (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
        (1, 1.5, 2, 3, 4, 5, 6, 8),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 5),
        (1, 3),
        (1,),
    )
    for step in steps:
        ticks = [
            s * 10.0**power for power in decades for s in step if low <= s * 10.0**power <= high
        ]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Limits of a log axis around `values`, with room on both sides."""
    low, high = min(values), max(values)
    room = (high / low) ** share if high > low else 1.5
    return low / room, high * room
