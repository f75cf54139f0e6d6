"""What a trial costs: seconds from its learner's nominal work, learnt from finished packs."""

from collections.abc import Iterable, Sequence

from orchestrator.domain.trial import Trial

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

    def seconds(self, trial: Trial) -> float:
        """Predicted seconds of one trial in a pack."""
        rate = self._rates.get(_subject(trial), FIRST_GUESS_S)
        return rate * trial.cell.learner.work(trial.cell.point)

    def total_s(self, trials: Iterable[Trial]) -> float:
        """Predicted seconds of all of them on one slot."""
        return sum(self.seconds(trial) for trial in trials)

    def learn(self, trials: Sequence[Trial], seconds: float) -> None:
        """A pack of these trials took `seconds`."""
        work = sum(trial.cell.learner.work(trial.cell.point) for trial in trials)
        if work <= 0 or seconds <= 0:
            return
        subject, rate = _subject(trials[0]), seconds / work
        known = self._rates.get(subject)
        self._rates[subject] = rate if known is None else MEMORY * known + (1 - MEMORY) * rate

    def is_measured(self, trial: Trial) -> bool:
        """Whether a pack of this trial's target and learner has finished."""
        return _subject(trial) in self._rates


def _subject(trial: Trial) -> str:
    return trial.cell.target.canonical + trial.cell.learner.canonical
