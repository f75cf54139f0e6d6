"""What can go wrong on Ray: dead, silent and stubborn workers, and strangers at the door."""

import os
import shutil
import signal
import stat
import time
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from orchestrator.domain.checkpoints import Checkpoints
from orchestrator.domain.learner import Learner
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.engine import RayExecutor
from orchestrator.engine.receipt import place
from orchestrator.errors import ClusterUnreachable
from orchestrator.plan.facts import Finished, Lost, Pack, Reason
from tests.engine.standins import PLUGINS, a_pack, fact_of, facts_of, students_and_teachers

LEASE_S = 6.0

DEADLINE_S = 3.0
"""Long enough for a learner to note that it has begun, however busy the machine."""
PAST_IT = f"past its deadline of {DEADLINE_S:g} s"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return Checkpoints(tmp_path_factory.mktemp("checkpoints"), every_s=0.2)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons") / "lessons"
    Lessons(folder).make()
    return folder


@pytest.fixture(scope="module")
def executor(checkpoints, lessons):
    executor = RayExecutor(
        None, 2, 0.0, PLUGINS, checkpoints, lessons, lease_s=LEASE_S, pulse_s=0.5
    )
    yield executor
    executor.close()


def pids_in(log, executor):
    """Process ids of the learners that have begun, once there is one."""
    until = time.monotonic() + 240.0
    while not log.exists():
        assert time.monotonic() < until
        assert executor.wait(0.1) == []
    return [int(line.split()[1]) for line in log.read_text().splitlines()]


def test_a_worker_killed_while_training_loses_its_pack_and_the_executor_goes_on(executor, tmp_path):
    log = tmp_path / "log"
    doomed, next_one = a_pack(how="sleep", seconds=60.0, log=str(log)), a_pack()
    executor.start(doomed)
    os.kill(pids_in(log, executor)[0], signal.SIGKILL)
    assert fact_of(executor, doomed).reason is Reason.WORKER_DIED
    executor.start(next_one)
    assert isinstance(fact_of(executor, next_one), Finished)


def test_only_the_pack_being_trained_is_blamed_for_a_death(executor):
    packs = [a_pack(how="exit"), a_pack(how="exit"), *(a_pack() for _ in range(6))]
    for pack in packs:
        executor.start(pack)
    found = [fact for (fact,) in facts_of(executor, *packs).values()]
    assert [fact.reason for fact in found[:2]] == [Reason.WORKER_DIED] * 2
    assert all(isinstance(fact, Finished) for fact in found[2:])


@pytest.mark.parametrize(
    "hows",
    [
        ("swallow", "hold"),
        pytest.param(("sleep", "block"), marks=pytest.mark.slow),
        pytest.param(("wait", "stop"), marks=pytest.mark.slow),
    ],
    ids=" and ".join,
)
def test_packs_past_their_deadline_are_ended_in_two_seconds_whatever_they_do(
    executor, tmp_path, hows
):
    packs = {
        how: a_pack(
            deadline_s=DEADLINE_S,
            how="sleep" if how == "stop" else how,
            seconds=60.0,
            log=str(tmp_path / how),
        )
        for how in hows
    }
    for pack in packs.values():
        executor.start(pack)
    gone, facts, limit_s = {}, {}, DEADLINE_S + 2.0
    until = time.monotonic() + 240.0
    while len(gone) < len(packs):
        assert time.monotonic() < until
        found = [fact for fact in executor.wait(0.05) if isinstance(fact, Finished | Lost)]
        facts.update({fact.pack_id: fact for fact in found})
        for how in packs.keys() - gone.keys():
            if (tmp_path / how).exists() and (tmp_path / how).read_text():
                pid = int((tmp_path / how).read_text().split()[1])
                if how == "stop" and is_at_work(pid):
                    os.kill(pid, signal.SIGSTOP)
                if not is_at_work(pid):
                    gone[how] = time.time() - (tmp_path / how).stat().st_mtime
    for how, pack in packs.items():
        lost = facts.get(pack.id) or fact_of(executor, pack)
        assert (lost.reason, lost.detail) == (Reason.TIMED_OUT, PAST_IT)
        assert gone[how] < limit_s, f"{how} was there {gone[how]:.1f} s after it began"


