"""The commands. Each reads its words, calls `orchestrator.api`, and shows what came back."""

import json
import logging
import sys
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator import api
from orchestrator.answer import Answer, as_json
from orchestrator.api.live import Live
from orchestrator.cli import laws, tables
from orchestrator.cli.letters import point
from orchestrator.cli.serving import served
from orchestrator.cli.signals import Signals
from orchestrator.errors import PhasefrontError, RequestError

UsageError: Any = typer.BadParameter.__mro__[2]
"""What the parser raises for every wrong word: typer brings a parser of its own and names only this
subclass of it."""

app = typer.Typer(
    name="phasefront",
    help="How much data does a learner need, and how does that grow with d and k?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
stores = typer.Typer(help="The store: whether it can be used.", no_args_is_help=True)
app.add_typer(stores, name="store")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Store = Annotated[
    str | None,
    typer.Option(help="MLflow store: a folder or URI [MLFLOW_TRACKING_URI, else mlflow_store/]"),
]
Anywhere = Annotated[
    str | None, typer.Option("--store", help="taken by every command; this one reads no store")
]
Ledger = Annotated[
    str | None,
    typer.Option(help="ledger: a file or database URL [PHASEFRONT_LEDGER, else beside the store]"),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugins", help="a Python file with targets and learners; repeatable"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="path=value, read as YAML, such as axes.d=[200]; repeatable"),
]
Shown = Annotated[Format, typer.Option("--format", help="table for people, json for programs")]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="an experiment file")]
SweepName = Annotated[
    str, typer.Argument(metavar="SWEEP", help="an id, a unique prefix of one, or a name")
]
Address = Annotated[
    str | None, typer.Option(help="a Ray cluster, host:port or ray://host:port [embedded Ray]")
]
Slots = Annotated[int | None, typer.Option(min=1, help="packs at once [one per core]")]
InProcess = Annotated[bool, typer.Option("--in-process", help="train in this process, without Ray")]


@app.command()
def run(
    spec: SpecFile,
    store: Store = None,
    ledger: Ledger = None,
    plugins: Plugins = None,
    settings: Settings = None,
    address: Address = None,
    slots: Slots = None,
    in_process: InProcess = False,
    shown: Shown = Format.TABLE,
) -> None:
    """Answer an experiment file; running it again goes on where it stopped."""
    sources = api.load_plugins(plugins or [])
    experiment = api.load_spec(spec, settings or [])
    place = api.Place.chosen(store, ledger)
    machine = api.Machine(address, slots, in_process)
    _run(experiment, spec.read_text(encoding="utf-8"), place, machine, sources, shown)


@app.command()
def resume(
    sweep: SweepName,
    store: Store = None,
    ledger: Ledger = None,
    address: Address = None,
    slots: Slots = None,
    in_process: InProcess = False,
    from_mlflow: Annotated[
        bool, typer.Option("--from-mlflow", help="rebuild a lost ledger from MLflow first")
    ] = False,
    shown: Shown = Format.TABLE,
) -> None:
    """Go on with a sweep that was interrupted or whose driver died."""
    api.load_plugins()
    place = api.Place.chosen(store, ledger)
    record = api.to_resume(sweep, place, from_mlflow)
    experiment = api.spec_of(record)
    machine = api.Machine(address, slots, in_process)
    _run(experiment, record.spec_source, place, machine, list(record.plugins), shown)


def _run(
    experiment: api.ExperimentSpec,
    source: str,
    place: api.Place,
    machine: api.Machine,
    plugins: list[tuple[str, str]],
    shown: Format,
) -> None:
    err.print(tables.opening(experiment))
    started = time.monotonic()
    go_on = f"phasefront resume {experiment.id}{place.words}"
    with Signals(go_on) as signals, Live(experiment, err) as live:
        found = api.run(
            experiment,
            source=source,
            place=place,
            machine=machine,
            plugins=plugins,
            watch=live.watch,
            interrupted=signals.asked,
        )
    _show(found, shown)
    if shown is Format.TABLE:
        out.print(tables.closing(found, place.words, time.monotonic() - started), soft_wrap=True)
    raise typer.Exit(_status(found))


def _status(found: Answer) -> int:
    limited = found.gaps or found.stopped_by in ("max_trials", "max_hours")
    return 3 if limited else 0


def _show(found: Answer, shown: Format) -> None:
    if shown is Format.JSON:
        _json(as_json(found))
        return
    for part in tables.thresholds(found):
        out.print(part)


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


