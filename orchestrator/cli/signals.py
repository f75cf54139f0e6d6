"""Ctrl-C and SIGTERM: the first asks to stop, the second ends at once."""

import os
import signal
from types import FrameType, TracebackType

from rich.console import Console


class Signals:
    """While inside, SIGINT and SIGTERM are requests; `asked` says whether one came."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._asked = False
        self._before: dict[int, object] = {}

    def asked(self) -> bool:
        """Whether someone asked to stop."""
        return self._asked

    def __enter__(self) -> "Signals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            os._exit(130)
        self._asked = True
        self._console.print("stopping; what is committed is kept (again to end at once)")
