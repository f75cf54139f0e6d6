"""The way back: sweeps as the mirror has them, and a lost ledger rebuilt from it.

What returns: keys, outcomes, measures, seconds, attempt numbers and times, bit for bit; learning
curves where the sweep had ended. What does not: rounds, attempts that gave no result, reasons of
gaps, and whatever the mirror lagged. A sweep that is resumed asks for the same rounds again, since
the note of what it could reuse returns too, and finds the trials settled, so it trains none of them
twice. Teachers that nobody asked for are not in MLflow: those that are still wanted are trained
again.
"""

import json
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.domain.curves import Curves
from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.plugin import canonical_json, load_source
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.errors import SweepInUse, TrackerUnreachable, UnknownSweep
from orchestrator.plan.reuse import Reusable
from orchestrator.ports import Attempt, Member, Settled, SweepRecord, Whereabouts
from orchestrator.tracking import curve_table, names, outbox, queries, rows, writes
from orchestrator.tracking.cell_metrics import Figure
from orchestrator.tracking.client import CONNECTIONS, RunFound, client_of, runs_of
from orchestrator.tracking.database import Database
from orchestrator.tracking.histories import histories
from orchestrator.tracking.locks import lock_for
from orchestrator.tracking.places import Store, ledger_at, store_at
from orchestrator.tracking.probe import probe
from orchestrator.tracking.schema import builds, cells, gaps, reusable, sweeps, trials

log = logging.getLogger(__name__)

_Values = dict[str, tuple[float, int]]
"""Value and time (ms) of each figure of one trial."""

_OUTCOMES = {number: Outcome(name) for name, number in names.OUTCOME_NUMBERS.items()}


