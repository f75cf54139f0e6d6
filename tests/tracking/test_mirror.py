"""The mirror on a real MLflow database: complete, written once, repaired, and never in the way."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.learner import Outcome
from orchestrator.ports import SweepRecord
from orchestrator.tracking.client import client_of
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.mirror import OutboxMirror
from orchestrator.tracking.places import Store, ledger_at
from orchestrator.tracking.teller import Teller
from orchestrator.tracking.writer import Writer
from tests.tracking.values import a_result, a_sweep, a_trial, some_trials

PLUGIN = ("told_of", "# a plug-in file\n")


@pytest.fixture
def database(store: Store) -> Iterator[Database]:
    database = Database(ledger_at(None, store))
    yield database
    database.close()


def mirrored(database: Database, store: Store, connect: Callable[..., Any] = Writer) -> Ledger:
    return Ledger(database, OutboxMirror(database, store, connect, pace_s=0.0))


def begun(ledger: Ledger, record: SweepRecord | None = None) -> Ledger:
    """Open, and ask for three trials in each of two cells."""
    ledger.open(record or a_sweep(plugins=(PLUGIN,)))
    ledger.record_round(0, [], [(0, trial) for n in (20, 24) for trial in some_trials(3, n)])
    return ledger


def answer(ledger: Ledger) -> None:
    """Settle all six: a diverged one, one out of budget, a gap, and three that were fitted."""
    first, second = some_trials(3, 20), some_trials(3, 24)
    done = [
        a_result(first[0], train_error=0.5),
        a_result(first[1], train_error=0.0),
        type(a_result(first[2]))(first[2].key, Outcome.DIVERGED, {}, 0.25),
        a_result(second[0], train_error=0.25),
        a_result(second[1], Outcome.OUT_OF_BUDGET, train_error=0.125),
    ]
    keys = [result.key for result in done]
    assert ledger.commit(done, ledger.begin(keys), "here") == []
    ledger.begin([second[2].key])
    ledger.give_up(second[2].key, ["timed out", "timed out"])


def whole_sweep(ledger: Ledger) -> None:
    begun(ledger)
    answer(ledger)
    ledger.publish({"n_star": 20.5}, {"report.html": b"<p>old</p>", "figures/a.png": b"png"})
    ledger.publish({"n_star": 20.25}, {"report.html": b"<p>new</p>"})
    ledger.finish("finished", "tolerance")
    assert ledger.close(60.0)


def runs(store: Store, role: str) -> list[Any]:
    client = client_of(store)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.`phasefront.role` = '{role}'"))


def everything(store: Store) -> dict[str, list[tuple]]:
    """Every row that a write repeated might double."""
    connection = sqlite3.connect(store.folder / "mlflow.db")
    queries = {
        "metrics": "SELECT run_uuid, key, value, timestamp, step FROM metrics ORDER BY 1, 2, 5, 4",
        "params": "SELECT run_uuid, key, value FROM params ORDER BY 1, 2",
        "runs": "SELECT run_uuid, status, start_time, end_time, lifecycle_stage FROM runs",
        "tags": "SELECT run_uuid, key, value FROM tags ORDER BY 1, 2",
    }
    found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    connection.close()
    return found


def forget_telling(database: Database) -> None:
    """As after a crash between writing to MLflow and marking it."""
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE outbox SET sent = 0")


def told_again(database: Database, store: Store) -> None:
    assert tells_to_the_end(database, Writer(store))


def test_a_sweep_is_mirrored_whole(database: Database, store: Store, capfd):
    whole_sweep(mirrored(database, store))
    (parent,), cells = runs(store, "sweep"), runs(store, "cell")
    assert capfd.readouterr() == ("", "")
    assert parent.info.status == "FINISHED"
    ours = ("sweep", "name", "status", "question", "stopped_by", "commit")
    assert [parent.data.tags[f"phasefront.{name}"] for name in ours] == [
        *(a_sweep().id, "cover", "finished", "How many points?", "tolerance", a_sweep().id)
    ]
    assert parent.data.metrics == {"n_star": 20.25}
    assert {cell.info.status for cell in cells} == {"FINISHED"}
    assert {cell.data.tags["mlflow.parentRunId"] for cell in cells} == {parent.info.run_id}
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT mlflow_run FROM sweeps").scalar() == (
            parent.info.run_id
        )


def test_a_cell_has_every_setting_and_every_trial_as_a_step(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    (cell,) = [run for run in runs(store, "cell") if run.data.params["n"] == "20"]
    trial = a_trial()
    assert cell.data.params == {
        "d": "10",
        "n": "20",
        "k": "1",
        "seed": "0",
        "target.kind": "random_labels",
        "target.revision": str(trial.cell.target.revision),
        "learner.kind": "linear_separator",
        "learner.revision": str(trial.cell.learner.revision),
        "learner.steps": str(trial.cell.learner.settings["steps"]),
    }
    assert cell.data.tags["phasefront.cell"] == trial.cell.key
    assert cell.data.tags["phasefront.commit"] == f"{trial.cell.key}:3"
    client = client_of(store)
    history = lambda name: [
        (point.step, point.value) for point in client.get_metric_history(cell.info.run_id, name)
    ]
    assert history("trial.train_error") == [(0, 0.5), (1, 0.0)]
    assert history("trial.outcome") == [(0, 0.0), (1, 0.0), (2, 1.0)]
    assert history("trial.seconds") == [(0, 0.5), (1, 0.5), (2, 0.25)]
    assert cell.data.metrics["trials"] == 3.0
    assert cell.data.metrics["success_rate"] == 1 / 3
    assert cell.data.metrics["train_error.mean"] == 0.25


def test_a_gap_is_shown_and_not_counted(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    (cell,) = [run for run in runs(store, "cell") if run.data.params["n"] == "24"]
    outcomes = client_of(store).get_metric_history(cell.info.run_id, "trial.outcome")
    assert [(point.step, point.value) for point in outcomes] == [(0, 0.0), (1, 2.0), (2, 3.0)]
    assert cell.data.metrics["trials"] == 2.0
    assert cell.data.tags["phasefront.commit"].endswith(":3")


def test_a_gap_that_another_sweep_fills_is_told_as_filled(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    filled, other = some_trials(3, 24)[2], Ledger(database)
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(0, filled)])
    other.commit([a_result(filled)], other.begin([filled.key]))
    other.close()
    told_again(database, store)
    cells = [run for run in runs(store, "cell") if run.data.params["n"] == "24"]
    (cell,) = [run for run in cells if run.data.tags["phasefront.sweep"] == a_sweep().id]
    outcomes = client_of(store).get_metric_history(cell.info.run_id, "trial.outcome")
    assert [(point.step, point.value) for point in outcomes] == [
        *((0, 0.0), (1, 2.0), (2, 3.0), (2, 0.0))
    ]
    assert cell.data.metrics["trials"] == 3.0
    told_again(database, store)
    assert len(client_of(store).get_metric_history(cell.info.run_id, "trial.outcome")) == 4


def test_the_newest_artifacts_and_the_experiment_lie_with_the_parent(
    database: Database, store: Store
):
    whole_sweep(mirrored(database, store))
    (parent,) = runs(store, "sweep")
    home = Path(parent.info.artifact_uri.removeprefix("file://"))
    assert home.is_relative_to(store.folder / "artifacts")
    found = {str(file.relative_to(home)): file for file in home.rglob("*") if file.is_file()}
    assert set(found) == {
        *("report.html", "figures/a.png", "plugins/told_of.py"),
        *("spec/as_written.yaml", "spec/as_understood.json"),
    }
    assert found["report.html"].read_bytes() == b"<p>new</p>"
    assert found["spec/as_written.yaml"].read_text() == a_sweep().spec_source
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM artifacts").scalar() == 0


def test_the_ledger_is_small_again_once_pages_and_pictures_are_told(
    database: Database, store: Store
):
    ledger = begun(mirrored(database, store))
    ledger.publish({"n_star": 20.5}, {"report.html": b"x" * 3_000_000})
    ledger.finish("finished", "tolerance")
    assert ledger.close(60.0)
    with database.reading() as connection:
        kinds = connection.exec_driver_sql("SELECT DISTINCT kind FROM outbox").scalars().all()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    assert kinds == ["sweep"]
    assert pages * 4096 < 300_000


def test_a_name_that_mlflow_refuses_is_left_out_and_the_rest_is_told(
    database: Database, store: Store, caplog: pytest.LogCaptureFixture
):
    ledger = begun(mirrored(database, store))
    first, second = some_trials(3, 20)[:2]
    odd = [a_result(one, **{"hit@5": 0.5, "train_error": 0.25}) for one in (first, second)]
    with caplog.at_level(logging.WARNING, "orchestrator.tracking"):
        ledger.commit(odd, ledger.begin([first.key, second.key]))
        ledger.publish({"n_star@5": 20.5, "n_star": 20.25}, {})
        ledger.finish("finished", None)
        assert ledger.close(60.0)
    names = [record.args[0] for record in caplog.records if "refuses" in record.msg]
    assert sorted(names) == ["hit@5.mean", "hit@5.sd", "n_star@5", "trial.hit@5"]
    assert len(caplog.records) == len(names)
    (parent,), (cell,) = runs(store, "sweep"), runs(store, "cell")
    assert parent.data.metrics == {"n_star": 20.25}
    assert cell.data.metrics["train_error.mean"] == 0.25
    assert cell.data.tags["phasefront.commit"].endswith(":2")
    assert "trial.hit@5" in cell.data.tags["phasefront.refused"]


def test_a_run_removed_under_the_mirror_is_made_again_and_no_name_blamed(
    database: Database, store: Store, caplog: pytest.LogCaptureFixture
):
    ledger = begun(Ledger(database))
    first, second = some_trials(3, 20)[:2]
    writer = Writer(store)
    teller = Teller(database, writer, a_sweep().id)
    ledger.commit([a_result(first)], ledger.begin([first.key]))
    teller.prepare()
    teller.tell()
    client_of(store).delete_run(runs(store, "cell")[0].info.run_id)
    ledger.commit([a_result(second)], ledger.begin([second.key]))
    with pytest.raises(Exception, match="active"):
        teller.tell()
    assert not caplog.records
    assert tells_to_the_end(database, writer)
    assert runs(store, "cell")[0].data.tags["phasefront.commit"].endswith(":2")
    ledger.close()


def test_telling_everything_twice_writes_nothing_twice(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    before = everything(store)
    forget_telling(database)
    told_again(database, store)
    assert everything(store) == before


class TornWriter(Writer):
    """Cut off at its write number `fails_at`: before it, or after it with the reply lost."""

    def __init__(self, store: Store, at_once: bool, fails_at: int, before: bool) -> None:
        super().__init__(store, at_once)
        self._left = fails_at
        self._before = before

    def _torn(self, write: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left == 0 and self._before:
            raise ConnectionError("no answer")
        result = write()
        if self._left == 0:
            raise ConnectionError("the reply was lost")
        return result

    def write_cells(self, *args):
        if self._tables is None:  # then it is made of the other writes
            return super().write_cells(*args)
        return self._torn(lambda: super(TornWriter, self).write_cells(*args))

    def _new_run(self, *args):
        return self._torn(lambda: super(TornWriter, self)._new_run(*args))

    def log(self, *args):
        return self._torn(lambda: super(TornWriter, self).log(*args))

    def set_status(self, *args):
        return self._torn(lambda: super(TornWriter, self).set_status(*args))

    def put(self, *args):
        return self._torn(lambda: super(TornWriter, self).put(*args))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_telling_may_be_torn_at_every_write_and_ends_the_same(
    database: Database, store: Store, before: bool, at_once: bool
):
    """One driver after another, the first cut off at its first write, the next at its second."""
    ledger = Ledger(database)
    begun(ledger)
    answer(ledger)
    ledger.publish({"n_star": 20.5}, {"report.html": b"x"})
    ledger.finish("finished", "tolerance")
    ledger.close()
    cut_off = 0
    while not tells_to_the_end(database, TornWriter(store, at_once, cut_off + 1, before)):
        cut_off += 1
    assert cut_off > 3
    assert len(runs(store, "sweep")) == 1
    assert len(runs(store, "cell")) == 2
    told = everything(store)
    assert len({row[:2] + row[3:] for row in told["metrics"]}) == len(told["metrics"])
    told_again(database, store)
    assert everything(store) == told


def tells_to_the_end(database: Database, writer: Writer) -> bool:
    teller = Teller(database, writer, a_sweep().id)
    try:
        teller.prepare()
        while teller.tell():
            pass
        teller.settle_up()
    except ConnectionError:
        return False
    return True


def test_duplicate_runs_are_removed_and_the_fuller_one_kept(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    (parent,), kept = runs(store, "sweep"), runs(store, "cell")
    writer = Writer(store)
    experiment = parent.info.experiment_id
    writer.new_sweep(experiment, a_sweep(), "again")
    ours = ("role", "sweep", "cell", "arm")
    tags = {f"phasefront.{name}": kept[0].data.tags[f"phasefront.{name}"] for name in ours}
    writer._new_run(experiment, "again", 1.0, tags)
    told_again(database, store)
    assert [run.info.run_id for run in runs(store, "sweep")] == [parent.info.run_id]
    assert {run.info.run_id for run in runs(store, "cell")} == {run.info.run_id for run in kept}


def test_what_was_removed_from_mlflow_is_told_again(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    before = everything(store)
    client = client_of(store)
    for run in [*runs(store, "cell")[:1], *runs(store, "sweep")]:
        client.delete_run(run.info.run_id)
    told_again(database, store)
    assert len(runs(store, "sweep")) == 1
    assert runs(store, "sweep")[0].info.status == "FINISHED"
    assert len(runs(store, "cell")) == 2
    after = everything(store)
    alive = {row[0] for row in after["runs"] if row[4] == "active"}
    told = sorted(row[1:] for row in after["metrics"] if row[0] in alive)
    kept = [row for row in before["metrics"] if row[1:3] != ("n_star", 20.5)]  # the newest stays
    assert told == sorted(row[1:] for row in kept)


def test_an_interrupted_sweep_is_killed_and_runs_again_when_resumed(
    database: Database, store: Store
):
    ledger = begun(mirrored(database, store))
    first = some_trials(3, 20)[0]
    ledger.commit([a_result(first)], ledger.begin([first.key]))
    ledger.finish("interrupted", "interrupted")
    assert ledger.close(60.0)
    everyone = [*runs(store, "sweep"), *runs(store, "cell")]
    assert [run.info.status for run in everyone] == ["KILLED", "KILLED"]
    again = mirrored(database, store)
    again.open(a_sweep())
    left = [trial for trial in some_trials(3, 20) if trial.key not in again.settled([first.key])]
    again.commit([a_result(t) for t in left], again.begin([trial.key for trial in left]))
    assert again.close(60.0)
    assert [run.info.status for run in runs(store, "sweep")] == ["RUNNING"]
    assert [run.info.status for run in runs(store, "cell")] == ["FINISHED"]


def test_what_a_killed_driver_left_unsaid_is_said_by_the_next_one(database: Database, store: Store):
    dead = begun(Ledger(database))  # no mirror: nothing was told
    answer(dead)
    dead._lock.release()  # as a kill does
    other = mirrored(database, store)
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [])
    wait_until(lambda: len(runs(store, "cell")) == 2 and len(runs(store, "sweep")) == 2)
    other.finish("finished", None)
    assert other.close(60.0)
    statuses = {run.data.tags["phasefront.name"]: run.info.status for run in runs(store, "sweep")}
    assert statuses == {"cover": "KILLED", "other": "FINISHED"}


class HeldWriter(Writer):
    """Stops in the middle of telling the other sweep's first cell until `goes_on`."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.is_telling, self.goes_on = threading.Event(), threading.Event()

    def write_cells(self, *args):
        self.is_telling.set()
        assert self.goes_on.wait(60.0)
        return super().write_cells(*args)


