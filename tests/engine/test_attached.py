"""Joining a cluster: what is said when it cannot be done, and one that can."""

import os
import socket
import subprocess
import sys
import time
from concurrent import futures
from contextlib import contextmanager

import grpc
import psutil
import pytest
import ray
from ray.core.generated import gcs_service_pb2 as messages

from orchestrator.engine import RayExecutor, ray_executor
from orchestrator.errors import ClusterUnreachable, RequestError
from orchestrator.plan.facts import Finished
from tests.engine.standins import PLUGINS, a_pack, fact_of, facts_of

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


@pytest.fixture
def a_cluster(token_file, tmp_path_factory):
    """A cluster of one node, started as a person would; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    home = tmp_path_factory.mktemp("r")
    head = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *("--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=1"),
            *("--include-dashboard=false", "--disable-usage-stats"),
            f"--temp-dir={home}",
        ],
        env={
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_TMPDIR": str(home),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # or it would listen on every interface
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    below = psutil.Process(head.pid)
    until = time.monotonic() + 240.0
    while not [p for p in below.children() if p.name() == "raylet"]:
        assert head.poll() is None
        assert time.monotonic() < until
        time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    started = below.children(recursive=True)
    head.terminate()
    head.wait(timeout=60)
    for process in psutil.wait_procs(started, timeout=10)[1]:
        process.kill()


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
