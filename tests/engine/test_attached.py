"""Joining a cluster: what is said when it cannot be done, and one that can."""

import os
import socket
import subprocess
import sys
import time
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace

import grpc
import psutil
import pytest
import ray
from ray.core.generated import gcs_service_pb2 as messages

from orchestrator.domain.pack import run_pack
from orchestrator.domain.trial import Result
from orchestrator.engine import RayExecutor, ray_executor
from orchestrator.errors import ClusterUnreachable, RequestError
from orchestrator.plan.facts import Finished, Reason, SlotsAre
from tests.engine.standins import PLUGINS, a_pack, fact_of, facts_of, students_and_teachers

TOKEN = "t" * 64


@contextmanager
def a_head(token=None, version=ray.__version__):
    """A server that answers `CheckAlive` as a Ray head would; yields its address."""

    def check_alive(_, context):
        given = dict(context.invocation_metadata()).get("authorization")
        if token is not None and given != f"Bearer {token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        return messages.CheckAliveReply(ray_version=version)

    handler = grpc.unary_unary_rpc_method_handler(
        check_alive,
        request_deserializer=messages.CheckAliveRequest.FromString,
        response_serializer=messages.CheckAliveReply.SerializeToString,
    )
    service = "ray.rpc.NodeInfoGcsService"
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"CheckAlive": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def token_file(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    return path


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "http://head:6379", "head:99999", "a b:1"]
)
def test_an_address_that_is_none_is_a_wrong_request(address):
    with pytest.raises(RequestError, match="expected host:port"):
        RayExecutor(address)


def test_a_closed_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ClusterUnreachable, match=f"nothing answers at 127.0.0.1:{port}"):
        RayExecutor(f"127.0.0.1:{port}")


def test_a_server_that_is_no_ray_head_is_told_apart():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ClusterUnreachable, match="is no Ray head"):
        RayExecutor(f"127.0.0.1:{port}")
    server.stop(None).wait()


def test_a_cluster_open_to_anybody_is_refused(token_file):
    with a_head() as address, pytest.raises(ClusterUnreachable, match="code of anybody"):
        RayExecutor(address)


def test_a_refused_token_is_called_that(token_file):
    with (
        a_head(token="another") as address,
        pytest.raises(ClusterUnreachable, match="refuses the token"),
    ):
        RayExecutor(address)


def test_a_missing_token_is_called_that(token_file):
    token_file.unlink()
    with (
        a_head(token=TOKEN) as address,
        pytest.raises(ClusterUnreachable, match=f"{token_file} cannot be read"),
    ):
        RayExecutor(address)


def test_a_file_that_holds_no_token_is_called_that(token_file):
    token_file.write_text("two\nlines")
    with a_head(token=TOKEN) as address, pytest.raises(ClusterUnreachable, match="holds no token"):
        RayExecutor(address)