def test_a_worker_whose_driver_does_not_look_ends_by_itself_at_the_deadline(executor, tmp_path):
    log = tmp_path / "log"
    pack = a_pack(deadline_s=DEADLINE_S, how="hold", seconds=60.0, log=str(log))
    executor.start(pack)
    pid = pids_in(log, executor)[0]
    assert_gone(pid, patience_s=5.0)
    lost = fact_of(executor, pack)
    assert (lost.reason, lost.detail) == (Reason.TIMED_OUT, PAST_IT)


def test_whereabouts_say_where_packs_are_and_until_when(executor, tmp_path):
    log = tmp_path / "log"
    packs = [a_pack(how="sleep", seconds=2.0, log=str(log)) for _ in range(5)]
    for pack in packs:
        executor.start(pack)
    (pid, *_), now = pids_in(log, executor), time.time()
    found = {one.pack: one for one in executor.whereabouts()}
    assert set(found) == {pack.id for pack in packs}
    assert found[packs[0].id].keys == tuple(trial.key for trial in packs[0].trials)
    training = [one for one in found.values() if one.since is not None]
    assert any(one.where.endswith(f"/{pid}") for one in training)
    for one in training:
        assert now - 240 < one.since <= now
        assert one.deadline == pytest.approx(one.since + 120.0)
        assert now < one.lease <= time.time() + LEASE_S
    assert [one.where for one in found.values()][-1] == "", "the last waits for a slot"
    facts_of(executor, *packs)
    assert executor.whereabouts() == []


def test_a_resumable_learner_goes_on_after_its_worker_died_and_its_pack_was_split(
    executor, checkpoints, tmp_path
):
    log = tmp_path / "log"
    pack = counting(4, log)
    keys = [trial.key for trial in pack.trials]
    executor.start(pack)
    until = time.monotonic() + 240.0
    while set(checkpoints.keys()) < set(keys) or not all(map(checkpoints.load, keys)):
        assert time.monotonic() < until
        assert executor.wait(0.05) == []
    os.kill(pids_in(log, executor)[0], signal.SIGKILL)
    assert fact_of(executor, pack).reason is Reason.WORKER_DIED
    taken, left = log.read_text().count("\n"), sum(30 - checkpoints.load(key).at for key in keys)
    halves = [replace(pack, id=f"{pack.id}/{half}", trials=pack.trials[half::2]) for half in (0, 1)]
    for half in halves:
        executor.start(half)
    found = facts_of(executor, *halves)
    results = {one.key: one for (fact,) in found.values() for one in fact.results}
    assert left < 4 * 30, "nothing had been saved"
    assert log.read_text().count("\n") == taken + left
    for one in run_pack(pack.trials):
        assert results[one.key].same_as(one)
    assert set(checkpoints.keys()) == set(results)


def test_a_worker_killed_while_it_trains_a_teacher_loses_the_pack_and_the_lesson_is_the_same_again(
    executor, lessons, tmp_path
):
    log = tmp_path / "log"
    students, teachers = students_and_teachers(how="sleep", seconds=3.0, log=str(log))
    executor.start(teachers)
    os.kill(pids_in(log, executor)[0], signal.SIGKILL)
    assert fact_of(executor, teachers).reason is Reason.WORKER_DIED
    assert not any((lessons / trial.key).exists() for trial in teachers.trials)
    again = replace(teachers, id=f"{teachers.id}, again")
    executor.start(again)
    taught = fact_of(executor, again)
    for trial in teachers.trials:
        assert (lessons / trial.key / taught.lessons[trial.key]).exists()
    executor.start(students)
    found = fact_of(executor, students).results
    assert all(map(Result.same_as, found, run_pack(students.trials)))


