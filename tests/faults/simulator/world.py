"""The simulated world: one clock that nobody waits for, one seed, one thread.

Whatever happens later is an event in a heap; time jumps from one to the next. Whatever may go wrong
is a fault with a name; of all faults each seed has some, each with a rate of its own. After the
storm nothing goes wrong any more, and everything must come to an end.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from orchestrator.errors import LedgerUnreachable
from orchestrator.failpoints import TRANSACTIONS

STORM_S = 8.0
"""How long faults strike, in virtual seconds; without any a sweep takes two or three."""

ACTIVE, LEAST, MOST = 0.25, 0.05, 0.25
"""Chance that a seed has a given fault, and the range of its rate: those of buggify."""

RARE, RARER = 0.15, 0.03
"""Rates of what ends a driver are lowered by this much, because it comes by some failpoints and by
calls a hundred times, by writes five hundred: so drivers die now and then and get somewhere."""

OFTEN = frozenset({"round", "begin", "commit", "charge"})

FAILPOINTS = tuple(
    f"{one}.{when}" for one in TRANSACTIONS for when in ("before", "within", "after")
)
"""Where a driver may die, besides the moments when it waits."""

AT_A_CALL = (
    "ledger does not answer",
    "answer of the ledger lost",
    "driver frozen and replaced",
    "driver killed while it waits",
)
AT_A_WRITE = ("driver killed between two writes", "disk full between two writes")

TO_A_PACK = (
    *("worker killed", "worker out of memory", "worker frozen", "worker cut off", "worker slow"),
    *("reply lost", "reply late", "reply doubled", "lesson not written"),
)
NOW_AND_THEN = (
    *("Ctrl-C", "cancel", "second driver", "node lost", "worker preempted"),
    *("wall clock jumps", "another sweep", "lesson lost"),
)
"""Strike at random times; the rate is per second. `another sweep` is the file, edited and run."""

TO_MLFLOW = (
    *("MLflow down", "MLflow's answer lost", "MLflow writes by half"),
    *("outbox.mark.before", "outbox.mark.after", "outbox.drop.before", "outbox.drop.after"),
)
"""The last four are the mirror's failpoints."""

EVERY = (*FAILPOINTS, *AT_A_CALL, *AT_A_WRITE, *TO_A_PACK, *NOW_AND_THEN, *TO_MLFLOW)


class Crash(BaseException):
    """The driver's process ends here: nothing of it runs any more, not even a `finally`."""


class World:
    """Time, chance and a history. `faults` has the rate of each fault that may strike."""

    def __init__(self, seed: int, faults: Mapping[str, float]) -> None:
        self.dice = random.Random(seed)
        self.faults = faults
        self.now = 0.0
        self.wall_offset_s = 1.7e9
        self.is_stormy = bool(faults)
        self.counts: Counter[str] = Counter()
        self.lessons: set[str] = set()
        """Keys of the trials of which some worker can read what they taught."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._history: list[tuple[float, str, tuple[object, ...]]] = []

    def monotonic(self) -> float:
        """Seconds by the clock that never jumps."""
        return self.now

    def wall(self) -> float:
        """Seconds since the epoch, as the machine believes."""
        return self.now + self.wall_offset_s

    def strikes(self, fault: str) -> bool:
        """Whether a fault happens now; counted if it does."""
        rate = self.faults.get(fault)
        if rate is None or not self.is_stormy or self.dice.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def between_two_writes(self) -> None:
        """A transaction is half said; it may go no further."""
        if self.strikes("driver killed between two writes"):
            self.counts["crashes"] += 1
            raise Crash("a point between two writes")
        if self.strikes("disk full between two writes"):
            raise LedgerUnreachable("the disk is full")

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        heapq.heappush(self._heap, (self.now + delay_s, next(self._serial), what))

    def pass_time(self, at_most_s: float) -> None:
        """Go on to the next event, or by so many seconds where there is none before."""
        until = self.now + at_most_s
        if self._heap and self._heap[0][0] <= until:
            self.now, _, what = heapq.heappop(self._heap)
            self.counts["events"] += 1
            what()
        else:
            self.now = until
        if self.now > STORM_S and self.is_stormy:
            self.is_stormy = False
            self.note("-- the storm is over --")

    def let_pass(self, seconds: float) -> None:
        """Let everything happen that comes within so many seconds."""
        until = self.now + seconds
        while self.now < until:
            self.pass_time(until - self.now)

    def note(self, text: str, *values: object) -> None:
        """Add a line to the history; `values` fill it in when somebody reads it."""
        self._history.append((self.now, text, values))

    @property
    def history(self) -> Iterable[str]:
        """What happened, line by line, with virtual seconds."""
        return [f"{at:9.3f}  {text.format(*values)}" for at, text, values in self._history]


def faults_of(seed: int, but: Iterable[str] = ()) -> dict[str, float]:
    """The faults of a seed and their rates."""
    dice = random.Random(f"faults of {seed}")
    rates = {name: dice.uniform(LEAST, MOST) for name in EVERY if dice.random() < ACTIVE}
    often = (one for one in FAILPOINTS if one.split(".")[1] in OFTEN)
    factors = dict.fromkeys((*often, *AT_A_CALL), RARE) | dict.fromkeys(AT_A_WRITE, RARER)
    return {name: rate * factors.get(name, 1.0) for name, rate in rates.items() if name not in but}
