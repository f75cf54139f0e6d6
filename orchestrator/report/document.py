"""The page: the answer first, then the evidence, then where it all came from.

Everything is inside the one file: style, script, plotly, pictures. A content security policy in the
page forbids every request, so that it opens offline, from a mail, or in an artifact viewer's frame,
and nothing in it can call home.
"""

import importlib.metadata
import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.answer import Answer
from orchestrator.ending import ending
from orchestrator.report import tables, words
from orchestrator.report.marks import OKABE_ITO, ON_DARK
from orchestrator.report.panels import panels

STOPPED_BY = {
    "tolerance": "every threshold settled",
    "max_trials": "stopped at max_trials",
    "max_hours": "stopped at max_hours",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
}
DISTRIBUTIONS = ("phasefront", "torch", "ray", "optuna", "mlflow", "numpy", "scipy")


def page(
    answer: Answer,
    *,
    made: float | None = None,
    versions: Mapping[str, str] | None = None,
    files: dict[str, bytes] | None = None,
) -> str:
    """The whole answer as one HTML page; its pictures are put into `files` too, if that is given.

    `made`, in seconds since the epoch, is shown while the sweep runs; of a sweep that has ended
    equal answers give equal pages. `versions` are those of what the answer depends on, a `commit`
    among them; by default those of the packages here.
    """
    answer_panels, evidence = panels(answer, files)
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
            versions=[one for one in (versions or _versions()).items() if one[0] != "commit"],
            commit=(versions or {}).get("commit", ""),
            made=made,
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


def _versions(names: Sequence[str] = DISTRIBUTIONS) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
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
