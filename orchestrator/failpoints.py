"""Named places where a process can be told to fail, to prove that nothing is lost there.

`at(name)` does nothing, in about 0.1 µs, unless the environment said otherwise when this module was
imported. `PHASEFRONT_FAILPOINT=ledger.commit.within=kill@2:/tmp/mark` kills the process the second
time it gets there. The mark is optional: a file that is made as the failure strikes, so that it
strikes once however many processes have been told of it, and so that somebody can see that it did.

| action | what happens |
|---|---|
| `kill` | the process sends itself SIGKILL |
| `enospc` | `OSError(ENOSPC)` is raised, as by a full disk |
| `hang` | the thread never goes on |
"""

import errno
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

VARIABLE = "PHASEFRONT_FAILPOINT"

TRANSACTIONS = tuple(
    f"ledger.{what}"
    for what in (
        *("enter", "reusable", "round", "begin", "commit", "charge", "give_up"),
        *("publish", "finish"),
    )
)
"""Transactions of a driver: each has a place `before` its first statement, `within` (everything is
said, nothing is durable) and `after` (durable, and nobody has heard of it)."""

MLFLOW_CALLS = tuple(
    f"mlflow.{what}"
    for what in ("create", "experiment", "new_run", "inputs", "log", "set_status", "put")
)
"""Calls of the mirror: each has a place `before` and `after`."""

NAMES = (
    "database.create.within",
    "lock.take.after",
    *(f"{one}.{when}" for one in TRANSACTIONS for when in ("before", "within", "after")),
    "lock.release.within",
    *("pack.train.before", "pack.train.after"),  # wherever a pack is trained: driver or worker
    *("slot.start.before", "slot.receipt.before"),  # in a worker of Ray's only
    *(f"{one}.{when}" for one in MLFLOW_CALLS for when in ("before", "after")),
    *("outbox.mark.before", "outbox.mark.after"),
    *("outbox.drop.before", "outbox.drop.after"),
)
"""Every place, roughly in the order in which a sweep comes by them."""

_WORDS = re.compile(r"(?P<name>[a-z_.]+)=(?P<action>[a-z]+)(@(?P<nth>[1-9]\d*))?(:(?P<mark>.+))?")


def at(name: str) -> None:
    """Fail here if this process was told to; else go on."""
    if _told is not None:
        _told.reach(name)


@contextmanager
def around(name: str) -> Iterator[None]:
    """`at` before the block, and after it unless it raises."""
    at(f"{name}.before")
    yield
    at(f"{name}.after")


def tell(words: str | None) -> None:
    """Have this process fail as those words say; None for not at all.

    Raises `ValueError` when they name no such place or action.
    """
    global _told
    _told = _Failure(words) if words else None


class Listener(Protocol):
    """Somebody who fails this process in a way of their own, such as a simulator."""

    def reach(self, name: str) -> None:
        """The process has come by that place; what is raised here is raised there."""


def listen(listener: Listener | None) -> None:
    """Have every place reported; None for no longer."""
    global _told
    _told = listener


class _Failure:
    def __init__(self, words: str) -> None:
        found = _WORDS.fullmatch(words)
        if not found or found["name"] not in NAMES or found["action"] not in _ACTIONS:
            raise ValueError(
                f"{VARIABLE}={words!r}: expected NAME=ACTION[@NTH][:MARK], with NAME one of "
                f"orchestrator.failpoints.NAMES and ACTION one of {', '.join(_ACTIONS)}"
            )
        self._name, self._mark = found["name"], found["mark"]
        self._nth = int(found["nth"] or 1)
        self._strike = _ACTIONS[found["action"]]
        self._visits = itertools.count(1)  # of all threads together; `next` is atomic

    def reach(self, name: str) -> None:
        if name == self._name and next(self._visits) == self._nth and self._is_first():
            self._strike()

    def _is_first(self) -> bool:
        if not self._mark:
            return True
        try:
            os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _refuse_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hang() -> None:
    threading.Event().wait()


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "enospc": _refuse_space, "hang": _hang}

_told: Listener | None = None
tell(os.environ.get(VARIABLE))
