"""The ledger and MLflow compared, trial by trial and figure by figure. Nothing is changed."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain.curves import Curves
from orchestrator.ports import SweepRecord
from orchestrator.tracking import curve_table, names, outbox, queries
from orchestrator.tracking.cell_metrics import (
    Criterion,
    Figure,
    aggregate_figures,
    cell_curves,
    success_of,
    trial_figures,
)
from orchestrator.tracking.client import RunFound
from orchestrator.tracking.database import Database
from orchestrator.tracking.documents import documents
from orchestrator.tracking.outbox import CellNews
from orchestrator.tracking.schema import curves
from orchestrator.tracking.writer import Writer

WORDS = {
    "missing": "not in MLflow",
    "doubled": "more than one run of a cell",
    "fewer": "trials or learning curves missing",
    "other": "figures that are not the ledger's",
    "more": "trials that the ledger does not know",
    "unfinished": "run not closed, or not marked as complete",
    "stray": "an empty run of no cell of the sweep",
}
"""How a cell can differ."""

BEYOND_REPAIR = ("more",)
"""What is left as it is: it may be the last copy of a result that was committed."""


@dataclass(frozen=True)
class CellDifference:
    """A cell of which MLflow has something else than the ledger; `what` is one of `WORDS`.

    `wrong` are runs that have to go, as what MLflow was told once cannot be taken back singly; all
    that they hold is in the ledger.
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
        lost = "MLflow may have what a ledger lost: phasefront resume SWEEP --from-mlflow"
        beyond = [lost] if any(one.what in BEYOND_REPAIR for one in self.differences) else []
        return [*self.parent, *cells, *queued, *beyond]


def compare(database: Database, writer: Writer | None, record: SweepRecord) -> Compared:
    """Compare a sweep's ledger with MLflow, which without `writer` has nothing.

    Raises what MLflow does, and `LedgerUnreachable`.
    """
    experiment = writer.known_experiment(record.name) if writer else None
    found = writer.runs_of(experiment, record.id) if writer and experiment else []
    runs: dict[str, list[RunFound]] = defaultdict(list)
    for run in found:
        if run.is_cell:
            runs[run.tags[names.CELL]].append(run)
    has_curves = database.has(curves)
    with database.reading() as connection:
        cells = outbox.cells_told(connection, record.id)
        untold = queries.lag(connection, record.id)
        has_curves = has_curves and bool(queries.cells_with_curves(connection, record.id))
    expected = _Expected(record, success_of(record.spec_json))
    differences, trials = [], 0
    for chunk in queries.chunks(cells):
        with database.reading() as connection:
            news = outbox.cell_news(connection, record.id, chunk)
            learnt = queries.curves_of_cells(connection, record.id, chunk) if has_curves else ()
            learning = dict(queries.by_cell(learnt))
        trials += sum(len(one.trials) for one in news)
        alone = [runs[one.row["key"]][0] for one in news if len(runs[one.row["key"]]) == 1]
        figures = writer.figures_of(alone) if writer else {}
        for one in news:
            cell = one.row["key"]
            what = expected.difference(one, learning.get(cell, []), runs[cell], figures)
            wrong = tuple(run.id for run in runs[cell]) if what == "other" else ()
            differences += [CellDifference(cell, what, wrong)] if what else []
    if writer:
        differences += _strays(writer, {cell: runs[cell] for cell in set(runs) - set(cells)})
    parents = [run for run in found if not run.is_cell]
    parent = tuple(_parent(record, parents, writer, has_curves))
    return Compared(len(cells), trials, tuple(differences), parent, untold)


@dataclass(frozen=True)
class _Expected:
    """What MLflow should have of a sweep's cells."""

    record: SweepRecord
    succeeds: Criterion | None

    def difference(
        self,
        news: CellNews,
        learning: Sequence[tuple[float, Curves]],
        runs: Sequence[RunFound],
        figures: Mapping[str, set[Figure]],
    ) -> str:
        """How a cell's runs differ, one of `WORDS`; empty where they do not."""
        if len(runs) != 1:
            return "doubled" if runs else "missing"
        run, cell = runs[0], news.row["key"]
        refused = set(json.loads(run.tags.get(names.REFUSED, "[]")))
        trials = _known((f for trial in news.trials for f in trial_figures(trial)), refused)
        totals = _known(aggregate_figures(news.trials, self.succeeds), refused)
        is_over = self.record.status == "finished"
        learnt = _known(cell_curves(learning) if is_over else (), refused)
        held = {figure for figure in figures[run.id] if _is_trial(figure)}
        if {figure.step for figure in held} - {figure.step for figure in trials}:
            return "more"
        drawn = {figure for figure in figures[run.id] if figure.name.startswith("curve.")}
        if held - trials or drawn - learnt:
            return "other"
        if not (trials | totals | learnt) <= figures[run.id]:
            return "fewer"
        is_marked = run.tags.get(names.COMMIT) == f"{cell}:{len(news.trials)}"
        if not is_marked or (self.record.status != "running" and run.status == "RUNNING"):
            return "unfinished"
        return ""


def _strays(writer: Writer, strange: Mapping[str, Sequence[RunFound]]) -> Iterable[CellDifference]:
    """Cells of which the ledger knows nothing; only runs without a trial may go."""
    for cell, runs in sorted(strange.items()):
        figures = writer.figures_of(runs)
        empty = [run for run, own in figures.items() if not any(_is_trial(one) for one in own)]
        if len(empty) < len(runs):
            yield CellDifference(cell, "more")
        if empty:
            yield CellDifference(cell, "stray", tuple(empty))


def _is_trial(figure: Figure) -> bool:
    return figure.name.startswith("trial.")


def _known(figures: Iterable[Figure], refused: set[str]) -> set[Figure]:
    return {figure for figure in figures if figure.name not in refused}


def _parent(
    record: SweepRecord, found: Sequence[RunFound], writer: Writer | None, has_curves: bool
) -> Iterable[str]:
    if writer is None or not found:
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
    has_datasets, there = writer.described(run.id)
    if not has_datasets:
        yield "the sweep's run names no dataset"
    if missing := expected - set(there):
        yield f"artifacts are missing: {', '.join(sorted(missing))}"
