"""The ledger and MLflow compared, trial by trial and figure by figure. Nothing is changed."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ports import SweepRecord
from orchestrator.tracking import curve_table, names, outbox, queries
from orchestrator.tracking.cell_metrics import (
    Criterion,
    Figure,
    aggregate_figures,
    success_of,
    trial_figures,
)
from orchestrator.tracking.client import RunFound
from orchestrator.tracking.database import Database
from orchestrator.tracking.documents import documents
from orchestrator.tracking.outbox import CellNews
from orchestrator.tracking.writer import Writer

WORDS = {
    "missing": "not in MLflow",
    "doubled": "more than one run of a cell",
    "fewer": "trials missing",
    "other": "figures that are not the ledger's",
    "unfinished": "run not closed, or not marked as complete",
    "unknown": "a run of no cell of the sweep",
}
"""How a cell can differ."""


@dataclass(frozen=True)
class CellDifference:
    """A cell of which MLflow has something else than the ledger; `what` is one of `WORDS`.

    `wrong` are runs that have to go: what MLflow was told once cannot be taken back singly.
    """

    cell: str
    what: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """What the comparison of one sweep found. `parent` says in words how its own run differs."""

    cells: int
    trials: int
    differences: tuple[CellDifference, ...]
    parent: tuple[str, ...]
    untold: int

    @property
    def is_equal(self) -> bool:
        """Whether MLflow has everything, exactly once."""
        return not (self.differences or self.parent or self.untold)

    def counts(self) -> dict[str, int]:
        """How many cells differ, by `WORDS`."""
        return dict(Counter(one.what for one in self.differences))

    def lines(self) -> list[str]:
        """What differs, in words; nothing where MLflow is equal."""
        cells = [f"{count} cells: {WORDS[what]}" for what, count in sorted(self.counts().items())]
        queued = [f"{self.untold} entries wait to be told"] if self.untold else []
        return [*self.parent, *cells, *queued]


def compare(database: Database, writer: Writer, record: SweepRecord) -> Compared:
    """Compare a sweep's ledger with MLflow. Raises what MLflow does, and `LedgerUnreachable`."""
    experiment = writer.experiment(record.name)
    found = writer.runs_of(experiment, record.id)
    runs: dict[str, list[RunFound]] = defaultdict(list)
    for run in found:
        if run.is_cell:
            runs[run.tags[names.CELL]].append(run)
    with database.reading() as connection:
        cells = outbox.cells_told(connection, record.id)
        untold = queries.lag(connection, record.id)
        has_curves = bool(queries.cells_with_curves(connection, record.id))
    succeeds = success_of(record.spec_json)
    differences, trials = [], 0
    for chunk in queries.chunks(cells):
        with database.reading() as connection:
            news = outbox.cell_news(connection, record.id, chunk)
        trials += sum(len(one.trials) for one in news)
        alone = [runs[one.row["key"]][0].id for one in news if len(runs[one.row["key"]]) == 1]
        figures = writer.figures_of(alone)
        for one in news:
            difference = _difference(record, one, runs[one.row["key"]], figures, succeeds)
            differences += [difference] if difference else []
    strange = sorted(set(runs) - set(cells))
    differences += [
        CellDifference(cell, "unknown", tuple(run.id for run in runs[cell])) for cell in strange
    ]
    parents = [run for run in found if not run.is_cell]
    parent = tuple(_parent(record, parents, writer, has_curves))
    return Compared(len(cells), trials, tuple(differences), parent, untold)


def _difference(
    record: SweepRecord,
    news: CellNews,
    runs: Sequence[RunFound],
    figures: Mapping[str, set[Figure]],
    succeeds: Criterion | None,
) -> CellDifference | None:
    cell = news.row["key"]
    if not runs:
        return CellDifference(cell, "missing")
    if len(runs) > 1:
        return CellDifference(cell, "doubled", tuple(run.id for run in runs))
    run = runs[0]
    refused = set(json.loads(run.tags.get(names.REFUSED, "[]")))
    trials = _known((f for trial in news.trials for f in trial_figures(trial)), refused)
    totals = _known(aggregate_figures(news.trials, succeeds), refused)
    held = {figure for figure in figures[run.id] if figure.name.startswith("trial.")}
    if held - trials:
        return CellDifference(cell, "other", (run.id,))
    if not trials <= held or not totals <= figures[run.id]:
        return CellDifference(cell, "fewer")
    is_over = record.status != "running"
    is_marked = run.tags.get(names.COMMIT) == f"{cell}:{len(news.trials)}"
    if not is_marked or (is_over and run.status == "RUNNING"):
        return CellDifference(cell, "unfinished")
    return None


def _known(figures: Iterable[Figure], refused: set[str]) -> set[Figure]:
    return {figure for figure in figures if figure.name not in refused}


def _parent(
    record: SweepRecord, found: Sequence[RunFound], writer: Writer, has_curves: bool
) -> Iterable[str]:
    if not found:
        yield "the sweep has no run"
        return
    if len(found) > 1:
        yield f"the sweep has {len(found)} runs"
    run = found[0]
    if run.status != names.RUN_STATUS[record.status]:
        yield f"MLflow says {run.status}, the ledger {record.status}"
    if record.status != "running" and names.COMMIT not in run.tags:
        yield "the sweep's run is not marked as complete"
    expected = {path for path, _ in documents(record)}
    expected |= {"report.html", "trials.parquet"} if record.status == "finished" else set()
    expected |= {curve_table.PATH} if has_curves and record.status != "running" else set()
    if missing := expected - set(writer.artifacts_of(run.id)):
        yield f"artifacts are missing: {', '.join(sorted(missing))}"
