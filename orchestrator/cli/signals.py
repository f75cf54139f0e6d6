"""Ctrl-C and SIGTERM: the first asks to stop, the second ends at once.

Whoever asks waits at most ten seconds, whatever this process is busy with.

- At once the loop is asked to stop; it listens several times a second.
- After 1 s, where it has not listened (Ray starts, a pack trains in this process, MLflow is told
  the last of it), the main thread gets a `KeyboardInterrupt`.
- After 8 s the process ends, and its children with it: the ledger is made for that.
"""

import os
import select
import signal
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType

import psutil

from orchestrator.errors import Interrupted

INTERRUPT_S = 1.0
"""For the loop to hear of a request; it listens every 0.2 s. Chosen by hand."""

END_S = 8.0
"""For everything to be put away: Ray has taken up to 3 s and MLflow is given 3. By hand."""

_ASKING = (signal.SIGINT, signal.SIGTERM)
_STATUS = Interrupted.exit_status


class Signals:
    """While inside, SIGINT and SIGTERM are requests; `asked` says whether one came.

    A thread of its own hears them, so that a second one, or the end of patience, counts while the
    main thread is inside a library and hears nothing. A `KeyboardInterrupt` that was raised to get
    it out leaves as `Interrupted`. `words` say how to go on.
    """

    def __init__(self, words: str) -> None:
        self._words = words
        self._asked = self._closed = False
        self._heard = False
        self._before: dict[int, object] = {}
        self._ear, self._mouth = os.pipe()

    def asked(self) -> bool:
        """Whether someone asked to stop."""
        self._heard = self._asked
        return self._asked

    def __enter__(self) -> "Signals":
        os.set_blocking(self._mouth, False)
        signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        for number in _ASKING:
            self._before[number] = signal.signal(number, _left_to_the_thread)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._interrupt)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._heard = True
        self._closed = not self._asked
        if self._closed:  # else the watch goes on, for the rest of the process has an end too
            for number, handler in self._before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            signal.set_wakeup_fd(-1)
            os.write(self._mouth, b"\0")
        elif isinstance(error, KeyboardInterrupt):
            raise _interrupted(error) from error

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._heard:
            self._heard = True
            raise KeyboardInterrupt

    def _watch(self) -> None:
        if not self._hears_request(within_s=None):
            os.close(self._ear)
            os.close(self._mouth)
            return
        asked_at, self._asked = time.monotonic(), True
        _say("stopping; what is committed is kept (again to end at once)")
        heard = self._hears_request(INTERRUPT_S)
        if self._closed:  # the request came as all was over
            return
        if not heard:
            signal.pthread_kill(_main(), signal.SIGALRM)
            self._hears_request(asked_at + END_S - time.monotonic())
        self._end()

    def _hears_request(self, within_s: float | None) -> bool:
        """Whether a request comes in time; False at once when there is no more to hear."""
        until = None if within_s is None else time.monotonic() + within_s
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._ear], [], [], left)[0]:
                return False
            number = os.read(self._ear, 1)[0]
            if number in _ASKING or not number:
                return bool(number)

    def _end(self) -> None:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        _say(f"ended at once; go on with: {self._words}")
        os._exit(_STATUS)


def _left_to_the_thread(number: int, frame: FrameType | None) -> None:
    """There has to be a handler for the thread to hear."""


def _main() -> int:
    main = threading.main_thread().ident
    assert main is not None
    return main


def _say(words: str) -> None:
    """Not through a stream: a handler may find it in the middle of another write. Nobody may be
    left to read it.
    """
    with suppress(OSError):
        os.write(2, f"{words}\n".encode())


def _interrupted(error: KeyboardInterrupt) -> Interrupted:
    found = Interrupted("stopped on request; everything committed is kept")
    for note in getattr(error, "__notes__", ["nothing had begun; run the same command again"]):
        found.add_note(note)
    return found
