"""Who learns from whom: trials that wait for their teachers, and teachers that have taught. Pure.

A teacher is a trial like any other, with a key, attempts and charges of its own; it is trained
before those that learn from it because they wait here until it has finished. That its lesson is
there is believed, not known: whoever trains a student reports what is missing, which costs nobody a
charge, and the teacher is trained again, to the same lesson. Where that helps no student, again and
again, there is no place for the lesson, and its students are given up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.domain.trial import Trial
from orchestrator.plan.facts import GiveUp, Teachers

TEACHER_GIVEN_UP = "teacher given up"
"""How the reason of a gap begins that its teacher made."""

NOT_KEPT = "lesson cannot be kept"
"""How the reason of a gap begins whose teacher's lesson is gone whenever it is wanted."""

AGAIN_AT_MOST = 3
"""Times that a teacher teaches again before one of its students finishes. Chosen by hand."""


class Classroom:
    """Iterates over the trials that wait for their teachers."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Trial]] = {}
        self._taught: set[str] = set()
        self._again: set[str] = set()
        self._times: Counter[str] = Counter()  # taught again since a student last finished
        self._untaught: dict[str, tuple[str, ...]] = {}  # with the reasons of its students' gaps

    def __iter__(self) -> Iterator[Trial]:
        for students in self._waiting.values():
            yield from students

    def learn_of(self, fact: Teachers) -> None:
        """Take in what was known of teachers before any of their students comes."""
        self._taught |= fact.taught
        for teacher, reasons in fact.untaught.items():
            self._untaught[teacher] = _words_of_gap(teacher, reasons)

    def seat(self, trials: Iterable[Trial]) -> tuple[list[Trial], list[GiveUp]]:
        """Trials that can be trained now, and those that never can; the others wait."""
        ready, gaps = [], []
        for trial in trials:
            assert trial.teacher is not None
            teacher = trial.teacher.key
            if teacher in self._taught:
                ready.append(trial)
            elif teacher in self._untaught:
                gaps.append(GiveUp(trial.key, self._untaught[teacher]))
            else:
                self._waiting.setdefault(teacher, []).append(trial)
        return ready, gaps

    def taught(self, teacher: str) -> list[Trial]:
        """A trial has finished that may be a teacher: those that waited for it."""
        self._taught.add(teacher)
        self._again.discard(teacher)
        return self._waiting.pop(teacher, [])

    def learnt(self, student: Trial) -> None:
        """A student has finished: what its teacher taught was there."""
        if student.teacher is not None:
            del self._times[student.teacher.key]

    def give_up(self, teacher: str, reasons: tuple[str, ...]) -> list[GiveUp]:
        """A trial was given up that may be a teacher: so are those that waited for it."""
        self._untaught[teacher] = _words_of_gap(teacher, reasons)
        self._again.discard(teacher)
        waiting = self._waiting.pop(teacher, [])
        return [GiveUp(one.key, self._untaught[teacher]) for one in waiting]

    def lose(self, missing: Iterable[str], students: Iterable[Trial]) -> list[Trial]:
        """Lessons are not there: these students' teachers that have to teach again from now on.

        A teacher that is at it already is left out, and so is one that has done it in vain too
        often: of that there will be no lesson.
        """
        teachers = {one.teacher.key: one.teacher for one in students if one.teacher is not None}
        lost = [key for key in missing if key in teachers and key in self._taught]
        self._taught.difference_update(lost)
        self._times.update(lost)
        for key in lost:
            if self._times[key] > AGAIN_AT_MOST:
                words = f"{NOT_KEPT}: of {key[:8]}, gone after {self._times[key]} times"
                self._untaught[key] = (words,)
        again = [key for key in lost if key not in self._untaught]
        self._again.update(again)
        return [teachers[key] for key in again]

    def again(self, trials: Sequence[Trial]) -> frozenset[str]:
        """Those of the trials that are trained only for what they teach."""
        if not self._again:
            return frozenset()
        return frozenset(trial.key for trial in trials if trial.key in self._again)


def _words_of_gap(teacher: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """The reasons of a gap whose teacher was given up for those reasons."""
    return (f"{TEACHER_GIVEN_UP}: {teacher[:8]}, {reasons[-1] if reasons else 'before'}",)
