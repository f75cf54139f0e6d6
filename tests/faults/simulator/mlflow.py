"""A simulated MLflow behind the real writer and the real teller.

It forgets nothing, dedupes equal figures as MLflow does, makes a second run whenever it is asked
again, writes a batch by half when it is cut short, and is down now and then.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from orchestrator.tracking import names
from orchestrator.tracking.database import Database
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer
from tests.faults.simulator.world import Crash, World

LOOK_S = 1.0
"""Between two looks at the outbox, and between two attempts at a server that is down."""


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Named(NamedTuple):
    key: str
    value: str


@dataclass
class Run:
    """One run as the server has it. `metrics` are rows: an equal row is there once."""

    id: str
    start: int
    tags: dict[str, str]
    status: str = "RUNNING"
    end: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    metrics: set[Metric] = field(default_factory=set)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    datasets: list[Any] = field(default_factory=list)
    is_deleted: bool = False


class Server:
    """What an `MlflowClient` reaches, with its faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.runs: dict[str, Run] = {}
        self.experiments: dict[str, str] = {}

    @property
    def live(self) -> list[Run]:
        return [run for run in self.runs.values() if not run.is_deleted]

    def get_experiment_by_name(self, name: str) -> Any:
        with self._asked():
            found = self.experiments.get(name)
            return found and SimpleNamespace(experiment_id=found, lifecycle_stage="active")

    def create_experiment(self, name: str, location: object, tags: object) -> str:
        with self._asked():
            return self.experiments.setdefault(name, str(len(self.experiments) + 1))

    def search_runs(
        self, experiments: object, filter_string: str, max_results: int, page_token: object
    ) -> Any:
        with self._asked():
            sweep = filter_string.split("'")[1]
            return _Page(map(_as_found, (r for r in self.live if r.tags[names.SWEEP] == sweep)))

    def create_run(
        self, experiment: str, start_time: int, tags: dict[str, str], run_name: str
    ) -> Any:
        with self._asked():
            run = Run(f"run-{len(self.runs) + 1:04d}", start_time, tags)
            self.runs[run.id] = run
            return _as_found(run)

    def log_batch(
        self,
        run_id: str,
        metrics: Iterable[Metric] = (),
        params: Iterable[Named] = (),
        tags: Iterable[Named] = (),
    ) -> None:
        with self._asked():
            run = self.runs[run_id]
            run.params.update(params)
            self._cut_short()
            run.metrics.update(metrics)
            self._cut_short()
            run.tags.update(tags)

    def update_run(self, run_id: str, status: str) -> None:
        with self._asked():
            self.runs[run_id].status, self.runs[run_id].end = status, None

    def set_terminated(self, run_id: str, status: str, end_time: int | None) -> None:
        with self._asked():
            self.runs[run_id].status, self.runs[run_id].end = status, end_time

    def get_run(self, run_id: str) -> Any:
        with self._asked():
            inputs = SimpleNamespace(dataset_inputs=self.runs[run_id].datasets)
            return SimpleNamespace(inputs=inputs)

    def log_inputs(self, run_id: str, datasets: list[Any]) -> None:
        with self._asked():
            self.runs[run_id].datasets = datasets

    def list_artifacts(self, run_id: str, path: str | None) -> list[Any]:
        with self._asked():
            there = self.runs[run_id].artifacts if path is None else {}
            return [SimpleNamespace(path=one, is_dir=False) for one in there]

    def log_artifact(self, run_id: str, path: str, parent: str | None) -> None:
        with self._asked():
            name = Path(path).name
            place = f"{parent}/{name}" if parent else name
            self.runs[run_id].artifacts[place] = Path(path).read_bytes()

    def delete_run(self, run_id: str) -> None:
        with self._asked():
            self.runs[run_id].is_deleted = True

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        if self._world.strikes("MLflow down"):
            raise ConnectionError("MLflow is down")
        yield
        if self._world.strikes("MLflow's answer lost"):
            raise TimeoutError("MLflow's answer is lost")

    def _cut_short(self) -> None:
        if self._world.strikes("MLflow writes by half"):
            raise ConnectionError("MLflow died in the middle")


class _Page(list[Any]):
    token = None


def _as_found(run: Run) -> Any:
    info = SimpleNamespace(run_id=run.id, status=run.status, start_time=run.start, end_time=run.end)
    metrics = {metric.key: metric.value for metric in run.metrics}
    data = SimpleNamespace(tags=dict(run.tags), params=dict(run.params), metrics=metrics)
    return SimpleNamespace(info=info, data=data)


class SimulatedWriter(Writer):
    """The real writer on a simulated client."""

    is_remote = True  # type: ignore[assignment]

    def __init__(self, server: Server) -> None:
        self._client = server
        self._entities = SimpleNamespace(
            Metric=Metric,
            Param=Named,
            RunTag=Named,
            InputTag=Named,
            Dataset=SimpleNamespace,
            DatasetInput=lambda dataset, tags: dataset,
        )
        self._store = SimpleNamespace(artifacts=None, folder=None, uri="simulated")
        self._tables = None
        self._refused, self._plain, self._artifacts = set(), set(), {}


class OneAtATime:
    """Stands in for a pool of threads where there is one thread."""

    def __init__(self, size: int) -> None:
        pass

    def __enter__(self) -> "OneAtATime":
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [work(item) for item in items]


class SimulatedMirror:
    """A `Mirror` without a thread: the world lets it look now and then."""

    def __init__(
        self,
        world: World,
        database: Database,
        server: Server,
        watched: Callable[[str], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._world, self._database, self._server = world, database, server
        self._watched = watched
        self.is_over = True
        self._sweep = ""
        self._teller: Teller | None = None

    def start(self, sweep: str) -> None:
        self._sweep, self.is_over = sweep, False
        self._look()

    def wake(self) -> None:
        pass

    def stop(self, drain_s: float) -> bool:
        is_told = not self.is_over and self._tell()
        self.is_over = True
        return is_told

    def _look(self) -> None:
        if not self.is_over:
            self._tell()
            self._world.later(LOOK_S, self._look)

    def _tell(self) -> bool:
        """Tell what there is; whatever goes wrong, the next attempt begins anew."""
        with self._watched(self._sweep):
            return self._attempt()

    def _attempt(self) -> bool:
        try:
            if self._teller is None:
                self._teller = teller_of(self._database, self._server, self._sweep)
            while self._teller.tell():
                pass
            self._teller.settle_up()
        except (Exception, Crash) as error:
            self._world.note("MLflow is not told of {}: {!r}", self._sweep[:8], error)
            self._teller = None
            return False
        return True


def teller_of(database: Database, server: Server, sweep: str) -> Teller:
    """The real teller, having looked at what the server has."""
    teller = Teller(database, SimulatedWriter(server), sweep)
    teller.prepare()
    return teller