@app.command()
def plan(
    spec: SpecFile,
    store: Store = None,
    ledger: Ledger = None,
    plugins: Plugins = None,
    settings: Settings = None,
    slots: Slots = None,
    shown: Shown = Format.TABLE,
) -> None:
    """What would run: arms, cells, trials, predicted seconds and memory, and what is stored of it.

    Trains nothing.
    """
    api.load_plugins(plugins or [])
    place = api.Place.chosen(store, ledger)
    outline = api.outline(api.load_spec(spec, settings or []), slots, place)
    if shown is Format.JSON:
        _json(outline.as_json())
    else:
        for part in tables.outline(outline):
            out.print(part)


@app.command("list")
def list_sweeps(store: Store = None, ledger: Ledger = None, shown: Shown = Format.TABLE) -> None:
    """Every sweep of the store, newest first."""
    records = api.sweeps(api.Place.chosen(store, ledger))
    if shown is Format.JSON:
        _json({"format": 1, "sweeps": [tables.sweep_json(record) for record in records]})
    else:
        out.print(tables.sweeps(records))


@app.command()
def status(
    sweep: SweepName, store: Store = None, ledger: Ledger = None, shown: Shown = Format.TABLE
) -> None:
    """Where a sweep stands: trials by state, rounds, what MLflow has not been told."""
    api.load_plugins()
    standing = api.standing(sweep, api.Place.chosen(store, ledger))
    if shown is Format.JSON:
        _json(standing.as_json())
    else:
        out.print(tables.standing(standing))


@app.command()
def mirror(
    sweep: SweepName,
    store: Store = None,
    ledger: Ledger = None,
    check: Annotated[bool, typer.Option("--check", help="compare, and change nothing")] = False,
    shown: Shown = Format.TABLE,
) -> None:
    """Compare a sweep's ledger with MLflow trial by trial, and repair MLflow."""
    api.load_plugins()
    found = api.mirror(sweep, api.Place.chosen(store, ledger), only_look=check)
    if shown is Format.JSON:
        _json(found.as_json())
    else:
        out.print(tables.mirrored(found))
    raise typer.Exit(0 if found.is_equal else 1)


@app.command()
def thresholds(
    sweep: SweepName,
    store: Store = None,
    ledger: Ledger = None,
    predict: Annotated[
        list[str] | None,
        typer.Option(help="d=400,k=20: what the law says of a threshold not run; repeatable"),
    ] = None,
    shown: Shown = Format.TABLE,
) -> None:
    """The table of thresholds and laws found so far."""
    api.load_plugins()
    if predict and shown is Format.JSON:
        raise RequestError("--predict is printed for people; in Python: arm.law.predict(d, k)")
    found = api.open_sweep(sweep, api.Place.chosen(store, ledger))
    places = [laws.place(words, found) for words in predict or []]
    _show(found, shown)
    for line in laws.predictions(found, places):
        out.print(line, soft_wrap=True, markup=False)


@app.command()
def report(
    sweep: SweepName,
    output: Annotated[Path, typer.Option("-o", "--output", help="page.html, or picture.png")],
    store: Store = None,
    ledger: Ledger = None,
) -> None:
    """Write one self-contained page, pictures included; or the one picture that says most."""
    api.load_plugins()
    found = api.open_sweep(sweep, api.Place.chosen(store, ledger))
    _write(output, api.report_bytes(found, output.suffix))


@app.command()
def export(
    sweep: SweepName,
    output: Annotated[Path, typer.Option("-o", "--output", help="trials.parquet or trials.csv")],
    store: Store = None,
    ledger: Ledger = None,
) -> None:
    """Write every trial as a row; parquet or csv by suffix."""
    api.load_plugins()
    api.export(sweep, output, api.Place.chosen(store, ledger))
    _say_written(output)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}") from error
    _say_written(path)


def _say_written(path: Path) -> None:
    err.print(f"wrote {path} ({path.stat().st_size / 1e3:,.0f} kB)", soft_wrap=True)


@app.command()
def explain(
    sweep: SweepName,
    trial: Annotated[str | None, typer.Argument(help="a trial's key or a prefix of it")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="the cells at d=20,n=100,k=1, or at some of these")
    ] = None,
    store: Store = None,
    ledger: Ledger = None,
    shown: Shown = Format.TABLE,
) -> None:
    """Why a sweep's trials, a cell's, or one trial are done, cached, waiting, running or lost."""
    if trial is not None and at is not None:
        raise RequestError("give a trial or --at, not both: a trial has one place")
    api.load_plugins()
    letters = point(at) if at is not None else None
    found, lines = api.explain(sweep, trial, letters, api.Place.chosen(store, ledger))
    if shown is Format.JSON:
        _json(found)
        return
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


