"""CPU time of this process and everything below it."""

from contextlib import suppress

import psutil


class TreeCpu:
    """CPU seconds of the process tree since this object was made.

    Processes that ended meanwhile are not counted; workers and servers live through a measurement.
    """

    def __init__(self) -> None:
        self._before = _seconds()

    def seconds(self) -> float:
        """User and system time so far, those of processes born since in full."""
        return sum(now - self._before.get(pid, 0.0) for pid, now in _seconds().items())


def memory_mb() -> float:
    """Resident memory of this process, in 10^6 bytes."""
    return float(psutil.Process().memory_info().rss) / 1e6


def _seconds() -> dict[int, float]:
    found = {}
    root = psutil.Process()
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found
