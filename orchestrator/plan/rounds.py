"""The rounds of a sweep: what each asked, and what has come of it.

Only rounds with unanswered trials hold their trials; the rest are folded into counts, so memory
follows the trials in flight and the number of distinct points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.trial import Trial
from orchestrator.plan.asks import ArmTally, Ask


@dataclass
class _Round:
    asks: list[Ask]
    ask_of: dict[str, Ask] = field(default_factory=dict)  # of each unanswered trial, by key
    tallies: dict[str, ArmTally] = field(default_factory=dict)


class Rounds:
    """Rounds in order; those but the last are folded as soon as all their trials are settled."""

    def __init__(self) -> None:
        self.count = 0
        self.trials = 0
        self.answered = 0
        self.gaps = 0
        self._open: list[_Round] = []
        self._folded: dict[str, ArmTally] = {}
        self._empty_in_a_row = 0

    def add(self, asks: Sequence[Ask], trials: Sequence[tuple[Ask, Trial]]) -> None:
        """The next round: its asks, and each of its trials with the ask it belongs to."""
        self.count += 1
        self.trials += len(trials)
        self._empty_in_a_row = 0 if asks else self._empty_in_a_row + 1
        self._open.append(_Round(list(asks), {trial.key: ask for ask, trial in trials}))
        self._fold()

    def settle(self, key: str, success: bool | None) -> None:
        """A trial has its answer; None makes it a gap. Settling it again does nothing."""
        for one in self._open:
            ask = one.ask_of.pop(key, None)
            if ask is not None:
                _count(one.tallies, ask, success)
                self.answered += success is not None
                self.gaps += success is None
        self._fold()

    @property
    def last(self) -> list[Ask]:
        """The asks of the newest round; empty before the first."""
        return self._open[-1].asks if self._open else []

    @property
    def may_propose(self) -> bool:
        """Whether every round but the newest is settled, and the end has not been decided."""
        return not self.is_over and len(self._open) <= 1

    @property
    def is_over(self) -> bool:
        """Whether two rounds in a row asked for nothing (the second with nothing in flight)."""
        return self._empty_in_a_row >= 2

    @property
    def is_settled(self) -> bool:
        """Whether every trial asked for has its answer."""
        return not any(one.ask_of for one in self._open)

    def before_last(self) -> list[ArmTally]:
        """Counts over all rounds but the newest, in a fixed order."""
        return [self._folded[name] for name in sorted(self._folded)]

    def so_far(self) -> list[ArmTally]:
        """Counts over every answered trial, in a fixed order."""
        total = dict(self._folded)
        for one in self._open:
            for name, tally in one.tallies.items():
                total[name] = _sum(total.get(name), tally)
        return [total[name] for name in sorted(total)]

    def _fold(self) -> None:
        while len(self._open) > 1 and not self._open[0].ask_of:
            for name, tally in self._open.pop(0).tallies.items():
                self._folded[name] = _sum(self._folded.get(name), tally)


def _count(tallies: dict[str, ArmTally], ask: Ask, success: bool | None) -> None:
    one = ArmTally(
        arm=ask.arm,
        point=ask.point,
        successes=int(success is True),
        trials=int(success is not None),
        gaps=int(success is None),
        tuned=ask.tuned,
    )
    name = _name(ask)
    tallies[name] = _sum(tallies.get(name), one)


def _name(ask: Ask) -> str:
    point, fields = ask.point, canonical_json(dict(ask.tuned))
    return f"{ask.arm:05d} {point.d:09d} {point.k:09d} {point.n:012d} {fields}"


def _sum(known: ArmTally | None, more: ArmTally) -> ArmTally:
    if known is None:
        return more
    return replace(
        known,
        successes=known.successes + more.successes,
        trials=known.trials + more.trials,
        gaps=known.gaps + more.gaps,
    )
