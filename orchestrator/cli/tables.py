"""Tables and sentences for people. Values come in, rich renderables go out."""

import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.answer import Answer, ArmAnswer, FoundThreshold
from orchestrator.api import ClaimRow, Mirrored, Standing
from orchestrator.cli import laws
from orchestrator.cli.figures import interval, number
from orchestrator.domain.plugin import Plugin
from orchestrator.ending import ending
from orchestrator.plan.outline import ArmOutline, Outline
from orchestrator.ports import SweepRecord
from orchestrator.spec import ExperimentSpec

SHORT_KINDS = {"asymptotic": "limit"}
"""Kinds of theory whose name would not fit a column."""

STATUS_WORDS = {
    "found": "found",
    "below_range": "below the range of n",
    "above_range": "above the range of n",
    "not_sharp": "not a sharp transition",
    "not_monotone": "success falls again as n grows",
    "undecided": "undecided",
}


def opening(spec: ExperimentSpec) -> Text:
    """What is about to be answered."""
    asked = sum(len(spec.asked(arm)) for arm in spec.arms)
    return Text.assemble(
        (spec.question or spec.name, "bold"),
        f"\n{spec.name}: {len(spec.arms)} arm{'s' * (len(spec.arms) > 1)}, {asked} thresholds, "
        f"success means {spec.success}, {spec.search.kind} search, id {spec.id}",
    )


def thresholds(found: Answer) -> Iterator[RenderableType]:
    """One table per arm, then laws and comparisons in words."""
    for arm in found.arms:
        yield Text(arm.label, style="bold")
        yield _arm_table(arm)
        yield Text(laws.sentence(arm))
    for comparison in found.comparisons:
        yield from laws.comparison(comparison, found)


def _arm_table(arm: ArmAnswer) -> Table:
    confidence = arm.thresholds[0].threshold.confidence if arm.thresholds else 0.95
    named = {one.theory_kind for one in arm.thresholds if one.theory_kind}
    kinds = " or ".join(sorted(SHORT_KINDS.get(kind, kind) for kind in named))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in (
        "d",
        "k",
        "n_star",
        f"{100 * confidence:.0f}% interval",
        f"theory\n({kinds})" if kinds else "theory",
        "n_star/\ntheory",
        "n at 10–90%",
        "trials",
    ):
        table.add_column(name, justify="right")
    is_tuned = any(one.tuned for one in arm.thresholds)
    if is_tuned:
        table.add_column("tuned")
    table.add_column("status")
    for one in arm.thresholds:
        *cells, status = _cells(one)
        table.add_row(*cells, *([setting(one.tuned)] if is_tuned else []), status)
    return table


def setting(tuned: Mapping[str, Any]) -> str:
    """Tuned fields as `ridge = 0.1, depth = 2`."""
    return ", ".join(f"{name} = {value}" for name, value in tuned.items()) or "–"


def _cells(found: FoundThreshold) -> list[str]:
    one = found.threshold
    ratio = one.n_star / found.theory if one.n_star and found.theory else None
    gaps = f" + {one.gaps} gaps" if one.gaps else ""
    n10_n90 = f"{number(one.n10_n90[0])}–{number(one.n10_n90[1])}" if one.n10_n90 else "–"
    return [
        str(one.d),
        str(one.k),
        number(one.n_star),
        interval(one.low, one.high),
        number(found.theory),
        f"{ratio:.3f}" if ratio else "–",
        n10_n90,
        f"{one.trials}{gaps}",
        STATUS_WORDS[one.status] + (", interval widened for gaps" if one.widened else ""),
    ]


def closing(found: Answer, place: str, seconds: float) -> Text:
    """What to do next."""
    gaps = f", {found.gaps} gaps" if found.gaps else ""
    sentences = ending(found)
    stopped = f", stopped by {found.stopped_by}" if found.stopped_by and not sentences else ""
    return Text(
        "".join(f"{one}\n" for one in sentences)
        + f"{found.finished_trials} trials{gaps} in {seconds:.0f} s{stopped}\n"
        f"page:  phasefront report {found.sweep} -o {found.name}.html{place}\n"
        f"runs:  phasefront ui{place}"
    )


