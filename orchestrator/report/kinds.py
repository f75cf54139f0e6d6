"""Every kind of picture: its name and words, and how it is drawn for print and for a screen.

The page, the files of a sweep and the notebook all read this one table: a new kind of picture is a
module in `pictures`, one in `screen`, and a row here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from orchestrator.answer import Answer
from orchestrator.report import pictures, screen
from orchestrator.report.screen.graph import Graph
from orchestrator.report.series import (
    FEWEST_FOR_BAR,
    learned_measures,
    letters,
    mean_measures,
)

LAW = (
    "Marks are measured thresholds with their intervals, solid lines the fitted laws, dashed lines "
    "theory. Hollow marks are not settled, triangles are one-sided bounds, ? is not known. Below: "
    "how far the thresholds lie from the laws."
)
SUCCESS = (
    "Points are observed success rates, neighbouring n pooled, with Wilson intervals from "
    f"{FEWEST_FOR_BAR} trials on; faint points are the single n. Curves are the posterior median "
    "with its band."
)
COLLAPSE = (
    "Every threshold with its n divided by its own n*. Where curves lie on each other, d and k "
    "change the scale of n alone, and not how sharply success sets in."
)
PHASE = (
    "Dashes are tried cells by success rate, wider with more trials. A triangle is a one-sided "
    "bound on n*, ? is not known."
)
RATIOS = (
    "Above, the arms over each other; below, thresholds of one arm over another's, with intervals. "
    "At 1 both need the same."
)
SPENT = (
    "Each strip is one threshold; dots are trials at one n in one round, larger with more; rounds "
    "run from top to bottom; where dots would be too many, neighbours are drawn as one. The line "
    "is n*."
)
NARROWING = (
    "Half the width of the interval of n* over n*, judged from the trials of the first rounds "
    "alone, at a few rounds. Dashed: the tolerance asked for."
)
SETTINGS = (
    "Each line is one setting at one d and k, from its values to its n*. Colours say how much more "
    "it needs than the best setting there; the orange ones were chosen."
)


@dataclass(frozen=True)
class Kind:
    """One kind of picture of an answer.

    `on_paper` draws all arms; `on_screen` one, by its number, or all of them where the kind is
    `of_all_arms`. Both give None where there is nothing to show. Kinds that are `the_answer` stand
    above the table of thresholds, the others are evidence.
    """

    name: str
    title: str
    caption: str
    on_paper: Callable[[Answer], Figure | None]
    on_screen: Callable[[Answer, int], Graph | None]
    of_all_arms: bool = False
    the_answer: bool = False


def kinds(answer: Answer) -> list[Kind]:
    """The kinds that may make sense for this answer, in the order they are read."""
    tried = any(found.tallies for arm in answer.arms for found in arm.thresholds)
    rivals = any(found.rivals for arm in answer.arms for found in arm.thresholds)
    return [
        *_laws(answer),
        *(_success(answer) if tried else ()),
        *([_ratios(answer)] if answer.comparisons else ()),
        *([_settings()] if rivals else ()),
        *(_means(measure) for measure in mean_measures(answer)),
        *(_learning(measure) for measure in learned_measures(answer)),
        *(_spending() if tried else ()),
    ]


def kind_named(answer: Answer, name: str) -> Kind:
    """The kind of that name. Raises `KeyError` when this answer has none such."""
    return {kind.name: kind for kind in kinds(answer)}[name]


def _laws(answer: Answer) -> Iterator[Kind]:
    for letter in letters(answer):
        yield _shared(
            "law" if letter == letters(answer)[0] else f"law_{letter}",
            f"Thresholds against {letter}",
            LAW,
            partial(pictures.law.draw, along=letter),
            partial(screen.law.graph, along=letter),
            the_answer=True,
        )


def _success(answer: Answer) -> Iterator[Kind]:
    yield Kind(
        "success_curves",
        "Success curves",
        SUCCESS,
        pictures.success_curves.draw,
        screen.success_curves.graph,
    )
    yield Kind(
        "collapse",
        "Success curves over n / n*",
        COLLAPSE,
        pictures.collapse.draw,
        screen.collapse.graph,
    )
    for plane in pictures.phase_diagram.planes(answer):
        yield Kind(
            f"phase_{plane.name}",
            f"Phase diagram: {plane.across} and {plane.upward.split(',')[0]}",
            PHASE,
            partial(pictures.phase_diagram.draw, plane=plane),
            partial(screen.phase_diagram.graph, plane=plane),
        )


def _ratios(answer: Answer) -> Kind:
    graph = partial(screen.ratios.graph, along=letters(answer)[0])
    return _shared("ratios", "Ratios of thresholds", RATIOS, pictures.ratios.draw, graph)


def _settings() -> Kind:
    draw, graph = pictures.settings.draw, screen.settings.graph
    return Kind("settings", "Settings tried", SETTINGS, draw, graph)


def _means(measure: str) -> Kind:
    return _shared(
        f"means_{measure}",
        f"Means: {measure}",
        pictures.means.SAID,
        partial(pictures.means.draw, measure=measure),
        partial(screen.means.graph, measure=measure),
    )


def _learning(measure: str) -> Kind:
    return Kind(
        f"learning_{measure}",
        f"Learning curves: {measure}",
        pictures.learning_curves.SAID,
        partial(pictures.learning_curves.draw, measure=measure),
        partial(screen.learning_curves.graph, measure=measure),
    )


def _spending() -> Iterator[Kind]:
    yield Kind(
        "trials_spent",
        "Where trials were spent",
        SPENT,
        pictures.trials_spent.draw,
        screen.trials_spent.graph,
    )
    yield Kind(
        "narrowing",
        "How intervals narrowed",
        NARROWING,
        pictures.narrowing.draw,
        screen.narrowing.graph,
    )


def _shared(
    name: str,
    title: str,
    caption: str,
    draw: Callable[[Answer], Figure | None],
    graph: Callable[[Answer], Graph | None],
    **which: Any,
) -> Kind:
    """A kind with one graph of all arms."""
    return Kind(name, title, caption, draw, lambda answer, arm: graph(answer), True, **which)