@pytest.mark.parametrize("left", ["reference", "file", "nothing"])
def test_a_lesson_outlives_the_workers_as_a_reference_or_as_a_file_and_else_is_missed(
    executor, lessons, left
):
    students, teachers = students_and_teachers(n=20 + len(left), seconds=float(len(left)))
    executor.start(teachers)
    fact_of(executor, teachers)
    if left != "file":
        for trial in teachers.trials:
            shutil.rmtree(lessons / trial.key)
    if left != "reference":
        executor._lessons.clear()
    for slot in executor._slots:  # whose memory has the lesson too
        if slot.at:
            os.kill(int(slot.at.split("/")[1]), signal.SIGKILL)
    fact = Lost("", Reason.WORKER_DIED)
    while isinstance(fact, Lost) and fact.reason is Reason.WORKER_DIED:  # handed to a dying one
        students = replace(students, id=f"{students.id}, again")
        executor.start(students)
        fact = fact_of(executor, students)
    if left == "nothing":
        assert fact.reason is Reason.TEACHER_MISSING
        assert set(fact.missing) == {trial.key for trial in teachers.trials}
    else:
        assert all(map(Result.same_as, fact.results, run_pack(students.trials)))


def counting(count, log):
    """A pack that counts its steps; its results do not depend on where it notes them."""
    target = Target.from_settings({"kind": "slope"})
    learner = Learner.from_settings({"kind": "counting", "log": str(log)})
    trials = tuple(Trial(Cell(target, learner, Point(d=5, n=20)), one) for one in range(count))
    return Pack(f"counting {log}", trials, {trial.key: 1 for trial in trials}, 120.0)


def test_silent_workers_lapse_their_lease_be_they_suspended_or_holding_the_lock(executor, tmp_path):
    suspended = a_pack(how="sleep", seconds=60.0, log=str(tmp_path / "sleep"))
    holding = a_pack(how="hold", seconds=60.0, log=str(tmp_path / "hold"))
    executor.start(suspended)
    executor.start(holding)
    pids = [pids_in(tmp_path / how, executor)[0] for how in ("sleep", "hold")]
    os.kill(pids[0], signal.SIGSTOP)
    for (lost,) in facts_of(executor, suspended, holding).values():
        assert (lost.reason, lost.detail) == (Reason.TIMED_OUT, f"no pulse for {LEASE_S:g} s")
    for pid in pids:
        assert_gone(pid)


def test_a_pack_behind_a_long_one_moves_to_a_slot_that_idles(executor, tmp_path):
    ready = [a_pack(how="sleep", seconds=0.5) for _ in range(2)]
    for pack in ready:
        executor.start(pack)
    facts_of(executor, *ready)
    packs = [a_pack(how="sleep", seconds=seconds) for seconds in (60.0, 0.5, 0.1, 0.1, 0.1)]
    for pack in packs:
        executor.start(pack)
    found = facts_of(executor, *packs[1:])
    assert all(isinstance(fact, Finished) for (fact,) in found.values())
    executor.stop(packs[0].id)
    assert fact_of(executor, packs[0]).reason is Reason.TIMED_OUT


def test_a_receipt_whose_reply_was_lost_is_asked_for_and_not_earned_again(executor, tmp_path):
    log = tmp_path / "log"
    pack = a_pack(how="sleep", seconds=1.0, log=str(log))
    executor.start(pack)
    pids_in(log, executor)
    (handed,) = [handed for slot in executor._slots for handed in slot.queue]
    handed.reply = None  # what is left of it after Ray says that the actor was unavailable
    assert isinstance(fact_of(executor, pack), Finished)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["begin", "end"]