class MirrorReader:
    """Sweeps of an MLflow store. Raises `TrackerUnreachable`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_empty = store.folder is not None and not (store.folder / "mlflow.db").exists()
        if not self._is_empty:
            probe(store)

    def sweeps(self) -> list[SweepRecord]:
        """Every sweep, newest first."""
        if self._is_empty:
            return []
        found = self._runs(f"tags.`{names.ROLE}` = 'sweep'")
        return [self._record(run) for run in reversed(found)]

    def sweep(self, sweep: str) -> SweepRecord:
        """One sweep by its whole id."""
        return self._record(self._parent(sweep))

    def members(self, sweep: str) -> list[Member]:
        """The settled trials of a sweep; all in round 0, by arm and point."""
        return [member for member, _ in self.timed_members(sweep)]

    def timed_members(self, sweep: str, whole: bool = False) -> list[tuple[Member, float]]:
        """The settled trials, each with the time when it was, in seconds since the epoch.

        `whole` leaves out cells with a measure that MLflow refused: they are not what was settled.
        """
        chosen = f"tags.`{names.SWEEP}` = '{self._parent(sweep).tags[names.SWEEP]}'"
        found = [run for run in self._runs(chosen) if run.is_cell and not (whole and _lacks(run))]
        written = [run for run in found if names.COMMIT in run.tags]  # the others are half-written
        told = self._trials(written)
        return [member for run in written for member in _cell_members(run, told[run.id])]

    def figures(self, sweep: str) -> dict[str, tuple[float, float]]:
        """Newest value and time, in seconds, of each figure of the sweep as a whole."""
        run = self._client.get_run(self._parent(sweep).id)
        found = {}
        for name, value in run.data.metrics.items():
            history = self._client.get_metric_history(run.info.run_id, name)
            found[name] = (value, max(point.timestamp for point in history) / 1e3)
        return found

    def reusable(self, sweep: str) -> list[Reusable]:
        """What the sweep could reuse when it was first opened."""
        documents = self._documents(self._parent(sweep).id)
        return rows.reusable_of(documents.get(names.REUSABLE, "[]"))

    def curves(self, sweep: str, keys: Sequence[str]) -> dict[str, Curves]:
        """Learning curves, which MLflow has of a sweep that has ended."""
        run, wanted = self._parent(sweep).id, set(keys)
        if not any(file.path == curve_table.PATH for file in self._client.list_artifacts(run)):
            return {}
        with tempfile.TemporaryDirectory() as folder:
            local = self._client.download_artifacts(run, curve_table.PATH, folder)
            found = curve_table.unpacked(Path(local).read_bytes())
        return {key: own for key, own in found.items() if key in wanted}

    def attempts(self, keys: Sequence[str]) -> dict[str, list[Attempt]]:
        """MLflow is not told of attempts that gave no result."""
        return {key: [] for key in keys}

    def losses(self, sweep: str) -> list[tuple[str, int, int]]:
        """Nor of these."""
        return []

    def whereabouts(self, sweep: str) -> tuple[float, list[Whereabouts]] | None:
        """Nor of these."""
        return None

    def lag(self, sweep: str) -> int:
        """Nothing here knows what MLflow has not been told."""
        return 0

    def close(self) -> None:
        """Nothing stays open."""

    @cached_property
    def _client(self) -> Any:
        try:
            return client_of(self._store)
        except Exception as error:  # whatever SQLAlchemy, requests or MLflow make of it
            raise TrackerUnreachable(f"{self._store.uri}: {error}") from error

    def _runs(self, chosen: str) -> list[RunFound]:
        try:
            experiments = self._client.search_experiments()
            ids = [experiment.experiment_id for experiment in experiments]
            return runs_of(self._client, ids, chosen)
        except TrackerUnreachable:
            raise
        except Exception as error:  # as above
            raise TrackerUnreachable(f"{self._store.uri}: {error}") from error

    def _parent(self, sweep: str) -> RunFound:
        found = [] if self._is_empty else self._runs(f"tags.`{names.ROLE}` = 'sweep'")
        for run in found:
            if run.tags[names.SWEEP] == sweep:
                return run
        raise UnknownSweep(f"MLflow ({self._store.uri}) has no sweep with the id {sweep!r}")

    def _record(self, run: RunFound) -> SweepRecord:
        documents = self._documents(run.id)
        understood = documents.pop("spec/as_understood.json", "{}")
        written = [text for path, text in documents.items() if path.startswith("spec/as_written")]
        return SweepRecord(
            id=run.tags[names.SWEEP],
            name=run.tags[names.NAME],
            spec_json=canonical_json(json.loads(understood)),
            spec_source="".join(written[:1]),
            status=run.tags[names.STATUS],  # type: ignore[arg-type]
            started=run.start_ms / 1e3,
            ended=None if run.end_ms is None else run.end_ms / 1e3,
            stopped_by=run.tags.get(names.STOPPED_BY) or None,  # type: ignore[arg-type]
            plugins=tuple(
                (Path(path).stem, text)
                for path, text in documents.items()
                if path.startswith("plugins/")
            ),
            mlflow_run=run.id,
        )

    def _documents(self, run: str) -> dict[str, str]:
        """The small texts that were stored with a sweep, by path."""
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            for place in ("spec", "plugins"):
                for file in self._client.list_artifacts(run, place):
                    local = self._client.download_artifacts(run, file.path, folder)
                    found[file.path] = Path(local).read_text(encoding="utf-8")
        return found

    def _trials(self, runs: Sequence[RunFound]) -> dict[str, dict[int, _Values]]:
        """What MLflow has of each run's trials, by repeat; whole trials only."""
        connections = CONNECTIONS if self._store.folder is None else 1
        try:
            told = histories(self._client, runs, connections, prefix="trial.")
        except Exception as error:  # as above
            raise TrackerUnreachable(f"{self._store.uri}: {error}") from error
        return {run: _by_repeat(figures) for run, figures in told.items()}


def _by_repeat(figures: Iterable[Figure]) -> dict[int, _Values]:
    found: dict[int, _Values] = defaultdict(dict)
    for one in sorted(figures, key=lambda figure: figure.time_ms):  # a gap is filled later
        found[one.step][one.name] = (one.value, one.time_ms)
    return {repeat: values for repeat, values in found.items() if "trial.outcome" in values}


def _cell_members(run: RunFound, trials: Mapping[int, _Values]) -> list[tuple[Member, float]]:
    params = run.params
    cell = Cell(
        Target.from_settings(json.loads(run.tags[names.TARGET])),
        Learner.from_settings(json.loads(run.tags[names.LEARNER])),
        Point(d=int(params["d"]), n=int(params["n"]), k=int(params["k"])),
    )
    members = []
    for repeat, values in sorted(trials.items()):
        trial = Trial(cell, repeat, int(params["seed"]))
        if cell.key != run.tags[names.CELL]:  # an older revision: keep apart from today's
            trial.__dict__["key"] = f"{run.tags[names.CELL]}/{repeat}"
        settled = _settled(trial, values)
        state = "gap" if settled.is_gap else "done"
        member = Member(trial, int(run.tags[names.ARM]), 0, state, settled)  # type: ignore[arg-type]
        members.append((member, values["trial.outcome"][1] / 1e3))
    return members


