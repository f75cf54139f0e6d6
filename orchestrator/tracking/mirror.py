"""The mirror: one thread that keeps MLflow told, off the hot path.

A thread, not a process: on two loaded cores a commit of 64 results took 16 ms with the mirror at
work beside it and 22 ms without, so the interpreter's lock is not what it waits for; and a process
would import everything a second time and outlive a driver that is killed. Nothing it does reaches
the driver: whatever fails is logged once per outage and tried again, waiting longer each time.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import update

from orchestrator.errors import PhasefrontError
from orchestrator.tracking import outbox, queries, writes
from orchestrator.tracking.database import Database
from orchestrator.tracking.locks import Lock, is_held, lock_for, telling_lock
from orchestrator.tracking.places import Store
from orchestrator.tracking.schema import sweeps
from orchestrator.tracking.teller import Stopped, Teller
from orchestrator.tracking.writer import Writer

PACE_S = 1.0
"""Shortest time between two looks at the outbox: trials of a cell gather, and share a call."""

SHARE = 0.3
"""Of one core, what telling may take while the driver works: trials come first, and what was put
off is told when the driver rests or ends. So MLflow keeps up with 2,000 trials a second."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 15.0
"""Between attempts during an outage, doubled each time; telling begins so soon after its end."""

TURN_S = 0.5
"""How often a mirror that waits for its turn asks whether it was abandoned; chosen by hand."""

log = logging.getLogger(__name__)


class OutboxMirror:
    """Tells MLflow what the outbox holds. `connect` makes a writer; it may be slow, or raise."""

    def __init__(
        self,
        database: Database,
        store: Store,
        connect: Callable[[Store], Writer] = Writer,
        pace_s: float = PACE_S,
    ) -> None:
        self._database = database
        self._store = store
        self._connect = connect
        self._pace_s = pace_s
        self._news = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer: Writer | None = None
        self._sweep = ""
        self._complained = False

    def start(self, sweep: str) -> None:
        """Tell what is queued for a sweep from the first `wake` on: until then the driver reads
        what it resumes, and a second thread holds it up (9.2 s for 10^5 trials, and 6.8 s alone).
        """
        if self._thread is not None:  # abandoned in the middle of a request; it ends after that
            self._thread.join()
        for event in (self._news, self._closing, self._abandoned):
            event.clear()
        self._sweep = sweep
        self._thread = threading.Thread(target=self._run, name="mlflow mirror", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Work has begun, or something was queued."""
        self._news.set()

    def stop(self, drain_s: float) -> bool:
        """Stop within about `drain_s` seconds; whether everything queued was told."""
        if self._thread is None:
            return True
        self._closing.set()
        self._news.set()
        try:
            self._thread.join(max(0.0, drain_s))
        finally:
            self._abandoned.set()
        is_over = not self._thread.is_alive()
        self._thread = None if is_over else self._thread
        with self._database.reading() as connection:
            return is_over and queries.lag(connection, self._sweep) == 0

    def _run(self) -> None:
        turn = telling_lock(self._database, self._sweep)
        self._news.wait()
        try:
            self._tell_until_closed(turn)
        finally:
            turn.release()

    def _tell_until_closed(self, turn: Lock) -> None:
        wait_s, teller, looked_around, has_turn = FIRST_WAIT_S, None, False, False
        while not self._abandoned.is_set():
            self._news.clear()
            is_last = self._closing.is_set()  # asked before looking: nothing is queued after it
            try:
                has_turn = has_turn or self._take_turn(turn)
                teller = teller or self._ready(self._sweep, self._abandoned.is_set)
                self._tell_all(teller, self._abandoned.is_set)
                wait_s = FIRST_WAIT_S
                if is_last:
                    return
                if not looked_around:
                    looked_around = True
                    self._tell_others()
                self._news.wait()
                self._closing.wait(self._pace_s)
            except Stopped:
                return
            except Exception as error:  # the driver must not hear of it, and the thread must go on
                teller = None
                self._complain(error)
                self._pause(wait_s)
                wait_s = min(2.0 * wait_s, LONGEST_WAIT_S)

    def _take_turn(self, turn: Lock) -> bool:
        """Wait for another driver's mirror that tells our backlog; it stops when it sees us."""
        while not turn.take(patience_s=TURN_S):
            if self._abandoned.is_set():
                raise Stopped
        return True

    def _ready(self, sweep: str, stopped: Callable[[], bool]) -> Teller:
        if self._writer is None:
            self._writer = self._connect(self._store)
        teller = Teller(self._database, self._writer, sweep, stopped)
        teller.prepare()
        return teller

    def _tell_all(self, teller: Teller, stopped: Callable[[], bool]) -> None:
        began = time.thread_time()
        while teller.tell():
            if stopped():
                raise Stopped
            began, spent = time.thread_time(), time.thread_time() - began
            self._closing.wait(spent * (1.0 - SHARE) / SHARE)
        teller.settle_up()
        if self._complained:
            log.warning("MLflow answers again (%s); it has been told everything", self._store.uri)
            self._complained = False

    def _tell_others(self) -> None:
        """Say what drivers that are gone have left unsaid: of sweeps that nobody holds.

        A driver of such a sweep is never kept waiting: this ends when it comes, or when ours ends.
        """
        with self._database.reading() as connection:
            left = outbox.unfinished(connection, but=self._sweep)
        for sweep in left:

            def stopped(sweep: str = sweep) -> bool:
                return self._closing.is_set() or is_held(self._database, sweep)

            turn = telling_lock(self._database, sweep)
            if stopped() or not turn.take(patience_s=0.0):
                continue
            try:
                bury_if_dead(self._database, sweep)
                self._tell_all(self._ready(sweep, stopped), stopped)
            except Stopped:
                pass
            finally:
                turn.release()

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            ours = isinstance(error, PhasefrontError)
            log.warning(
                "MLflow is not being told (%s): %s; training goes on, and it will be told later",
                self._store.uri,
                error if ours else f"{type(error).__name__}: {_first_line(error)}",
            )
            self._complained = True
        log.debug("mirror of sweep %s", self._sweep, exc_info=error)

    def _pause(self, wait_s: float) -> None:
        """Wait; a request to close cuts the wait short once, then there is not much time left."""
        if self._closing.is_set():
            self._abandoned.wait(min(wait_s, FIRST_WAIT_S))
        else:
            self._closing.wait(wait_s)


def bury_if_dead(database: Database, sweep: str) -> None:
    """A sweep that runs without a driver was interrupted."""
    driver = lock_for(database, sweep)
    if not driver.take(patience_s=0.0):
        return
    try:
        bury(database, sweep)
    finally:
        driver.release()


def bury(database: Database, sweep: str) -> None:
    """The same, said by whoever holds the driver's lock."""
    now = time.time()
    with database.writing() as connection:
        dead = (sweeps.c.id == sweep, sweeps.c.status == "running")
        ending = {"status": "interrupted", "stopped_by": "interrupted", "ended": now}
        if connection.execute(update(sweeps).where(*dead).values(**ending)).rowcount:
            writes.end_all_attempts(connection, sweep, now)
            writes.queue_end(connection, sweep, now)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]
