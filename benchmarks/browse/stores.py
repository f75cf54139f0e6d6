"""Stores made by real sweeps of a learner that does nothing, and the UI on them."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.sweeps import NOTHING
from orchestrator import api

START_S = 120.0


@dataclass(frozen=True)
class Ui:
    """`phasefront ui` on a store of one sweep: its root, and the address it says to open."""

    root: str
    opens: str
    sweep: str


def swept(folder: Path, ds: int, ns: int, repeats: int) -> str:
    """Answer a grid of ds times ns cells, mirrored to the end; the sweep's id."""
    plugins = api.load_plugins([NOTHING])
    spec = api.ExperimentSpec.from_words(
        {
            "name": f"nothing-{ds * ns}",
            "question": "How much of nothing is there to browse?",
            "target": {"kind": "nowhere"},
            "learner": {"kind": "nothing"},
            "axes": {"d": list(range(1, ds + 1)), "n": list(range(1, ns + 1))},
            "repeats": repeats,
            "search": {"kind": "grid"},
            "success": {"measure": "nothing", "above": 0.5},
        }
    )
    machine = api.Machine(in_process=True)
    api.run(spec, place=api.Place(str(folder)), machine=machine, plugins=plugins)
    lag = api.standing(spec.id, api.Place(str(folder))).lag
    if lag:
        raise RuntimeError(f"MLflow was not told {lag:,} things")
    return spec.id


@contextmanager
def served(folder: Path, sweep: str) -> Iterator[Ui]:
    """The UI on loopback, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "from orchestrator.cli import main; main()"
    words = ["ui", "--store", str(folder), "--port", str(port)]
    with (folder.parent / f"{folder.name}.log").open("w+") as log:
        server = subprocess.Popen([sys.executable, "-c", program, *words], stderr=log)
        try:
            root = f"http://127.0.0.1:{port}"
            _wait_for(f"{root}/health", server)
            log.seek(0)
            yield Ui(root, re.findall(r"http\S+", log.readline())[0], sweep)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(START_S)


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{address} does not answer")