def test_authentication_switched_off_here_and_on_there_is_said(token_file, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with (
        a_head(token=TOKEN) as address,
        pytest.raises(ClusterUnreachable, match="RAY_AUTH_MODE is disabled here"),
    ):
        RayExecutor(address)


def test_another_version_of_ray_is_named(token_file):
    with (
        a_head(token=TOKEN, version="1.2.3") as address,
        pytest.raises(ClusterUnreachable, match=r"runs Ray 1\.2\.3"),
    ):
        RayExecutor(address)


def test_no_token_is_ever_printed(token_file):
    with a_head(token="another") as address, pytest.raises(ClusterUnreachable) as refused:
        RayExecutor(address)
    assert TOKEN not in str(refused.value)


_JOIN = """
from ray._private import ray_constants, services
from ray.scripts import scripts
ray_constants.ENABLE_RAY_CLUSTER = True  # or `ray start` refuses a second node on loopback
services.resolve_ip_for_localhost = lambda host: host  # where the head listens, and only there
scripts.main()
"""


@contextmanager
def a_node(home, *command):
    """A node of a cluster, as a person would start it; yields its process, below which all are."""
    with (home / "said").open("w") as said:
        node = subprocess.Popen(
            [sys.executable, "-u", *command, "--block", "--num-cpus=1"],
            env={
                **os.environ,
                "RAY_AUTH_MODE": "token",
                "RAY_TMPDIR": str(home),
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # or it would listen on every interface
            },
            stdout=said,
            stderr=said,
        )
    below = psutil.Process(node.pid)
    until = time.monotonic() + 240.0
    try:
        while "Ray runtime started" not in (home / "said").read_text():
            assert node.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        yield below
    finally:
        started = below.children(recursive=True) if node.poll() is None else []
        node.terminate()
        node.wait(timeout=60)
        for process in psutil.wait_procs(started, timeout=10)[1]:
            process.kill()


@pytest.fixture
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("r")


@pytest.fixture
def a_cluster(token_file, home):
    """A cluster of one node; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    head = ("-m", "ray.scripts.scripts", "start", "--head", f"--temp-dir={home}")
    door = ("--node-ip-address=127.0.0.1", f"--port={port}")
    with a_node(home, *head, *door, "--include-dashboard=false", "--disable-usage-stats"):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def second_node(a_cluster, home):
    """Another node of that cluster, by its process; its workers listen on ports of their own."""
    join = ("-c", _JOIN, "start", f"--address={a_cluster}", "--node-ip-address=127.0.0.2")
    with a_node(home, *join, "--min-worker-port=0", "--max-worker-port=0") as below:
        yield below


@pytest.mark.slow
def test_packs_run_on_a_cluster_and_its_processes_outlive_the_executor(a_cluster):
    executor = RayExecutor(a_cluster, None, 0.0, PLUGINS)
    assert executor.slots == 1
    packs = [a_pack() for _ in range(3)]
    for pack in packs:
        executor.start(pack)
    found = facts_of(executor, *packs)
    assert all(isinstance(fact, Finished) for facts in found.values() for fact in facts)
    executor.close()
    again = RayExecutor(a_cluster, None, 0.0, PLUGINS)
    executor.close()  # harmless to the one that came after
    again.start(packs[0])
    assert isinstance(fact_of(again, packs[0]), Finished)
    again.close()


@pytest.mark.slow
def test_a_cluster_without_what_is_asked_says_so_without_keeping_its_caller(a_cluster, monkeypatch):
    with pytest.raises(RequestError, match=f"the cluster at {a_cluster} has 0"):
        RayExecutor(a_cluster, 1, 1.0)
    executor = RayExecutor(a_cluster, 5, 0.0, [("slow", "import time\ntime.sleep(600)\n")])
    assert executor.slots == 1
    for timeout_s in (0.0, 0.5, 2.0):
        started = time.monotonic()
        assert executor.wait(timeout_s) == []
        assert time.monotonic() - started < timeout_s + 1.0
    monkeypatch.setattr(ray_executor, "_START_S", 1.0)
    with pytest.raises(ClusterUnreachable, match="started no worker within 1 s"):
        executor.wait(5.0)
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 10.0


def wait_until(holds, executor, patience_s=120.0):
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until
        assert not [one for one in executor.wait(0.2) if not isinstance(one, SlotsAre)]


def is_below(node, slot):
    return node in psutil.Process(int(slot.at.split("/")[1])).parents()


def end_at_once(node):
    """A machine that loses power: nothing of it says goodbye."""
    doomed = [node, *node.children(recursive=True)]
    for process in doomed:
        process.kill()
    psutil.wait_procs(doomed, timeout=10)


def answers(executor, pack):
    """The facts about a pack that is started again for as long as machines are to blame."""
    facts = []
    while not facts or facts[-1].reason in (Reason.NODE_LOST, Reason.WORKER_DIED):
        pack = replace(pack, id=f"{pack.id}, again")
        executor.start(pack)
        facts.append(fact_of(executor, pack))
        if isinstance(facts[-1], Finished):
            break
    return facts


@pytest.fixture
def two_slots(a_cluster, second_node, tmp_path):
    """An executor whose slot on the first node is at work, so that the second gets what comes."""
    executor = RayExecutor(a_cluster, 2, 0.0, PLUGINS)
    wait_until(lambda: all(slot.up for slot in executor._slots), executor)
    executor._slots.sort(key=lambda slot: is_below(second_node, slot))
    assert [is_below(second_node, slot) for slot in executor._slots] == [False, True]
    blocker = a_pack(deadline_s=900.0, how="sleep", seconds=900.0, log=str(tmp_path / "blocker"))
    executor.start(blocker)
    yield executor, blocker
    executor.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "padding"),
    [(5.0, 0), (0.0, 0), (0.0, 1 << 16)],
    ids=["while it trains", "its lesson small", "its lesson large"],
)
def test_a_lost_node_costs_what_only_it_had_of_a_teacher_and_changes_no_result(
    two_slots, second_node, tmp_path, seconds, padding
):
    """A small lesson comes back with its receipt; a large one stays on the node that made it."""
    executor, blocker = two_slots
    log = tmp_path / "log"
    students, teachers = students_and_teachers(
        how="sleep", seconds=seconds, padding=padding, log=str(log)
    )
    executor.start(teachers)
    if seconds:
        wait_until(log.exists, executor)
    else:
        assert isinstance(fact_of(executor, teachers), Finished)
    trainer = psutil.Process(int(log.read_text().split()[1]))
    assert second_node in trainer.parents()
    end_at_once(second_node)
    executor.stop(blocker.id)
    if seconds:
        lost = fact_of(executor, teachers)
        assert lost.reason.is_disruption or lost.reason is Reason.WORKER_DIED
        assert isinstance(answers(executor, teachers)[-1], Finished)
    facts = answers(executor, students)
    if padding:
        assert facts[-1].reason is Reason.TEACHER_MISSING
        assert set(facts[-1].missing) == {trial.key for trial in teachers.trials}
        assert isinstance(answers(executor, teachers)[-1], Finished)
        facts = answers(executor, students)
    assert all(map(Result.same_as, facts[-1].results, run_pack(students.trials)))
    assert log.read_text().count("end") == (2 if padding else 1) + 1
