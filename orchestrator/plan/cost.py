"""What a trial costs: seconds from its learner's nominal work, learnt from finished packs."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from orchestrator.domain.trial import Cell, Trial

FIRST_GUESS_S = 1e-9
"""Seconds per nominal operation before anything was measured: chosen by hand, one core of 1 GFLOP/s
as small batched work reaches it."""

MEMORY = 0.7
"""Weight of what was known against one new pack: by hand, a drift is followed in some 5 packs."""


class CostModel:
    """Seconds per trial: nominal work times a rate per learner, an average over finished packs.

    Measured seconds size packs and predict the time left; they never steer a suggestion, which
    would make the answer depend on the machine.
    """

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}

    def seconds(self, cell: Cell) -> float:
        """Predicted seconds of one trial of a cell in a pack."""
        return self._rates.get(_subject(cell), FIRST_GUESS_S) * cell.learner.work(cell.point)

    def total_s(self, trials: Iterable[Trial]) -> float:
        """Predicted seconds of all of them on one slot."""
        return sum(count * self.seconds(cell) for cell, count in counted(trials))

    def learn(self, trials: Sequence[Trial], seconds: float) -> None:
        """A pack of these trials took `seconds`."""
        work = sum(count * cell.learner.work(cell.point) for cell, count in counted(trials))
        if work <= 0 or seconds <= 0:
            return
        subject, rate = _subject(trials[0].cell), seconds / work
        known = self._rates.get(subject)
        self._rates[subject] = rate if known is None else MEMORY * known + (1 - MEMORY) * rate

    def is_measured(self, cell: Cell) -> bool:
        """Whether a pack of this cell's target and learner has finished."""
        return _subject(cell) in self._rates


def counted(trials: Iterable[Trial]) -> list[tuple[Cell, int]]:
    """Trials that follow each other in one cell, as the cell and how many."""
    runs = (list(run) for _, run in groupby(trials, key=lambda trial: id(trial.cell)))
    return [(run[0].cell, len(run)) for run in runs]


def _subject(cell: Cell) -> str:
    return cell.target.canonical + cell.learner.canonical