def test_a_driver_is_let_in_while_another_mirror_tells_its_backlog(
    database: Database, store: Store
):
    dead = begun(Ledger(database))
    answer(dead)
    dead._lock.release()  # as a kill does
    writer = HeldWriter(store)
    other = mirrored(database, store, lambda store: writer)
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [])
    assert writer.is_telling.wait(60.0)
    again = mirrored(Database(ledger_at(None, store)), store)
    again.open(a_sweep())  # raises SweepInUse where the backlog is told under the driver's lock
    writer.goes_on.set()
    again.finish("finished", None)
    assert again.close(60.0)
    other.finish("finished", None)
    assert other.close(60.0)
    assert [run.info.status for run in runs(store, "sweep")] == ["FINISHED", "FINISHED"]
    assert len(runs(store, "cell")) == 2
    again.database.close()


def test_a_cached_trial_is_told_to_both_sweeps(database: Database, store: Store):
    whole_sweep(mirrored(database, store))
    other = mirrored(database, store)
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(1, some_trials(3, 20)[0])])
    other.finish("finished", None)
    assert other.close(60.0)
    (cell,) = [run for run in runs(store, "cell") if run.data.tags["phasefront.sweep"] == "f" * 16]
    assert cell.data.metrics["trials"] == 1.0
    assert cell.data.tags["phasefront.arm"] == "1"


