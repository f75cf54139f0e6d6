"""Learning curves: a measure against steps, over the trials of cells around the threshold."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.answer import Answer
from orchestrator.report.marks import DASHES, Colour, shades
from orchestrator.report.pictures.canvas import log_scale, panels, provenance
from orchestrator.report.series import Learning, learning
from orchestrator.report.words import count

SAID = (
    "For up to three d a cell whose n is near n*. Thick: mean over its trials; thin: median; "
    "shaded: 10 % to 90 % of them. A step's figures are of the trials that logged it; step 0 lies "
    "off a log axis."
)


def draw(answer: Answer, measure: str) -> Figure | None:
    """One panel per arm that logged it; None where nothing was logged while learning."""
    cells = [learning(answer, index, measure) for index in range(len(answer.arms))]
    logged = [(arm, own) for arm, own in zip(answer.arms, cells, strict=True) if own]
    if not logged:
        return None
    figure, axes = panels([arm for arm, _ in logged], height_in=2.9)
    for ax, (_, shown) in zip(axes, logged, strict=True):
        _panel(ax, shown)
        ax.set_xlabel("step")
        ax.set_ylabel(measure)
    provenance(figure, answer, SAID)
    return figure


def name(one: Learning) -> str:
    """A cell's name in a legend, with the size of its sample."""
    return f"d = {one.d}, k = {one.k}, n = {one.n} ({count(one.trials, 'trial')})"


def _panel(ax: Axes, shown: list[Learning]) -> None:
    for index, (one, colour) in enumerate(zip(shown, colours(len(shown)), strict=True)):
        ax.fill_between(one.steps, one.low, one.high, color=colour.light, alpha=0.15, lw=0)
        ax.plot(one.steps, one.median, color=colour.light, lw=0.6, alpha=0.9)
        ax.plot(one.steps, one.mean, color=colour.light, lw=1.5, ls=DASHES[index], label=name(one))
    ax.set_xlim(min(one.steps[0] for one in shown), max(one.steps[-1] for one in shown))
    log_scale(ax.xaxis)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1, handlelength=2.2)


def colours(number: int) -> list[Colour]:
    """The colours of cells, in order of d."""
    return shades(number)