def claims(rows: Sequence[ClaimRow]) -> Table:
    """Claims beside what was measured."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("experiment", "claim", "measured", "verdict", "trials"):
        table.add_column(name)
    for row in rows:
        said = row.said
        claim = f"{said.claim}\n{said.source}" if said.source else said.claim
        trials = f"{row.trials:,}" if row.sweep else "–"
        table.add_row(*map(Text, (row.experiment, claim, said.measured, row.verdict, trials)))
    return table


def outline(plan: Outline) -> Iterator[RenderableType]:
    """What `plan` prints."""
    yield Text(f"{plan.name}: {plan.search} search", style="bold")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("arm", "thresholds", "points", "s per trial (guess)", "MB per trial"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm in plan.arms:
        table.add_row(
            arm.label,
            str(arm.thresholds),
            f"{arm.points:,}",
            f"{arm.seconds:.2g}",
            f"{arm.memory_bytes / 1e6:.2g}",
        )
    yield table
    for arm in plan.arms:
        if arm.chosen:
            yield Text(_chosen(arm))
    most = "" if plan.is_exact else "at most "
    if plan.teachers:
        seconds = f"about {plan.teachers.seconds:,.0f} s on one slot"
        yield Text(f"teachers: {most}{plan.teachers.trials:,}, trained first, {seconds}")
    trials = f"{most}{plan.trials:,} trials" if plan.trials is not None else "trials without limit"
    seconds = f", {most}about {plan.seconds:,.0f} s" if plan.seconds is not None else ""
    yield Text(f"{trials}{seconds} on {plan.slots} slots; nothing was trained")
    yield Text(_reusable(plan))
    if plan.round_that_fills:
        yield Text(
            f"rounds are too small for {plan.slots} slots; "
            f"search.round = {plan.round_that_fills} fills them"
        )


def _chosen(arm: ArmOutline) -> str:
    """What the search chooses in an arm."""
    fields = "; ".join(f"{name} ({values})" for name, values in arm.chosen.items())
    begun = f", {arm.settings} settings to begin with" if arm.settings > 1 else ""
    return f"{arm.label}: the search chooses {fields}{begun}"


def _reusable(plan: Outline) -> str:
    """What the store has of a plan's trials already."""
    if plan.reusable is None:
        return "the store cannot be reached, so what it has of these trials is not known"
    if plan.is_exact:
        return f"{plan.reusable:,} of them are in the store and need no training"
    free = ", beside max_trials" if plan.search == "threshold" and plan.trials else ""
    return f"{plan.reusable:,} trials in the store can be reused at no cost{free}"


def sweeps(records: Sequence[SweepRecord]) -> RenderableType:
    """What `list` prints."""
    if not records:
        return Text("no sweeps yet; start one with: phasefront run experiments/quickstart.yaml")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("sweep", "name", "status", "started"):
        table.add_column(name)
    for record in records:
        table.add_row(record.id, record.name, record.status, _when(record.started))
    return table


def sweep_json(record: SweepRecord) -> dict[str, Any]:
    """One entry of `list --format json`."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.started))
    return {
        "sweep": record.id,
        "name": record.name,
        "status": record.status,
        "started": started,
    }


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def standing(one: Standing) -> RenderableType:
    """What `status` prints."""
    record = one.record
    stopped = f", stopped by {record.stopped_by}" if record.stopped_by else ""
    states = ", ".join(f"{count} {state}" for state, count in one.states.items() if count)
    lag = f"{one.lag} entries not yet in MLflow" if one.lag else "MLflow has been told everything"
    if one.source == "mlflow":
        lag = "the ledger cannot be reached; this is what MLflow has"
    rounds = f", in {one.rounds} rounds" if one.rounds is not None else ""
    teachers = ", ".join(f"{count} {state}" for state, count in sorted(one.teachers.items()))
    return Text(
        f"{record.name} ({record.id}): {record.status}{stopped}\n"
        f"started {_when(record.started)}\n"
        f"trials: {states or 'none yet'}{rounds}\n"
        + (f"teachers of these: {teachers}\n" if teachers else "")
        + "".join(f"{sentence}\n" for sentence in one.ending)
        + lag
    )


def mirrored(one: Mirrored) -> RenderableType:
    """What `mirror` prints."""
    seen = one.after or one.before
    size = f"{seen.trials:,} trials in {seen.cells:,} cells"
    head = f"{one.record.name} ({one.record.id})\n"
    found = "".join(f"  {line}\n" for line in one.before.lines())
    if not found:
        return Text(f"{head}MLflow has everything that the ledger has, once: {size}")
    if one.after is None:
        return Text(f"{head}MLflow differs from the ledger:\n{found}repair it without --check")
    left = "".join(f"  {line}\n" for line in one.after.lines())
    end = f"this is left:\n{left}" if left else f"it now has everything, once: {size}"
    return Text(f"{head}MLflow differed from the ledger:\n{found}{end}")


def plugins(family: str, kinds: Mapping[str, type[Plugin]]) -> Table:
    """What `targets` and `learners` print."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(family)
    table.add_column("what it is")
    for kind, one in sorted(kinds.items()):
        table.add_row(kind, Text(first_line(one)))
    return table


def plugin(one: type[Plugin]) -> Iterator[RenderableType]:
    """One plug-in: its documentation and its fields."""
    yield Text(_reflowed(_documentation(one)))
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("field", "default", "what it is"):
        table.add_column(name)
    for name, field in one.model_fields.items():
        table.add_row(name, repr(field.default), field.description or "")
    yield table


def plugin_json(one: type[Plugin]) -> dict[str, Any]:
    """One plug-in for programs."""
    return {
        "kind": one.model_fields["kind"].default,
        "revision": one.revision,
        "documentation": _documentation(one),
        "fields": {
            name: {"default": field.default, "description": field.description}
            for name, field in one.model_fields.items()
            if name != "kind"
        },
    }


def _documentation(one: type[Plugin]) -> str:
    return inspect.cleandoc(one.__doc__ or "")


def _reflowed(text: str) -> str:
    """Paragraphs as one line each, so that the terminal wraps them; lists and formulas stay."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        one
        if any(line.startswith((" ", "-", "|")) for line in one.splitlines())
        else " ".join(one.splitlines())
        for one in paragraphs
    )


def first_line(one: type[Plugin]) -> str:
    """The first sentence of a plug-in's documentation."""
    return _documentation(one).split("\n\n")[0].replace("\n", " ")
