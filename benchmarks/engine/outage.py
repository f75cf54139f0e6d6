"""A sweep whose MLflow server is frozen beside one whose server answers: what trials it loses.

Pairs of sweeps of the medium net on two slots, recorded over HTTP, one of each pair with its server
suspended from the first answered trial on. After as many seconds the server goes on, and it is
timed until it has been told everything while the sweep goes on too.

    python -m benchmarks.engine outage [--rounds 5]
"""

import math
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.engine.goals import Line
from benchmarks.engine.isolated import answer, measured
from benchmarks.engine.ours import words_of
from benchmarks.engine.sizes import SIZES
from benchmarks.mirror.served import PATIENCE_S, Served

SECONDS = 60.0
CELLS = 10_000
"""More than can be trained meanwhile."""


class Watch:
    """Counts trials from the first answered one for `seconds`, with the server as it should be."""

    def __init__(self, server: Served, is_frozen: bool, seconds: float) -> None:
        self._server = server
        self._is_frozen, self._seconds = is_frozen, seconds
        self._began, self._first = 0.0, 0
        self.thawed = 0.0
        self.rate = 0.0

    def __call__(self, answered: int) -> None:
        """Take note of how many trials have been answered."""
        now = time.monotonic()
        if not answered or self.rate:
            return
        if not self._began:
            self._began, self._first = now, answered
            self._send(signal.SIGSTOP)
        elif now - self._began >= self._seconds:
            self.rate = (answered - self._first) / (now - self._began)
            self._send(signal.SIGCONT)
            self.thawed = now

    def _send(self, number: signal.Signals) -> None:
        if self._is_frozen:
            self._server.send(number)


def measure(is_frozen: bool, seconds: float) -> dict[str, Any]:
    """Trials a second, and seconds from the server's return until it was told what was queued."""
    from orchestrator import api
    from orchestrator.errors import Interrupted
    from orchestrator.spec import ExperimentSpec
    from orchestrator.sweep import Progress

    spec = ExperimentSpec.from_words(words_of(SIZES["medium"], CELLS))
    told_s = math.inf
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder, "store")) as server:
        place = api.Place(server.uri, str(Path(folder, "ledger.db")))
        seen = Watch(server, is_frozen, seconds)

        def watch(progress: Progress) -> None:
            seen(progress.answered)

        def interrupted() -> bool:
            nonlocal told_s
            if not seen.thawed:
                return False
            waited = time.monotonic() - seen.thawed
            if _keeps_up(spec.id, place):
                told_s = waited
            return math.isfinite(told_s) or waited > PATIENCE_S

        with suppress(Interrupted):
            api.run(spec, place=place, machine=api.Machine(slots=2), watch=watch,
                    interrupted=interrupted)  # fmt: skip
    return {"rate": seen.rate, "told_s": min(told_s, PATIENCE_S)}


def lines(rounds: int, seconds: float = SECONDS) -> list[Line]:
    """The ratio of throughputs over pairs with Student's interval, and the mirror's return."""
    pairs = [_pair(number, seconds) for number in range(rounds)]
    ratios = [math.log(frozen["rate"] / alive["rate"]) for frozen, alive in pairs]
    middle, low, high = _interval(ratios)
    worst = max(frozen["told_s"] for frozen, _ in pairs)
    note = f"{middle:.3f} [{low:.3f}, {high:.3f}] over {rounds} pairs of {seconds:g} s"
    return [
        Line("server frozen / alive: trials per second, low end of 95%", low, at_least=0.95,
             note=note),
        Line("mirror complete after the server's return, worst", worst, "s", at_most=30.0),
    ]  # fmt: skip


def _pair(number: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The frozen and the other, either first in turn."""
    order = (True, False) if number % 2 else (False, True)
    runs = {one: measured("outage", is_frozen=one, seconds=seconds) for one in order}
    return runs[True], runs[False]


def _interval(logs: Sequence[float]) -> tuple[float, float, float]:
    mean = math.fsum(logs) / len(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    spread = math.fsum((one - mean) ** 2 for one in logs) / (len(logs) - 1)
    reach = float(stats.t.isf(0.025, len(logs) - 1)) * math.sqrt(spread / len(logs))
    return math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)


def _keeps_up(sweep: str, place: Any) -> bool:
    """Whether all that is queued is younger than a look of the mirror at its outbox."""
    from orchestrator.tracking import Reader

    reader = Reader(place.store, place.ledger)
    try:
        return bool(reader.lag(sweep) <= LATEST)
    finally:
        reader.close()


LATEST = 500
"""Entries that the sweep queues anew within some seconds; a minute's are ten times as many."""


if __name__ == "__main__":
    answer(measure)