@app.command()
def claims(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]", help="experiment files or folders [experiments]"),
    ] = None,
    store: Store = None,
    ledger: Ledger = None,
    plugins: Plugins = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="a Markdown page whose table is replaced")
    ] = None,
    shown: Shown = Format.TABLE,
) -> None:
    """What experiment files claim beside what their stored sweeps measured, with verdicts.

    A page gets the rows of the files that are named, and keeps those of others; of a folder it gets
    all.
    """
    api.load_plugins(plugins or [])
    asked = files or [Path("experiments")]
    rows = api.claims(asked, api.Place.chosen(store, ledger))
    if output is not None:
        whole = any(path.is_dir() for path in asked)
        _write(output, api.put_in(_read(output), rows, whole).encode())
    elif shown is Format.JSON:
        _json({"format": 1, "claims": [row.as_json() for row in rows]})
    elif rows:
        out.print(tables.claims(rows))
    else:
        out.print("no claims there; an experiment file makes them under `theory`")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error


@app.command()
def ui(
    store: Store = None,
    ledger: Ledger = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where on loopback to listen")] = 5000,
) -> None:
    """Open the MLflow UI on the store, on loopback; Ctrl-C ends it."""
    place = api.Place.chosen(store, ledger)
    command, url = api.ui_command(place, port)
    err.print(f"MLflow UI on {url}\nCtrl-C ends it", soft_wrap=True)
    raise typer.Exit(served(command))


@stores.command("check")
def check_store(
    uri: Annotated[
        str | None, typer.Argument(metavar="[URI]", help="the store; the same as --store")
    ] = None,
    store: Store = None,
    ledger: Ledger = None,
    shown: Shown = Format.TABLE,
) -> None:
    """What is wrong with a store and its ledger, and what to do; status 4 where something is."""
    if uri and store:
        raise RequestError("give the store once, as URI or as --store")
    found = api.check_store(api.Place.chosen(uri or store, ledger))
    if shown is Format.JSON:
        _json({"format": 1, "checks": [asdict(one) for one in found]})
    else:
        for one in found:
            out.print(f"{one.verdict:11}  {one.check:9}  {one.words}", soft_wrap=True, markup=False)
    raise typer.Exit(4 if any(one.verdict == "wrong" for one in found) else 0)


@app.command()
def targets(
    name: Annotated[str | None, typer.Argument()] = None,
    store: Anywhere = None,
    plugins: Plugins = None,
    shown: Shown = Format.TABLE,
) -> None:
    """Known target classes, or one with its documentation."""
    _show_plugins("target", name, plugins, shown)


@app.command()
def learners(
    name: Annotated[str | None, typer.Argument()] = None,
    store: Anywhere = None,
    plugins: Plugins = None,
    shown: Shown = Format.TABLE,
) -> None:
    """Known learners, or one with its documentation."""
    _show_plugins("learner", name, plugins, shown)


def _show_plugins(family: str, name: str | None, plugins: list[Path] | None, shown: Format) -> None:
    api.load_plugins(plugins or [])
    kinds = api.kinds(family)
    chosen = {name: api.kind_named(family, name)} if name else kinds
    if shown is Format.JSON:
        _json({"format": 1, family + "s": [tables.plugin_json(kind) for kind in chosen.values()]})
    elif name:
        for part in tables.plugin(chosen[name]):
            out.print(part)
    else:
        out.print(tables.plugins(family, chosen))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="the experiment's name; writes NAME.yaml")],
    store: Anywhere = None,
) -> None:
    """Write a commented experiment file to start from."""
    text = api.new_file(name)
    path = Path(f"{name}.yaml")
    if path.exists():
        raise RequestError(f"{path}: exists already; choose another name or remove it")
    _write(path, text.encode())
    err.print(f"next: phasefront plan {path}")


@app.command()
def schema(store: Anywhere = None, plugins: Plugins = None) -> None:
    """JSON Schema of the experiment file, for editors."""
    api.load_plugins(plugins or [])
    _json(api.json_schema())


def main() -> None:
    """Run the command line and exit with its status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    command = typer.main.get_command(app)
    try:
        status = command.main(standalone_mode=False)
    except PhasefrontError as error:
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
        err.print(f"{error}{notes}", markup=False, soft_wrap=True)
        status = error.exit_status
    except UsageError as error:
        error.show()
        status = 2
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    sys.exit(status if isinstance(status, int) else 0)
