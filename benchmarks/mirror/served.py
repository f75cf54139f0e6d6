"""An MLflow server that can be killed, and a wire that loses replies."""

import http.client
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import psutil

from orchestrator.tracking import ui_command

PATIENCE_S = 120.0

WORKERS = 4
"""Processes of the server: as many as `mlflow server` starts unasked."""


class Served:
    """The server of a store in `folder`, on a port that it keeps; runs inside a `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: psutil.Popen | None = None

    def start(self) -> None:
        """Start it, and wait until it answers. Raises `RuntimeError` when it never does."""
        command, _ = ui_command(str(self._folder), self._port, workers=WORKERS)
        log = subprocess.DEVNULL
        self._process = psutil.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=1.0):
                return
            time.sleep(0.2)
        self.kill()
        raise RuntimeError(f"no MLflow server on {self.uri} within {PATIENCE_S:g} s")

    def send(self, number: signal.Signals) -> None:
        """A signal to the server and its workers."""
        if self._process is not None:
            for process in (*self._process.children(recursive=True), self._process):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        self.send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._process = None

    def __enter__(self) -> "Served":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


class LossyWire:
    """Passes requests on to `upstream` and loses a share of the replies; open inside a `with`.

    A request whose reply is lost has been carried out. `lost` counts them.
    """

    def __init__(self, upstream: str, share: float, seed: int = 0) -> None:
        self.lost = 0
        self._share, self._dice, self._turn = share, random.Random(seed), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _passing_on(self, upstream))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"

    def loses_this_one(self) -> bool:
        """Whether the next reply gets lost."""
        with self._turn:
            is_lost = self._dice.random() < self._share
            self.lost += is_lost
            return is_lost

    def __enter__(self) -> "LossyWire":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _passing_on(wire: LossyWire, upstream: str) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(upstream)

    class PassingOn(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {**dict(self.headers.items()), "Host": address.netloc, "Connection": "close"}
            link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30.0)
            try:
                link.request(self.command, self.path, body, headers)
                reply = link.getresponse()
                content = reply.read()
            except (OSError, http.client.HTTPException):
                return  # nobody there: the caller's connection closes without a word
            finally:
                link.close()
            if wire.loses_this_one():
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: Any) -> None:
            """Quiet."""

    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(PassingOn, f"do_{verb}", PassingOn._pass_on)
    return PassingOn
