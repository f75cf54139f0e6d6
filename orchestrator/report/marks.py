"""Colours, markers and dashes: one look per arm and per threshold, in print and on screen.

Arms wear the colours of Okabe and Ito, "Color Universal Design" (2008), which stay apart under the
common kinds of colour blindness; markers tell them apart again in grey. Ordered things (d, k,
rounds, rates) wear viridis or cividis, whose lightness follows the order.
"""

from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.colors import to_hex

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00")
"""Seven of the eight, most distinct first; yellow is too faint for lines on white, so a dark olive
stands in, and black is kept for axes and theory."""

ON_DARK = ("#4FA8E0", "#FF8A4C", "#2CC295", "#E3A0C6", "#F0B93A", "#8CCBF2", "#C8D96F")
"""The same hues, lighter, for a dark page."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
)
THEORY_DASH = (0.0, (4.0, 2.5))


@dataclass(frozen=True)
class Colour:
    """One colour of a series: as printed on white, and as shown on a dark page."""

    light: str
    dark: str


@dataclass(frozen=True)
class Look:
    """How an arm looks."""

    colour: Colour
    marker: str


def look(arm: int) -> Look:
    """The look of arm number `arm`; the pair of colour and marker repeats after 49 arms."""
    hue = arm % len(OKABE_ITO)
    turn = arm // len(OKABE_ITO)
    return Look(Colour(OKABE_ITO[hue], ON_DARK[hue]), MARKERS[(hue + turn) % len(MARKERS)])


def shades(number: int, scale: Literal["viridis", "cividis", "plasma"] = "viridis") -> list[Colour]:
    """`number` colours in order, dark enough for white and light enough for a dark page."""
    chosen = matplotlib.colormaps[scale]

    def at(share: float, low: float, high: float) -> str:
        return to_hex(chosen(low + share * (high - low)))

    steps = [index / max(number - 1, 1) for index in range(number)]
    return [Colour(at(step, 0.02, 0.80), at(step, 0.35, 0.98)) for step in steps]


def scales(name: Literal["viridis", "cividis", "plasma"]) -> dict[str, list[tuple[float, str]]]:
    """A continuous scale for a light page and one, without its darkest part, for a dark page."""
    stops = [index / 8 for index in range(9)]
    chosen = shades(len(stops), name)
    return {
        "light": [(stop, one.light) for stop, one in zip(stops, chosen, strict=True)],
        "dark": [(stop, one.dark) for stop, one in zip(stops, chosen, strict=True)],
    }