def _lacks(run: RunFound) -> bool:
    refused = json.loads(run.tags.get(names.REFUSED, "[]"))
    return any(name.startswith("trial.") for name in refused)


def _settled(trial: Trial, values: _Values) -> Settled:
    plain = {name.removeprefix("trial."): value for name, (value, _) in values.items()}
    outcome = _OUTCOMES.get(plain.pop("outcome"))
    attempt = int(plain.pop("attempt", 1))
    seconds = plain.pop("seconds", 0.0)
    result = None if outcome is None else Result(trial.key, outcome, plain, seconds)
    return Settled(trial, result, attempt)


def rebuild(store: str, ledger: str | None, sweep: str) -> SweepRecord:
    """Put what MLflow has of a sweep (its whole id) back into the ledger; the sweep's record.

    Trials that the ledger has settled stay as they are; results of an older revision of a plug-in,
    and those with a measure that MLflow refused, are left out. Nothing is told to MLflow again.
    Plug-in files that the sweep came with are loaded. The sweep is then `interrupted` and can be
    resumed. Raises `UnknownSweep`, `TrackerUnreachable`, `LedgerUnreachable`, `SweepInUse` and
    `PluginError`.
    """
    place = store_at(store)
    reader = MirrorReader(place)
    record = reader.sweep(sweep)
    for name, source in record.plugins:
        load_source(name, source)
    found = [
        (member, settled_at)
        for member, settled_at in reader.timed_members(sweep, whole=True)
        if "/" not in member.trial.key
    ]
    database = Database(ledger_at(ledger, place))
    lock = lock_for(database, sweep)
    if not lock.take():
        raise SweepInUse(f"sweep {sweep} is being answered; nothing was rebuilt")
    try:
        curves = _learnt(reader, sweep, [member.trial.key for member, _ in found])
        _restore(database, record, found, curves, reader.reusable(sweep), reader.figures(sweep))
    finally:
        lock.release()
        database.close()
    return record


def _learnt(reader: MirrorReader, sweep: str, keys: Sequence[str]) -> dict[str, Curves]:
    """Learning curves, for pictures alone: a ledger comes back without them too."""
    try:
        return reader.curves(sweep, keys)
    except Exception as error:  # whatever MLflow, its artifact store or pyarrow make of it
        log.warning("learning curves of sweep %s cannot be read and stay lost: %s", sweep, error)
        return {}


def _restore(
    database: Database,
    record: SweepRecord,
    found: Sequence[tuple[Member, float]],
    curves: Mapping[str, Curves],
    could_reuse: Sequence[Reusable],
    figures: Mapping[str, tuple[float, float]],
) -> None:
    """Everything in the order in which it was settled, and marked as told: it came from there."""
    own_cells = {member.trial.cell.key: member.trial.cell for member, _ in found}
    with database.writing() as connection:
        build = {"id": rows.build_id(rows.versions()), "versions": rows.versions()}
        writes.add_new(connection, builds, [build])
        writes.add_new(connection, sweeps, [rows.sweep_row(record) | {"status": "interrupted"}])
        # Also an empty note: else the sweep would take its own trials for another's.
        writes.add_new(connection, reusable, [rows.reusable_row(record.id, could_reuse)])
        writes.add_new(connection, cells, [rows.cell_row(cell) for cell in own_cells.values()])
        writes.add_new(connection, trials, [rows.trial_row(member.trial) for member, _ in found])
        stand = queries.states(connection, [member.trial.key for member, _ in found])
        settling, given_up, told = {}, [], []
        for member, settled_at in sorted(found, key=lambda one: one[1]):
            key, settled = member.trial.key, member.settled
            if settled is None:
                continue
            told.append(("gap" if settled.is_gap else "trial", key, settled_at))
            if settled.result is None:
                gap = rows.gap_row(record.id, key, settled.attempt, settled_at, settled.reasons)
                given_up.append(gap)
            elif stand[key][0] == "open":
                row = rows.settled_row(settled.result, settled.attempt)
                settling[key] = row | {"settled": settled_at}
        writes.add_new(connection, gaps, given_up)
        writes.raise_attempts(connection, {gap["key"]: gap["attempt"] for gap in given_up})
        writes.settle(connection, settling, time.time(), "rebuilt from MLflow")
        writes.keep_curves(connection, {key: curves[key] for key in settling if key in curves})
        outbox.note_told(connection, record.id, told)
        known = queries.published(connection, record.id)
        missing = {name: one for name, one in figures.items() if name not in known}
        writes.keep_figures(connection, record.id, missing)
