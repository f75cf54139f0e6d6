"""Running a server in the foreground, with nothing left behind."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

GRACE_S = 10.0
"""How long a server may take to end before it is killed. Chosen by hand."""


def served(command: Sequence[str]) -> int:
    """Run a server until it ends or Ctrl-C or SIGTERM comes; its exit status, 0 when asked to stop.

    The server leads a process group of its own, because it starts workers: all of it is ended.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    server = subprocess.Popen(command, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(server: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_S)
            break
