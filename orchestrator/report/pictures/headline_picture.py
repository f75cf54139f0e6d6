"""The answer at a glance, for a README: thresholds, laws and theory, and the ratio of two arms."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from orchestrator.answer import Answer, ArmAnswer
from orchestrator.report import words
from orchestrator.report.marks import THEORY_DASH, look
from orchestrator.report.pictures.canvas import FAINT, INK, shortened
from orchestrator.report.pictures.law import AXIS, draw_laws, legend_words
from orchestrator.report.pictures.threshold_mark import apart
from orchestrator.report.series import Letter, letters, lines, mark, theory_name

SIZE_IN = (7.2, 4.05)
"""16:9; at 220 dpi this is 1584 pixels wide, twice the width at which a README shows it."""


def draw(answer: Answer) -> Figure:
    """Thresholds of all arms against d (or k), named beside their lines."""
    along = letters(answer)[0]
    figure = Figure(figsize=SIZE_IN, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    question = answer.question or answer.name
    long = len(question) > 120
    title = shortened(question, 78 if long else 66)
    figure.suptitle(
        title,
        x=0.02,
        ha="left",
        fontsize=9.5 if long else 11,
        fontweight="bold",
    )
    ax = figure.subplots()
    draw_laws(ax, answer, along, size=6)
    ax.set_xlabel(AXIS[along], fontsize=9)
    ax.set_ylabel(words.n_star_axis(answer.arms), fontsize=9)
    ax.tick_params(labelsize=8.5)
    _names(ax, answer, along)
    _ratio(ax, answer, along)
    _key(ax, answer)
    return figure


def _names(ax: Axes, answer: Answer, along: Letter) -> None:
    """Each arm's name and law, right of its last threshold; names that would meet move apart."""
    low, high = (math.log(end) for end in ax.get_ylim())
    # Names of lines stand in between where an arm has several.
    x = 1.13 if any(len(lines(arm, along)) > 1 for arm in answer.arms) else 1.02
    wanted = []
    for index, arm in enumerate(answer.arms):
        last = _last_known(arm, along)
        wanted.append(((math.log(last) - low) / (high - low) if last else 0.1, index))
    heights = apart([height for height, _ in sorted(wanted)], 0.2, top=0.93)
    for height, (_, index) in zip(heights, sorted(wanted), strict=True):
        arm, colour = answer.arms[index], look(index).colour.light
        name, law = words.short_names(answer.arms)[index], _law(answer, arm)
        # The interval stands on a line of its own: breaking inside of it reads badly.
        text = "\n".join(shortened(part, 30) for part in law.replace(" (", "\n(").split("\n"))
        ax.annotate(
            shortened(name, 22),
            (x, height),
            xycoords="axes fraction",
            color=colour,
            fontsize=10,
            fontweight="bold",
            va="bottom",
        )
        ax.annotate(
            text,
            (x, height - 0.012),
            xycoords="axes fraction",
            color=INK,
            fontsize=7.6,
            va="top",
        )


def _law(answer: Answer, arm: ArmAnswer) -> str:
    """The arm's law; apparent powers where arms prefer different families."""
    families = {one.law.family for one in answer.arms if one.law}
    if len(families) < 2 or arm.power is None:
        return legend_words(arm)
    return f"looks like {words.powers(arm.power)}"


def _last_known(arm: ArmAnswer, along: Letter) -> float | None:
    known = [mark(found) for line in lines(arm, along) for found in line.thresholds]
    heights = [one.value or one.low or one.high for one in known if one.kind != "unknown"]
    values = [one.value for one in known if one.value]
    return values[-1] if values else heights[-1] if heights else None


def _ratio(ax: Axes, answer: Answer, along: Letter) -> None:
    """An arrow between the two arms of the first comparison, where it reaches farthest."""
    ratios = answer.comparisons[0].ratios if answer.comparisons else ()
    if not ratios:
        return
    d, k, ratio, low, high = max(ratios, key=lambda row: row[0 if along == "d" else 1])
    pair = answer.comparisons[0]
    first, second = (_at(answer, arm, d, k) for arm in (pair.first, pair.second))
    if first is None or second is None:
        return
    if ratio < 1:
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    x = d if along == "d" else k
    left, right = ax.get_xlim()
    if x * (right / left) ** 0.2 > right:  # room for the words
        ax.set_xlim(left, x * (x / left) ** 0.25)
    middle = math.sqrt(first * second)
    ax.annotate(
        "",
        xy=(x, min(first, second) * 1.07),
        xytext=(x, max(first, second) / 1.07),
        arrowprops={"arrowstyle": "<->", "color": FAINT, "lw": 1, "shrinkA": 3, "shrinkB": 3},
    )
    ax.annotate(
        f"×{words.number(ratio, 2)}\n({words.between(low, high, 2)})",
        (x, middle),
        xytext=(6, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=9,
        linespacing=1.3,
        zorder=6,
    )


def _at(answer: Answer, arm: int, d: int, k: int) -> float | None:
    return next(
        (
            found.threshold.n_star
            for found in answer.arms[arm].thresholds
            if (found.asked.d, found.asked.k) == (d, k)
        ),
        None,
    )


def _key(ax: Axes, answer: Answer) -> None:
    level = words.percent(words.confidence(answer.arms[0])) if answer.arms else ""
    handles = [
        Line2D([], [], color=INK, marker="o", ms=5, ls="none", label=f"measured, {level} interval"),
        Line2D([], [], color=INK, lw=1.3, label="fitted law"),
    ]
    if any(found.theory is not None for arm in answer.arms for found in arm.thresholds):
        handles.append(
            Line2D([], [], color=INK, lw=0.9, ls=THEORY_DASH, label=theory_name(answer.arms))
        )
    ax.legend(handles=handles, loc="upper left", fontsize=8)
    ax.figure.supxlabel(
        f"{answer.name} · sweep {answer.sweep} · success: {answer.criterion} · "
        f"{words.count(answer.finished_trials, 'trial')}, {words.count(answer.gaps, 'gap')}",
        x=0.02,
        ha="left",
        fontsize=7,
        color="#596069",
    )