def test_a_pack_stopped_while_it_trains_is_lost_once_and_its_worker_is_gone(executor, tmp_path):
    log = tmp_path / "log"
    pack = a_pack(how="sleep", seconds=60.0, log=str(log))
    executor.start(pack)
    pid = pids_in(log, executor)[0]
    executor.stop(pack.id)
    executor.stop(pack.id)
    lost = fact_of(executor, pack)
    assert (type(lost), lost.reason) == (Lost, Reason.TIMED_OUT)
    assert_gone(pid)


def test_a_pack_stopped_behind_another_is_never_trained(executor, tmp_path):
    log = tmp_path / "log"
    ahead = [a_pack(how="sleep", seconds=1.0) for _ in range(2)]
    behind = [a_pack(log=str(log)) for _ in range(2)]
    for pack in (*ahead, *behind):
        executor.start(pack)
    assert executor.wait(0.1) == []
    for pack in behind:
        executor.stop(pack.id)
    found = facts_of(executor, *ahead, *behind)
    assert {fact.reason for pack in behind for fact in found[pack.id]} == {Reason.TIMED_OUT}
    assert all(isinstance(found[pack.id][0], Finished) for pack in ahead)
    last = a_pack()
    executor.start(last)
    assert isinstance(fact_of(executor, last), Finished)
    assert not log.exists()


def test_packs_train_in_other_processes_with_one_thread_and_the_settings_of_reproducibility(
    executor,
):
    pack = a_pack()
    executor.start(pack)
    where = fact_of(executor, pack).where
    assert where != place()
    worker = psutil.Process(int(where.split("/")[1]))
    inherited = psutil.Process(worker.ppid()).environ()
    assert inherited["MKL_CBWR"] == "AVX2,STRICT"
    assert inherited["OMP_NUM_THREADS"] == "1"


def test_every_listening_socket_is_on_loopback_while_packs_train(executor):
    packs = [a_pack(how="sleep", seconds=1.0) for _ in range(2)]
    for pack in packs:
        executor.start(pack)
    assert executor.wait(0.1) == []
    addresses = listening_addresses()
    facts_of(executor, *packs)
    assert len(addresses) > 3
    assert {address.removeprefix("::ffff:") for address in addresses} <= {"127.0.0.1", "::1"}


def test_a_stranger_without_the_token_is_refused(executor):
    import grpc
    import ray
    from ray.core.generated import gcs_service_pb2 as messages

    head = ray.get_runtime_context().gcs_address
    with grpc.insecure_channel(head) as channel:
        ask = channel.unary_unary(
            "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
            request_serializer=messages.GetAllNodeInfoRequest.SerializeToString,
            response_deserializer=messages.GetAllNodeInfoReply.FromString,
        )
        with pytest.raises(grpc.RpcError) as refused:
            ask(messages.GetAllNodeInfoRequest(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError):
            ask(
                messages.GetAllNodeInfoRequest(),
                timeout=10,
                metadata=[("authorization", "Bearer x")],
            )


def test_the_token_and_rays_directory_are_this_users_alone(executor):
    home = executor._ray.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600


def test_the_drivers_environment_and_signal_handlers_are_as_before(executor):
    assert not [name for name in os.environ if name.startswith("RAY_AUTH")]
    assert "RAY_TMPDIR" not in os.environ
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_executor_in_one_process_is_refused_and_harms_nothing(executor):
    with pytest.raises(ClusterUnreachable, match="one executor at a time"):
        RayExecutor(None, 1, 0.0, [])
    pack = a_pack()
    executor.start(pack)
    assert isinstance(fact_of(executor, pack), Finished)


def listening_addresses():
    """Addresses on which this process and all below it listen."""
    me = psutil.Process()
    return [
        connection.laddr.ip
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def is_at_work(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def assert_gone(pid, patience_s=20.0):
    until = time.monotonic() + patience_s
    while is_at_work(pid):
        assert time.monotonic() < until, f"process {pid} is still there"
        time.sleep(0.05)
