"""The rounds of a sweep: what each asked, and what has come of it.

Only rounds with unanswered trials hold their trials; the rest are folded into counts, so memory
follows the trials in flight and the number of distinct points.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import overload

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.trial import Trial
from orchestrator.plan.asks import ArmTally, Ask


class _Counts:
    """Successes, answered trials and gaps of what one ask, or several of one point, asked for."""

    __slots__ = ("ask", "gaps", "successes", "trials")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.successes = self.trials = self.gaps = 0

    def add(self, other: "_Counts") -> None:
        self.successes += other.successes
        self.trials += other.trials
        self.gaps += other.gaps

    def note(self, success: bool | None) -> None:
        self.successes += success is True
        self.trials += success is not None
        self.gaps += success is None

    @property
    def is_empty(self) -> bool:
        return not (self.trials or self.gaps)

    def tally(self) -> ArmTally:
        ask = self.ask
        return ArmTally(ask.arm, ask.point, self.successes, self.trials, self.gaps, ask.tuned)


class _Round:
    """A round: its asks, and its unanswered trials by key with the counts they will go to."""

    def __init__(self, asks: Sequence[Ask], trials: Sequence[tuple[Ask, Trial]]) -> None:
        self.asks = list(asks)
        counts: dict[int, _Counts] = {}
        self.open: dict[str, _Counts] = {}
        for ask, trial in trials:
            at = id(ask)  # two asks may be equal
            if at not in counts:
                counts[at] = _Counts(ask)
            self.open[trial.key] = counts[at]
        self.counts = list(counts.values())


class Rounds:
    """Rounds in order; those but the last are folded as soon as all their trials are settled."""

    def __init__(self) -> None:
        self.count = 0
        self.trials = 0
        self.answered = 0
        self.gaps = 0
        self._open: list[_Round] = []
        self._folded: dict[str, _Counts] = {}
        self._empty_in_a_row = 0

    def add(self, asks: Sequence[Ask], trials: Sequence[tuple[Ask, Trial]]) -> None:
        """The next round: its asks, and each of its trials with the ask it belongs to."""
        self.count += 1
        self.trials += len(trials)
        self._empty_in_a_row = 0 if asks else self._empty_in_a_row + 1
        self._open.append(_Round(asks, trials))
        self._fold()

    def settle(self, key: str, success: bool | None) -> None:
        """A trial has its answer; None makes it a gap. Settling it again does nothing."""
        for one in self._open:
            counts = one.open.pop(key, None)
            if counts is not None:
                counts.note(success)
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
        return not any(one.open for one in self._open)

    def before_last(self) -> Sequence[ArmTally]:
        """Counts over all rounds but the newest, in a fixed order.

        They are counted when first looked at, before the next trial is settled: designs that do not
        look at results have hundreds of thousands of points.
        """
        return _Tallies(self._folded)

    def so_far(self) -> list[ArmTally]:
        """Counts over every answered trial, in a fixed order."""
        total: dict[str, _Counts] = {}
        _add(total, (counts for one in self._open for counts in one.counts))
        for name, counts in self._folded.items():
            if name in total:
                total[name].add(counts)
            else:
                total[name] = counts
        return [total[name].tally() for name in sorted(total)]

    def _fold(self) -> None:
        while len(self._open) > 1 and not self._open[0].open:
            _add(self._folded, self._open.pop(0).counts)


class _Tallies(Sequence[ArmTally]):
    """Counts as tallies, in order of their names; made when first looked at."""

    def __init__(self, counts: Mapping[str, _Counts]) -> None:
        self._counts = counts

    @cached_property
    def _made(self) -> list[ArmTally]:
        return [self._counts[name].tally() for name in sorted(self._counts)]

    @overload
    def __getitem__(self, place: int) -> ArmTally: ...
    @overload
    def __getitem__(self, place: slice) -> list[ArmTally]: ...
    def __getitem__(self, place: int | slice) -> ArmTally | list[ArmTally]:
        return self._made[place]

    def __len__(self) -> int:
        return len(self._counts)

    def __eq__(self, other: object) -> bool:
        return self._made == other


def _add(totals: dict[str, _Counts], more: Iterable[_Counts]) -> None:
    """Add counts to those of their points; what is not there yet begins with a copy."""
    for counts in more:
        if not counts.is_empty:
            totals.setdefault(_name(counts.ask), _Counts(counts.ask)).add(counts)


def _name(ask: Ask) -> str:
    point, fields = ask.point, canonical_json(dict(ask.tuned))
    return f"{ask.arm:05d} {point.d:09d} {point.k:09d} {point.n:012d} {fields}"
