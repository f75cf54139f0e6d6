"""A science that costs nothing: what a trial's result is, which trials are poison, what is asked.

Everything here is a pure function, so that a run without faults says what every run must end with.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Literal

from orchestrator.domain.learner import Fit, Learner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Result
from orchestrator.plan.facts import Reason
from orchestrator.ports import ArmTally, Ask, StoppedBy
from orchestrator.spec import ExperimentSpec

MINUTES = 0.05
"""Time limit of a trial in minutes, hence three virtual seconds for a pack."""

SIZES = (4, 5, 6)
"""Few, so that points come again, rounds extend each other's repeats, and sweeps meet."""


class SimulatedTarget(Target):
    """Nothing is drawn."""

    kind: Literal["simulated"] = "simulated"


class SimulatedLearner(Learner):
    """Nothing is trained."""

    kind: Literal["simulated"] = "simulated"
    weight: float = 1.0

    def fit(self, problem: Any, streams: Any) -> Fit:
        raise AssertionError("the simulator trains nothing")

    def work(self, point: Point) -> float:
        return self.weight * point.n


class SimulatedTeacher(SimulatedLearner):
    """Others learn from it."""

    kind: Literal["simulated_teacher"] = "simulated_teacher"  # type: ignore[assignment]

    teaches: ClassVar[bool] = True


class SimulatedStudent(SimulatedLearner):
    """Learns from one teacher at every n."""

    kind: Literal["simulated_student"] = "simulated_student"  # type: ignore[assignment]

    def teacher(self, point: Point) -> tuple[Learner, Point]:
        return SimulatedTeacher(), point.model_copy(update={"n": 10})


@cache
def a_spec(name: str, students: bool = False) -> ExperimentSpec:
    """Two arms at one (d, k), one of them of students if asked. Sweeps of different names ask for
    different trials of equal keys.
    """
    second = {"kind": "simulated_student"} if students else {"kind": "simulated", "weight": 2.0}
    return ExperimentSpec.from_words(
        {
            "name": name,
            "target": {"kind": "simulated"},
            "learner": [{"kind": "simulated"}, second],
            "axes": {"d": [3], "n": {"low": 2, "high": 40}},
            "success": {"measure": "test_error", "above": 0.5},
            "resources": {"minutes_per_trial": MINUTES},
        }
    )


def result_of(key: str) -> Result:
    """Same key, same result; one trial in sixteen diverges."""
    digits = int(key[:8], 16)
    if digits % 16 == 0:
        return Result(key, Outcome.DIVERGED, {}, 0.1)
    return Result(key, Outcome.FITTED, {"test_error": digits % 1000 / 1000}, 0.1)


ROUNDS, MOST_REPEATS = 3, 4
MOST_TRIALS = ROUNDS * 2 * MOST_REPEATS
"""Of one sweep."""

POISONS = (Reason.WORKER_DIED, Reason.OUT_OF_MEMORY, Reason.RAISED, Reason.TIMED_OUT)


class Science:
    """One of many: `salt` chooses what is asked and which trials are poison, if any are."""

    def __init__(self, salt: int) -> None:
        self.salt = salt
        self._poisonous = (0, 16, 40)[salt % 3]  # one trial in so many
        self._has_students = salt % 4 == 1

    def spec(self, name: str) -> ExperimentSpec:
        """What a sweep of that name asks."""
        return a_spec(name, self._has_students)

    def poison_of(self, key: str) -> Reason | None:
        """How a trial ends its worker, always; None for one that is sound."""
        digits = int(key[8:16], 16) ^ self.salt * 0x9E3779B1
        if not self._poisonous or digits % self._poisonous:
            return None
        return POISONS[digits // self._poisonous % len(POISONS)]


class Asking:
    """A proposer whose every answer hangs on every tally it was given.

    Nobody but a pure function of its arguments would ask for the same trials again.
    """

    def __init__(self, science: Science, name: str, rounds: int = ROUNDS) -> None:
        self._salt = science.salt * 31 + len(name)
        self._rounds = rounds

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        if number >= self._rounds:
            return []
        seen = tuple((t.arm, t.point.n, t.successes, t.trials, t.gaps) for t in tallies)
        waiting = tuple((ask.arm, ask.point.n, ask.repeats) for ask in pending)
        chosen = hash((self._salt, number, seen, waiting))  # of numbers only: the same everywhere
        asks = []
        for arm in (0, 1):
            n, repeats = SIZES[chosen % len(SIZES)], 2 + chosen // 3 % (MOST_REPEATS - 1)
            asks.append(Ask(arm, Point(d=3, n=n), repeats))
            chosen //= 97
        return asks

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        return "tolerance"
