"""Who learns from whom: trials that wait for their teachers, and teachers that have taught. Pure.

A teacher is a trial like any other, with a key, attempts and charges of its own; it is trained
before those that learn from it because they wait here until it has finished. That its lesson is
there is believed, not known: whoever trains a student reports what is missing, which costs nobody a
charge, and the teacher is trained again, to the same lesson.
"""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.domain.trial import Trial
from orchestrator.plan.facts import GiveUp, Teachers

TEACHER_GIVEN_UP = "teacher given up"
"""How the reason of a gap begins that its teacher made."""


class Classroom:
    """Iterates over the trials that wait for their teachers."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Trial]] = {}
        self._taught: set[str] = set()
        self._again: set[str] = set()
        self._untaught: dict[str, tuple[str, ...]] = {}

    def __iter__(self) -> Iterator[Trial]:
        for pupils in self._waiting.values():
            yield from pupils

    def learn_of(self, fact: Teachers) -> None:
        """Take in what was known of teachers before any of their pupils comes."""
        self._taught |= fact.taught
        self._untaught.update(fact.untaught)

    def seat(self, trials: Iterable[Trial]) -> tuple[list[Trial], list[GiveUp]]:
        """Trials that can be trained now, and those that never can; the others wait."""
        ready, gaps = [], []
        for trial in trials:
            assert trial.teacher is not None
            teacher = trial.teacher.key
            if teacher in self._taught:
                ready.append(trial)
            elif teacher in self._untaught:
                gaps.append(GiveUp(trial.key, words_of_gap(teacher, self._untaught[teacher])))
            else:
                self._waiting.setdefault(teacher, []).append(trial)
        return ready, gaps

    def taught(self, teacher: str) -> list[Trial]:
        """A trial has finished that may be a teacher: those that waited for it."""
        self._taught.add(teacher)
        self._again.discard(teacher)
        return self._waiting.pop(teacher, [])

    def give_up(self, teacher: str, reasons: tuple[str, ...]) -> list[Trial]:
        """A trial was given up that may be a teacher: those that waited for it, in vain."""
        self._untaught[teacher] = reasons
        self._again.discard(teacher)
        return self._waiting.pop(teacher, [])

    def lose(self, missing: Iterable[str], pupils: Iterable[Trial]) -> list[Trial]:
        """Lessons are not there: the teachers of these pupils that have to teach again from now on.

        A teacher that is at it already is left out.
        """
        of_pupils = {one.teacher.key: one.teacher for one in pupils if one.teacher is not None}
        lost = [key for key in missing if key in of_pupils and key in self._taught]
        self._taught.difference_update(lost)
        self._again.update(lost)
        return [of_pupils[key] for key in lost]

    def again(self, trials: Sequence[Trial]) -> frozenset[str]:
        """Those of the trials that are trained only for what they teach."""
        if not self._again:
            return frozenset()
        return frozenset(trial.key for trial in trials if trial.key in self._again)


def words_of_gap(teacher: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """The reasons of a gap whose teacher was given up for those reasons."""
    return (f"{TEACHER_GIVEN_UP}: {teacher[:8]}, {reasons[-1] if reasons else 'before'}",)
