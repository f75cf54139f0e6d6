"""Ray on a cluster that somebody else started: found, asked for its manners, then joined.

Ray itself needs 20 s to say "Failed to connect" for a wrong port, a wrong token and a missing one
alike. Its head answers one unauthenticated question in milliseconds, so that is asked first, and
the answer put into words. A cluster that answers strangers runs anybody's code, as does one whose
port is forwarded to a browser: it is refused unless `RAY_AUTH_MODE=disabled` says it is meant.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]

from orchestrator.engine.quiet import quietly_initialised, ray_environment
from orchestrator.errors import ClusterUnreachable, RequestError

_CONNECT_S = 5.0  # for a port to open and for the head to answer
_KEEPALIVE_MS = "10000"  # Ray's default leaves a silent partition unnoticed for 65 s

_Asking = Callable[[Any, list[tuple[str, str]]], str | None]

_ADDRESS = re.compile(r"(?:ray://)?(?P<host>[^/\s:]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")


class AttachedRay:
    """The cluster at `address`, `host:port` of its head or `ray://host:port` of its client server.

    Raises `RequestError` for an address that is none, `ClusterUnreachable` for a cluster that does
    not answer, is open to anybody, refuses the token, or runs another Ray.
    """

    def __init__(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if not found or int(found["port"]) > 65535:
            raise RequestError(
                f"--address {address!r}: expected host:port or ray://host:port, such as head:6379"
            )
        self._door = found["host"].strip("[]"), int(found["port"])
        _knock(self._door)
        mode = "disabled" if os.environ.get("RAY_AUTH_MODE") == "disabled" else "token"
        if os.environ.get("RAY_USE_TLS", "0") == "0":
            _question(f"{found['host']}:{found['port']}", mode, address.startswith("ray://"))
        settings = {
            "RAY_AUTH_MODE": mode,
            "RAY_grpc_client_keepalive_time_ms": _KEEPALIVE_MS,
            "RAY_grpc_client_keepalive_timeout_ms": _KEEPALIVE_MS,
            **_loopback_kept(self._door),
        }
        self._session = _joined(address, settings)

    def stands(self) -> bool:
        """Whether the head's port opens."""
        try:
            _knock(self._door, timeout_s=1.0)
        except ClusterUnreachable:
            return False
        return True

    def remember(self) -> None:
        """Nothing: the cluster's processes are not ours."""

    def close(self) -> None:
        """Leave the cluster; what this driver started there has ended by then."""
        import ray

        ray.shutdown()


def _knock(door: tuple[str, int], timeout_s: float = _CONNECT_S) -> None:
    host, port = door
    try:
        socket.create_connection(door, timeout=timeout_s).close()
    except OSError as error:
        raise ClusterUnreachable(
            f"nothing answers at {host}:{port} ({error}); is Ray's head up, and is this its port "
            "(`ray start --head` listens on 6379, its client server on 10001)?"
        ) from error


def _loopback_kept(door: tuple[str, int]) -> dict[str, str]:
    """What keeps Ray from rewriting a loopback address to the machine's, where that is closed."""
    from ray._private.services import node_ip_address_from_perspective

    if door[0] not in ("127.0.0.1", "localhost", "::1"):
        return {}
    try:
        _knock((node_ip_address_from_perspective(), door[1]), timeout_s=1.0)
    except ClusterUnreachable:
        return {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return {}


def _question(at: str, mode: str, is_client_server: bool) -> None:
    """Ask whoever answers there for a sign of life, first as a stranger, then with the token."""
    ask = _client_server_answers if is_client_server else _head_answers
    with grpc.insecure_channel(at) as channel:
        stranger = _is_answered(ask, channel, at, None)
        if stranger and mode == "token":
            raise ClusterUnreachable(
                f"the Ray cluster at {at} runs the code of anybody who connects; start it with "
                "RAY_AUTH_MODE=token and a token, or set RAY_AUTH_MODE=disabled to say that you "
                "trust everybody who reaches it"
            )
        if not stranger and mode == "disabled":
            raise ClusterUnreachable(
                f"the Ray cluster at {at} asks for a token and RAY_AUTH_MODE is disabled here; "
                "unset it and name the token's file in RAY_AUTH_TOKEN_PATH"
            )
        if not stranger and not _is_answered(ask, channel, at, _token(at)):
            raise ClusterUnreachable(
                f"the Ray cluster at {at} refuses the token; RAY_AUTH_TOKEN_PATH must name a file "
                "with the token of that cluster"
            )


def _is_answered(ask: _Asking, channel: Any, at: str, token: str | None) -> bool:
    """Whether the question is accepted; False when a token is wanted, or another one.

    Raises `ClusterUnreachable` when what answers is no Ray, or another version of it.
    """
    import ray

    try:
        version = ask(channel, [("authorization", f"Bearer {token}")] if token else [])
    except grpc.RpcError as error:
        code = error.code()
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return False
        raise ClusterUnreachable(
            f"what answers at {at} is no Ray head ({code.name.lower()}); give host:port of "
            "`ray start --head`, 6379 unless told otherwise, or ray://host:10001"
        ) from error
    if version not in (None, ray.__version__):
        raise ClusterUnreachable(
            f"the cluster at {at} runs Ray {version} and this is Ray {ray.__version__}; "
            "both sides must run the same"
        )
    return True


def _head_answers(channel: Any, metadata: list[tuple[str, str]]) -> str | None:
    """The head's version of Ray."""
    from ray.core.generated import gcs_service_pb2 as messages

    ask = channel.unary_unary(
        "/ray.rpc.NodeInfoGcsService/CheckAlive",
        request_serializer=messages.CheckAliveRequest.SerializeToString,
        response_deserializer=messages.CheckAliveReply.FromString,
    )
    reply = ask(messages.CheckAliveRequest(), timeout=_CONNECT_S, metadata=metadata)
    return str(reply.ray_version)


def _client_server_answers(channel: Any, metadata: list[tuple[str, str]]) -> str | None:
    """None: a client server answers pings, and compares versions when it is joined."""
    from ray.core.generated import ray_client_pb2 as messages

    ask = channel.unary_unary(
        "/ray.rpc.RayletDriver/ClusterInfo",
        request_serializer=messages.ClusterInfoRequest.SerializeToString,
        response_deserializer=messages.ClusterInfoResponse.FromString,
    )
    ping = messages.ClusterInfoRequest(type=messages.ClusterInfoType.PING)
    ask(ping, timeout=_CONNECT_S, metadata=[*metadata, ("client_id", "phasefront")])
    return None


def _token(at: str) -> str:
    """The token Ray would use: RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        token = (os.environ.get("RAY_AUTH_TOKEN") or path.read_text(encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterUnreachable(
            f"the Ray cluster at {at} asks for a token and {path} cannot be read ({error}); name "
            "the token's file in RAY_AUTH_TOKEN_PATH"
        ) from error
    if not token.isprintable() or not token.isascii():
        raise ClusterUnreachable(f"{path} holds no token: a token is one line of plain characters")
    return token


def _joined(address: str, settings: Mapping[str, str]) -> Any:
    try:
        with ray_environment(settings):
            return quietly_initialised(address=address)
    except Exception as error:  # Ray raises half a dozen kinds here, RuntimeError among them
        words = " ".join(str(error).split())[:300]
        hint = (
            "is it a Ray client server, with this token (RAY_AUTH_TOKEN_PATH)?"
            if address.startswith("ray://")
            else "the driver must run on a machine of the cluster; from elsewhere use ray://"
        )
        raise ClusterUnreachable(
            f"cannot join the Ray cluster at {address}: {words}; {hint}"
        ) from error
