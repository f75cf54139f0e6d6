"""Writing to MLflow: the only module that calls it while a sweep runs.

MLflow's client waits 246 s for a dead server and answers a lost reply by creating a second run
(both measured on 3.17), so requests are short here, retries are the mirror's, and runs are found by
tag.
"""

import getpass
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from orchestrator.domain.plugin import canonical_json
from orchestrator.failpoints import around
from orchestrator.ports import SweepRecord
from orchestrator.tracking import names, rows
from orchestrator.tracking.cell_metrics import Figure, in_batches
from orchestrator.tracking.client import CONNECTIONS, RunFound, client_of, quiet_mlflow, runs_of
from orchestrator.tracking.histories import histories
from orchestrator.tracking.places import Store
from orchestrator.tracking.tables import CellEntry, tables_of

log = logging.getLogger(__name__)

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}([.-][A-Za-z0-9_]{1,70}){0,2}", re.ASCII)
"""Names of figures and parameters that MLflow surely takes. Others are for its client to judge."""

BATCH = 900
"""Metrics per call; MLflow takes 1000 entries, and a cell's parameters and tags come along."""


class Writer:
    """A connection to an MLflow store. Methods raise whatever MLflow does; all may be repeated.

    Without `at_once` cells are told through MLflow's client even where its tables are at hand.
    """

    def __init__(self, store: Store, at_once: bool = True) -> None:
        self._store = store
        self._entities = quiet_mlflow().entities
        self._client = client_of(store)
        self._refused: set[str] = set()  # names of figures and parameters
        self._plain: set[str] = set()
        self._artifacts: dict[str, str] = {}  # of experiments
        own = at_once and not self.is_remote
        self._tables = tables_of(self._client._tracking_client.store) if own else None

    @property
    def is_remote(self) -> bool:
        """Whether calls go over HTTP, where several at a time pay."""
        return self._store.folder is None

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made or brought back where it has to be."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = self._store.artifacts
            location = None if place is None else f"{place}/{quote(name, safe='')}"
            with around("mlflow.experiment"):
                return str(self._client.create_experiment(name, location, names.EXPERIMENT_TAGS))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def known_experiment(self, name: str) -> str | None:
        """The id of the experiment of that name, if it is there; nothing is made."""
        found = self._client.get_experiment_by_name(name)
        is_there = found is not None and found.lifecycle_stage != "deleted"
        return str(found.experiment_id) if is_there else None

    def runs_of(self, experiment: str, sweep: str) -> list[RunFound]:
        """Every run of a sweep, oldest first."""
        return runs_of(self._client, [experiment], f"tags.`{names.SWEEP}` = '{sweep}'")

    def figures_of(self, runs: Sequence[RunFound]) -> dict[str, set[Figure]]:
        """Every figure that MLflow ever had of those runs."""
        if self._tables is None:
            return histories(self._client, runs, CONNECTIONS if self.is_remote else 1)
        found: dict[str, set[Figure]] = {run.id: set() for run in runs}
        for run, figure in self._tables.figures_of(list(found)):
            found[run].add(figure)
        return found

    def described(self, run: str) -> tuple[bool, list[str]]:
        """Whether a sweep's run names its datasets, and the paths of its artifacts."""
        has_datasets = bool(self._client.get_run(run).inputs.dataset_inputs)
        return has_datasets, self.artifacts_of(run)

    def artifacts_of(self, run: str) -> list[str]:
        """Paths of a run's artifacts, those in folders included."""
        found: list[str] = []
        folders = [""]
        while folders:
            for file in self._client.list_artifacts(run, folders.pop() or None):
                (folders if file.is_dir else found).append(file.path)
        return found

    def new_sweep(self, experiment: str, record: SweepRecord, question: str) -> str:
        """A parent run; its id."""
        tags = {
            names.ROLE: "sweep",
            names.SWEEP: record.id,
            names.NAME: record.name,
            names.STATUS: record.status,
            names.QUESTION: names.shown(question),
            names.NOTE: names.shown(question),
            **_source(record),
        }
        return self._new_run(experiment, f"{record.name} {record.id[:8]}", record.started, tags)

    def name_datasets(self, run: str, targets: Sequence[Mapping[str, Any]]) -> None:
        """Say which target classes a sweep learns, as MLflow's datasets: each once."""
        entities = self._entities
        inputs = [
            entities.DatasetInput(
                entities.Dataset(
                    name=str(target["kind"]),
                    digest=_digest(target),
                    source_type="phasefront target class",
                    source=names.shown(dict(target)),
                ),
                tags=[entities.InputTag("mlflow.data.context", "target class")],
            )
            for target in targets
        ]
        with around("mlflow.inputs"):
            self._client.log_inputs(run, datasets=inputs)

    def write_cells(self, experiment: str, entries: Sequence[CellEntry]) -> list[str]:
        """Tell cells, in one transaction where MLflow's tables are at hand; their runs, in order.

        A cell with a name that MLflow may refuse goes through its client. Raises `LookupError` when
        a run is gone.
        """
        plain = [self._tables is not None and self._is_plain(entry) for entry in entries]
        runs = [
            "" if is_plain else self._write_cell(experiment, entry)
            for entry, is_plain in zip(entries, plain, strict=True)
        ]
        at_once = [at for at, is_plain in enumerate(plain) if is_plain]
        if self._tables is not None and at_once:
            if experiment not in self._artifacts:
                place = self._client.get_experiment(experiment).artifact_location
                self._artifacts[experiment] = place
            with around("mlflow.log"):
                made = self._tables.write(
                    experiment, self._artifacts[experiment], [entries[at] for at in at_once]
                )
            for at, run in zip(at_once, made, strict=True):
                runs[at] = run
        return runs

    def _write_cell(self, experiment: str, entry: CellEntry) -> str:
        run = entry.run or self._new_run(experiment, entry.name, entry.started, entry.tags)
        self.log(run, entry.figures, entry.params, entry.commit)
        if entry.ended is not None:
            self.set_status(run, "FINISHED", entry.ended)
        return run

    def _is_plain(self, entry: CellEntry) -> bool:
        """Whether MLflow surely takes every name."""
        names = {figure.name for group in entry.figures for figure in group} | entry.params.keys()
        new = names - self._plain
        if not all(PLAIN_NAME.fullmatch(name) for name in new):
            return False
        self._plain |= new
        return True

    def log(
        self,
        run: str,
        figures: Sequence[Sequence[Figure]],
        params: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> None:
        """Write all of it, tags last: what they say is true once they are there.

        Each of `figures` is a group that is not torn apart. What MLflow will never take, such as a
        measure named `hit@5`, is left out, said once in the log, and named by a tag of the run.
        """
        try:
            self._log(run, figures, params, tags)
        except Exception as error:
            if not _is_refusal(error) or not self._learn_refused(run, figures, params):
                raise
            self._log(run, figures, params, tags)

    def _log(
        self,
        run: str,
        figures: Sequence[Sequence[Figure]],
        params: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> None:
        refused = {one.name for group in figures for one in group} | set(params)
        refused &= self._refused
        if refused:
            figures = [[one for one in group if one.name not in refused] for group in figures]
            params = {name: value for name, value in params.items() if name not in refused}
            tags = {names.REFUSED: json.dumps(sorted(self._refused)), **tags}
        entities = self._entities
        batches = [
            [entities.Metric(one.name, one.value, one.time_ms, one.step) for one in batch]
            for batch in in_batches(figures, BATCH)
        ]
        all_params = [entities.Param(name, value) for name, value in params.items()]
        all_tags = [entities.RunTag(name, value) for name, value in tags.items()]
        with around("mlflow.log"):
            for batch in batches[:-1]:
                self._client.log_batch(run, metrics=batch)
            self._client.log_batch(run, metrics=batches[-1], params=all_params, tags=all_tags)

    def _learn_refused(
        self, run: str, figures: Sequence[Sequence[Figure]], params: Mapping[str, str]
    ) -> bool:
        """Write each name by itself; whether some were refused, by a run that takes others.

        A run that takes nothing was removed, which is no fault of a name.
        """
        by_name = {one.name: one for group in figures for one in group}
        entities, new = self._entities, set()
        for name, one in by_name.items():
            metric = entities.Metric(name, one.value, one.time_ms, one.step)
            if not self._takes(run, metrics=[metric]):
                new.add(name)
        for name, value in params.items():
            if not self._takes(run, params=[entities.Param(name, value)]):
                new.add(name)
        new -= self._refused
        told = entities.RunTag(names.REFUSED, json.dumps(sorted(new | self._refused)))
        if not new or not self._takes(run, tags=[told]):
            return False
        for name in sorted(new):
            log.warning(
                "MLflow refuses the name %r; the ledger keeps it, MLflow goes without", name
            )
        self._refused |= new
        return True

    def _takes(self, run: str, **entries: Any) -> bool:
        try:
            self._client.log_batch(run, **entries)
        except Exception as error:
            if _is_refusal(error):
                return False
            raise
        return True

    def set_status(self, run: str, status: str, ended: float | None) -> None:
        """Set MLflow's own status (RUNNING, FINISHED, KILLED, FAILED), and the end where known."""
        ended_ms = None if ended is None else round(ended * 1e3)
        with around("mlflow.set_status"):
            if status == "RUNNING":
                self._client.update_run(run, status=status)
            else:
                self._client.set_terminated(run, status, ended_ms)

    def put(self, run: str, path: str, content: bytes) -> None:
        """Store an artifact under its relative path."""
        place = PurePosixPath(path)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, place.name)
            file.write_bytes(content)
            parent = None if place.parent == PurePosixPath() else str(place.parent)
            with around("mlflow.put"):
                self._client.log_artifact(run, str(file), parent)

    def delete(self, run: str) -> None:
        """Remove a duplicate; MLflow keeps deleted runs until its own clean-up."""
        self._client.delete_run(run)

    def _new_run(self, experiment: str, name: str, started: float, tags: Mapping[str, str]) -> str:
        with around("mlflow.new_run"):
            run = self._client.create_run(
                experiment, start_time=round(started * 1e3), tags=dict(tags), run_name=name
            )
        return str(run.info.run_id)


def _source(record: SweepRecord) -> dict[str, str]:
    """Where a sweep came from, in MLflow's own words."""
    return {
        names.SOURCE_NAME: record.name,
        names.SOURCE_TYPE: "LOCAL",
        names.USER: _user(),
        **version_tags(),
    }


@cache
def version_tags() -> dict[str, str]:
    """Versions and commit of this process, as tags."""
    versions = rows.versions()
    commit = json.loads(versions).get("commit")
    return {names.VERSIONS: versions, **({names.SOURCE_COMMIT: commit} if commit else {})}


def _digest(target: Mapping[str, Any]) -> str:
    return hashlib.blake2b(canonical_json(dict(target)).encode(), digest_size=4).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow will say the same to the same words for ever."""
    return getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE"
