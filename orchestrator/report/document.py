"""The page: the answer first, then the evidence, then where it all came from.

Everything is inside the one file: style, script, plotly, pictures. A content security policy in the
page forbids every request, so that it opens offline, from a mail, or in an artifact viewer's frame,
and nothing in it can call home.
"""

import base64
import importlib.metadata
import json
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.answer import Answer
from orchestrator.ending import ending
from orchestrator.report import tables, words
from orchestrator.report.marks import OKABE_ITO, ON_DARK
from orchestrator.report.pictures import pictures
from orchestrator.report.pictures.canvas import drawn, encoded
from orchestrator.report.pictures.phase_diagram import planes
from orchestrator.report.screen import law, phase_diagram, success_curves, trials_spent
from orchestrator.report.screen.graph import Graph
from orchestrator.report.series import FEWEST_FOR_BAR, letters

STOPPED_BY = {
    "tolerance": "every threshold settled",
    "max_trials": "stopped at max_trials",
    "max_hours": "stopped at max_hours",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
}
DISTRIBUTIONS = ("phasefront", "torch", "ray", "optuna", "mlflow", "numpy", "scipy")


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
PHASE = (
    "Dashes are tried cells by success rate, wider with more trials. A triangle is a one-sided "
    "bound on n*, ? is not known."
)
RATIOS = "Thresholds of one arm over another's, with intervals. At 1 both need the same."
SPENT = (
    "Each strip is one threshold; dots are trials at one n in one round, larger with more; rounds "
    "run from top to bottom. The line is n*."
)


@dataclass(frozen=True)
class Panel:
    """A picture of the page: interactive graphs, and the print that stands in for them."""

    title: str
    caption: str
    graphs: tuple[Graph, ...]
    svg: str

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return " ".join(graph.alt for graph in self.graphs)


def page(answer: Answer) -> str:
    """The whole answer as one HTML page."""
    answer_panels, evidence = _panels(answer)
    graphs = [graph for panel in (*answer_panels, *evidence) for graph in panel.graphs]
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            answer=answer,
            words=words,
            summary=tables.summary(answer),
            ending=ending(answer),
            stopped_by=STOPPED_BY.get(answer.stopped_by or "", ""),
            arms=[tables.arm_table(arm, index) for index, arm in enumerate(answer.arms)],
            comparisons=[tables.comparison_table(answer, one) for one in answer.comparisons],
            gaps=tables.gap_rows(answer),
            answer_panels=answer_panels,
            evidence=evidence,
            graphs=[graph.as_json() for graph in graphs],
            colours=list(zip(OKABE_ITO, ON_DARK, strict=True)),
            versions=_versions(),
            file_name=_file_name(answer),
            command=shlex.join(["phasefront", "run", _file_name(answer)]),
            took=None
            if answer.started is None or answer.ended is None
            else words.duration(answer.ended - answer.started),
            cached=sum(row.cached for row in answer.rows),
            style=_asset("page.css"),
            script=_asset("page.js"),
            plotly=_plotly(),
        )
    )


@cache
def environment() -> Environment:
    """Where the templates are, and what they are filled in by."""
    environment = Environment(
        loader=PackageLoader("orchestrator.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _asset(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup(files("orchestrator.report").joinpath("templates", name).read_text("utf-8"))


@cache
def _plotly() -> Markup:
    """plotly.js, whole; nothing in it may close the element it stands in."""
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs().replace("</script", "<\\/script"))


def _panels(answer: Answer) -> tuple[list[Panel], list[Panel]]:
    """The pictures of the answer itself, and those of its evidence."""
    svg, varying = _printed(answer), letters(answer)
    first = [
        Panel(
            f"Thresholds against {letter}",
            LAW,
            (law.graph(answer, letter),),
            svg["law" if letter == varying[0] else f"law_{letter}"],
        )
        for letter in varying
    ]
    return first, _evidence(answer, svg)


def _evidence(answer: Answer, svg: dict[str, str]) -> list[Panel]:
    """The pictures that can be drawn, in the order they are read."""
    arms = range(len(answer.arms))
    evidence = []
    if "success_curves" in svg:
        graphs = [success_curves.graph(answer, index) for index in arms]
        evidence.append(Panel("Success curves", SUCCESS, tuple(graphs), svg["success_curves"]))
    for plane in planes(answer):
        if f"phase_{plane.name}" in svg:
            graphs = [phase_diagram.graph(answer, index, plane) for index in arms]
            title = f"Phase diagram: {plane.across} and {plane.upward.split(',')[0]}"
            evidence.append(Panel(title, PHASE, tuple(graphs), svg[f"phase_{plane.name}"]))
    ratios = law.ratios(answer, letters(answer)[0])
    if ratios is not None:
        evidence.append(Panel("Ratios of thresholds", RATIOS, (ratios,), svg["ratios"]))
    if "trials_spent" in svg:
        graphs = [trials_spent.graph(answer, index) for index in arms]
        evidence.append(Panel("Where trials were spent", SPENT, tuple(graphs), svg["trials_spent"]))
    return evidence


def _printed(answer: Answer) -> dict[str, str]:
    """Every picture as an SVG in a data address."""
    addresses = {}
    for name, draw in pictures(answer).items():
        with drawn(answer, draw) as figure:
            if figure is not None:
                data = base64.b64encode(encoded(figure, "svg", answer, name)).decode("ascii")
                addresses[name] = f"data:image/svg+xml;base64,{data}"
    return addresses


def _versions(names: Sequence[str] = DISTRIBUTIONS) -> list[tuple[str, str]]:
    found = []
    for name in names:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _file_name(answer: Answer) -> str:
    """What to call the experiment file when it is saved again, with the suffix of its language."""
    return f"{answer.name}.{_language(answer.spec_source)}"


def _language(source: str) -> str:
    try:
        json.loads(source)
    except ValueError:
        pass
    else:
        return "json"
    try:
        tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return "yaml"
    return "toml" if source.strip() else "yaml"
