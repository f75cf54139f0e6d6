"""Telling MLflow one sweep: what runs it has, what they lack, and what is new.

Everything here may be interrupted anywhere and done again: runs are found by tag before any is
made, figures carry the ledger's times, and the commit tag of a run comes last.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Row

from orchestrator.domain.curves import Curves
from orchestrator.failpoints import around
from orchestrator.ports import SweepRecord
from orchestrator.spec import question_of
from orchestrator.tracking import curve_table, names, outbox, queries
from orchestrator.tracking.cell_metrics import (
    Criterion,
    Figure,
    aggregate_figures,
    cell_curves,
    success_of,
    trial_figures,
)
from orchestrator.tracking.client import CONNECTIONS, RunFound
from orchestrator.tracking.database import Database
from orchestrator.tracking.documents import documents, targets_of
from orchestrator.tracking.tables import CellEntry
from orchestrator.tracking.writer import Writer, version_tags

_T = TypeVar("_T")


class Stopped(Exception):
    """Asked to stop in the middle; what was written is marked, the rest stays queued."""


@dataclass(frozen=True)
class CellRun:
    """A cell's run: whether its parameters are there, and whether it has ended."""

    id: str
    is_described: bool
    has_ended: bool


_NO_RUN = CellRun("", is_described=False, has_ended=False)


