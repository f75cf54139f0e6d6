"""Which waiting trials to train together."""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from orchestrator.domain.trial import Cell, Trial
from orchestrator.plan.cost import CostModel


@dataclass(frozen=True)
class PackLimits:
    """How large a pack may be. All chosen by hand, near what was measured to pay.

    Throughput of batched training on a CPU core is flat from 16 trials a pack to 64 (a two-layer
    net of width 128: 89 and 86 trials per CPU second) and falls slowly from there (75 at 256).
    Longer packs only make the slots uneven.
    """

    trials: int = 64
    """Enough for trials that take their time."""
    most: int = 512
    """Where trials are over in no time: a receipt of 512 with ten measures has 70 kB of the 100
    that may travel inline."""
    seconds: float = 2.0
    worth_s: float = 0.1
    """A pack costs its driver two durable writes and a call, some 20 ms where disks are slow: less
    work than this is not split over slots, and packs of more than `trials` are made to have it."""
    bytes: float = 1e9
    least: int = 4
    """The even share stops here: a lone trial is trained with a twin and costs as much as two."""
    first_trials: int = 8
    """Size of a learner's first pack, the probe that measures it."""


class Waiting:
    """Trials of one arm that have not started, in the order in which they should.

    Those that can be fitted in one computation (`Learner.shape`; d and k are never padded to a
    pack-mate's) go into one pack as far as that reaches, even where others were asked for between
    them: split over two packs they cost more than together.
    """

    def __init__(self) -> None:
        self._companies: dict[Hashable, deque[Trial]] = {}
        self._newest: tuple[Cell, deque[Trial]] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Trial]:
        for company in self._companies.values():
            yield from company

    def add(self, trial: Trial) -> None:
        """Put a trial behind the others."""
        cell = trial.cell
        if self._newest is None or self._newest[0] is not cell:
            name = (cell.point.d, cell.point.k, cell.learner.shape(cell.point))
            self._newest = cell, self._companies.setdefault(name, deque())
        self._newest[1].append(trial)
        self._count += 1

    def take(self, slots: int, cost: CostModel, limits: PackLimits) -> tuple[Trial, ...]:
        """Remove the trials of the next pack, at least one of those that there are.

        They are shared evenly over the slots, so that a small round keeps every slot busy and the
        last packs are small.
        """
        pack = _Pack(limits, self._most(slots, cost, limits))
        for name in list(self._companies):
            company = self._companies[name]
            before = len(company)
            while company and pack.takes(company[0], cost):
                company.popleft()
            if len(company) == 1 < before:  # alone it would be trained with a twin
                pack.trials.append(company.popleft())
            if company:
                break
            del self._companies[name]
            self._newest = None  # a trial that comes later founds the company anew
        self._count -= len(pack.trials)
        return tuple(pack.trials)

    def _most(self, slots: int, cost: CostModel, limits: PackLimits) -> int:
        first = next(iter(self))
        share = max(limits.least, -(-self._count // max(1, slots)))
        if not cost.is_measured(first.cell):
            return min(share, limits.first_trials)
        each_s = cost.seconds(first.cell)  # nothing at all, for some point of some learner
        is_tiny = each_s * limits.most <= limits.worth_s
        worth = limits.most if is_tiny else int(limits.worth_s / each_s)
        return max(worth, min(share, limits.trials))


class _Pack:
    """A pack being filled."""

    def __init__(self, limits: PackLimits, most: int) -> None:
        self.trials: list[Trial] = []
        self._limits, self._most = limits, most
        self._seconds = self._bytes = 0.0
        self._cell: Cell | None = None
        self._price = (0.0, 0.0)  # of one trial of that cell

    def takes(self, trial: Trial, cost: CostModel) -> bool:
        """Whether there was room for the trial, which then is in."""
        cell = trial.cell
        if cell is not self._cell:
            self._cell = cell
            self._price = cost.seconds(cell), cell.learner.memory_bytes(cell.point)
        seconds, memory = self._seconds + self._price[0], self._bytes + self._price[1]
        is_over = seconds > self._limits.seconds or memory > self._limits.bytes
        if self.trials and (is_over or len(self.trials) >= self._most):
            return False
        self.trials.append(trial)
        self._seconds, self._bytes = seconds, memory
        return True