def wait_until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_nothing_is_told_until_the_driver_begins(database: Database, store: Store):
    outage = Outage()
    ledger = mirrored(database, store, outage)
    ledger.open(a_sweep())
    time.sleep(0.3)
    assert outage.tries == 0
    ledger.begin([])
    wait_until(lambda: outage.tries > 0)
    assert ledger.close(0.0) is False


class Outage:
    """A store that does not answer until `is_over`."""

    def __init__(self) -> None:
        self.is_over = False
        self.tries = 0

    def __call__(self, store: Store) -> Writer:
        self.tries += 1
        if not self.is_over:
            raise ConnectionError("no answer")
        return Writer(store)


def test_an_outage_stops_nobody_and_the_outbox_drains_after_it(
    database: Database, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch
):
    monkeypatch.setattr("orchestrator.tracking.mirror.FIRST_WAIT_S", 0.01)
    outage = Outage()
    with caplog.at_level(logging.WARNING, "orchestrator.tracking.mirror"):
        ledger = begun(mirrored(database, store, outage))
        answer(ledger)
        wait_until(lambda: outage.tries > 3)
        assert len(caplog.records) == 1
        assert "MLflow is not being told" in caplog.text
        outage.is_over = True
        ledger.finish("finished", None)
        assert ledger.close(60.0)
    assert "MLflow answers again" in caplog.text
    assert len(runs(store, "cell")) == 2


def test_a_locked_mlflow_database_stops_nobody_and_is_told_later(database: Database, store: Store):
    ledger = begun(mirrored(database, store))
    wait_until(lambda: len(runs(store, "sweep")) == 1)
    holder = sqlite3.connect(store.folder / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        answer(ledger)
        ledger.finish("finished", None)
        assert time.monotonic() - began < 5.0
        assert ledger.close(0.5) is False
    finally:
        holder.rollback()
        holder.close()
    again = mirrored(database, store)
    again.open(a_sweep())
    again.finish("finished", None)
    assert again.close(60.0)
    assert len(runs(store, "cell")) == 2
    assert [run.info.status for run in runs(store, "sweep")] == ["FINISHED"]


def test_closing_during_an_outage_says_so_and_the_next_opening_tells(
    database: Database, store: Store
):
    ledger = begun(mirrored(database, store, Outage()))
    answer(ledger)
    ledger.finish("finished", None)
    assert ledger.close(0.3) is False
    again = mirrored(database, store)
    again.open(a_sweep())
    again.finish("finished", None)
    assert again.close(60.0)
    assert len(runs(store, "cell")) == 2
    assert [run.info.status for run in runs(store, "sweep")] == ["FINISHED"]