class Teller:
    """Tells MLflow one sweep. `stopped` is asked between calls."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        sweep: str,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._writer = writer
        self._sweep = sweep
        self._stopped = stopped
        self._cells: dict[str, CellRun] = {}
        self._experiment = ""
        self._parent = ""
        self._settled_as: str | None = None

    def prepare(self) -> None:
        """Find the sweep's runs, remove duplicates, and queue again what MLflow has lost."""
        record = self._record()
        self._experiment = self._writer.experiment(record.name)
        found = self._writer.runs_of(self._experiment, self._sweep)
        parents = [run for run in found if not run.is_cell]
        self._parent = self._adopt_parent(record, parents)
        self._adopt_cells([run for run in found if run.is_cell])

    def tell(self) -> int:
        """Tell one batch of what is queued; how many entries that was. The last, that the sweep is
        to be made complete, is for `settle_up`.
        """
        with self._database.reading() as connection:
            found = outbox.unsent(connection, self._sweep)
        entries = [entry for entry in found if entry.kind != "settle"]
        if not entries:
            return 0
        kinds: dict[str, list[Row[Any]]] = defaultdict(list)
        for entry in entries:
            kinds[entry.kind].append(entry)
        # The status first: it must be true even where there is no time for more.
        self._tell_status(kinds["sweep"])
        self._tell_trials([*kinds["trial"], *kinds["gap"]])
        self._tell_metrics(kinds["metrics"])
        self._tell_note(kinds["note"])
        self._tell_artifacts(kinds["artifact"])
        return len(entries)

    def settle_up(self) -> None:
        """Close the runs of a sweep that has ended, and say it is complete; nothing is queued."""
        record = self._record()
        if record.status == "running" or self._settled_as == record.status:
            return
        if self._writer.is_remote:  # a lost reply may have doubled a run unnoticed
            self.prepare()
        self._each([cell for cell, run in self._cells.items() if not run.has_ended], self._end)
        self._tell_curves(record)
        self._writer.log(self._parent, [], {}, {names.COMMIT: self._sweep})
        with self._database.writing() as connection:
            outbox.drop_settling(connection, self._sweep)
        self._settled_as = record.status

    def _end(self, cells: Sequence[str]) -> None:
        """Close the runs of cells that wait for trials which will not come."""
        record = self._record()
        for cell in cells:
            run = self._cells[cell].id
            self._writer.log(run, [], {}, {names.STATUS: record.status})
            self._writer.set_status(run, "KILLED", record.ended)
            self._cells[cell] = replace(self._cells[cell], has_ended=True)

    # what MLflow has

    def _adopt_parent(self, record: SweepRecord, found: Sequence[RunFound]) -> str:
        known = [run for run in found if run.id == record.mlflow_run] or list(found[:1])
        for run in found:
            if run.id != known[0].id:
                self._writer.delete(run.id)
        parent = known[0].id if known else self._new_parent(record)
        self._complete(parent, record)
        with self._database.writing() as connection:
            outbox.set_run(connection, self._sweep, parent)
            if not known:
                outbox.tell_sweep_again(connection, self._sweep)
        return parent

    def _new_parent(self, record: SweepRecord) -> str:
        return self._writer.new_sweep(self._experiment, record, question_of(record.spec_source))

    def _complete(self, parent: str, record: SweepRecord) -> None:
        """Put beside a parent run what it lacks, all of it where it is new: it may have been left
        half-made.
        """
        has_datasets, there = self._writer.described(parent)
        if not has_datasets:
            self._writer.name_datasets(parent, targets_of(record))
        for path, text in documents(record):
            if path not in there:
                self._writer.put(parent, path, text.encode())

    def _adopt_cells(self, found: Sequence[RunFound]) -> None:
        """Keep one run per cell, the one with most in it; queue again what it lacks."""
        with self._database.reading() as connection:
            told = outbox.told_counts(connection, self._sweep)
        best: dict[str, RunFound] = {}
        for run in sorted(found, key=_count, reverse=True):  # stable: the oldest of equals first
            if best.setdefault(run.tags[names.CELL], run) is not run:
                self._writer.delete(run.id)
        self._cells = {
            cell: CellRun(run.id, names.COMMIT in run.tags, run.status == "FINISHED")
            for cell, run in best.items()
        }
        held = {cell: _count(run) for cell, run in best.items()}
        lost = [cell for cell, count in told.items() if held.get(cell, 0) < count]
        if lost:
            with self._database.writing() as connection:
                outbox.tell_cells_again(connection, self._sweep, lost)

    # what is new

    def _tell_status(self, entries: Sequence[Row[Any]]) -> None:
        if not entries:
            return
        record = self._record()
        self._settled_as = None
        tags = {names.STATUS: record.status, names.STOPPED_BY: record.stopped_by or ""}
        self._writer.log(self._parent, [], {}, tags)
        self._writer.set_status(self._parent, names.RUN_STATUS[record.status], record.ended)
        self._mark(entry.id for entry in entries)

    def _tell_trials(self, entries: Sequence[Row[Any]]) -> None:
        """Cell by cell; in order within a cell."""
        if not entries:
            return
        with self._database.reading() as connection:
            cells = outbox.cells_of(connection, [entry.subject for entry in entries])
        told: list[int] = []
        succeeds = success_of(self._record().spec_json)

        def tell(some: Sequence[str]) -> None:
            if not self._stopped():
                told.extend(self._tell_cells(some, succeeds))

        try:
            self._each(cells, tell)
        finally:
            self._mark(told)
        if self._stopped():
            raise Stopped

    def _each(self, cells: Sequence[_T], work: Callable[[Sequence[_T]], object]) -> None:
        """Work on all of them at once, or with a server on each by itself, several at a time."""
        if not self._writer.is_remote:
            work(cells)
            return
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda cell: work([cell]), cells))

    def _tell_cells(self, cells: Sequence[str], succeeds: Criterion | None) -> list[int]:
        with self._database.reading() as connection:
            news = outbox.cell_news(connection, self._sweep, cells)
        known = [self._cells.get(cell, _NO_RUN) for cell in cells]
        written = [self._entry(run, one, succeeds) for run, one in zip(known, news, strict=True)]
        runs = self._writer.write_cells(self._experiment, written)
        for cell, run, before, entry in zip(cells, runs, known, written, strict=True):
            has_ended = before.has_ended or entry.ended is not None
            self._cells[cell] = CellRun(run, is_described=True, has_ended=has_ended)
        return [entry for one in news for entry in one.entries]

    def _entry(self, run: CellRun, news: outbox.CellNews, succeeds: Criterion | None) -> CellEntry:
        row, first = news.row, news.trials[0]
        figures = [
            trial_figures(trial)
            for trial, fresh in zip(news.trials, news.fresh, strict=True)
            if fresh
        ]
        figures.append(aggregate_figures(news.trials, succeeds))
        kinds = f"{_kind(row['target'])} {_kind(row['learner'])}"
        return CellEntry(
            run=run.id or None,
            name=f"{kinds} d={row['d']} n={row['n']} k={row['k']}",
            started=first.time_ms / 1e3 - (first.seconds or 0.0),
            tags={} if run.id else self._tags(news),
            figures=figures,
            params={} if run.is_described else names.cell_params(row, news.seed),
            commit={
                names.STATUS: "finished" if news.is_settled else "running",
                names.COMMIT: f"{row['key']}:{len(news.trials)}",
            },
            ended=news.trials[-1].time_ms / 1e3 if news.is_settled and not run.has_ended else None,
        )

    def _tags(self, news: outbox.CellNews) -> dict[str, str]:
        return {
            names.ROLE: "cell",
            names.SWEEP: self._sweep,
            names.CELL: news.row["key"],
            names.TARGET: names.shown(news.row["target"]),
            names.LEARNER: names.shown(news.row["learner"]),
            names.ARM: str(news.arm),
            names.PARENT: self._parent,
            **version_tags(),
        }

    def _tell_curves(self, record: SweepRecord) -> None:
        """Learning curves, once a sweep has ended: their mean changes with every trial, and MLflow
        would keep, and show, every value that it ever had. So one that may go on has only the file.
        """
        with self._database.reading() as connection:
            cells = queries.cells_with_curves(connection, self._sweep)
        if cells:
            is_over = record.status == "finished"
            chunks = queries.chunks(cells)
            table = curve_table.packed(self._tell_curves_of(chunk, is_over) for chunk in chunks)
            self._writer.put(self._parent, curve_table.PATH, table)

    def _tell_curves_of(self, cells: Sequence[str], is_over: bool) -> dict[str, Curves]:
        """The curves of some cells, by trial; they are told where the sweep is over."""
        if self._stopped():
            raise Stopped
        with self._database.reading() as connection:
            found = list(queries.curves_of_cells(connection, self._sweep, cells))
        if is_over:
            entries = [
                CellEntry.more(self._cells[cell].id, [cell_curves(trials)])
                for cell, trials in queries.by_cell(found)
                if cell in self._cells  # else its run has vanished since, and will be told again
            ]
            self._each(entries, lambda some: self._writer.write_cells(self._experiment, some))
        return {key: curves for _, key, _, curves in found}

    def _tell_metrics(self, entries: Sequence[Row[Any]]) -> None:
        """Figures of the sweep as a whole; their step is the second of the sweep."""
        started = self._record().started
        figures = [
            [
                Figure(name, value, round(entry.queued * 1e3), max(0, int(entry.queued - started)))
                for name, value in json.loads(entry.payload).items()
            ]
            for entry in entries
        ]
        if figures:
            self._writer.log(self._parent, figures, {}, {})
            with self._database.writing() as connection:
                outbox.drop_told(connection, [entry.id for entry in entries])

    def _tell_note(self, entries: Sequence[Row[Any]]) -> None:
        """The newest of them: it replaces the others."""
        if entries:
            self._writer.log(self._parent, [], {}, {names.NOTE: names.shown(entries[-1].payload)})
            with self._database.writing() as connection:
                outbox.drop_told(connection, [entry.id for entry in entries])

    def _tell_artifacts(self, entries: Sequence[Row[Any]]) -> None:
        paths: dict[str, list[int]] = {}
        for entry in entries:
            paths.setdefault(entry.subject, []).append(entry.id)
        for path, ids in paths.items():
            if self._stopped():
                raise Stopped
            with self._database.reading() as connection:
                content = outbox.artifact(connection, self._sweep, path)
            if content is not None:
                self._writer.put(self._parent, path, content)
            with around("outbox.drop"), self._database.writing() as connection:
                if content is not None:
                    outbox.drop_artifact(connection, self._sweep, path, content)
                outbox.drop_told(connection, ids)

    def _mark(self, entries: Iterable[int]) -> None:
        told = list(entries)
        if told:
            with around("outbox.mark"), self._database.writing() as connection:
                outbox.mark_told(connection, told)

    def _record(self) -> SweepRecord:
        with self._database.reading() as connection:
            record = queries.sweep_record(connection, self._sweep)
        assert record is not None
        return record


def _count(run: RunFound) -> int:
    """How many trials a cell's run holds, by its commit tag; 0 for a half-written one."""
    count = run.tags.get(names.COMMIT, "").rpartition(":")[2]
    return int(count) if count.isdigit() else 0


def _kind(settings: str) -> str:
    return str(json.loads(settings)["kind"])
