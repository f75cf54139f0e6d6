"""The loop, in process and in memory, with executors that fail on purpose."""

from collections import Counter, deque
from collections.abc import Sequence

import pytest

from orchestrator.domain.array_files import Arrays
from orchestrator.domain.learner import Outcome
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.trial import Result
from orchestrator.engine import InlineExecutor
from orchestrator.errors import EveryTrialFailed, Interrupted
from orchestrator.plan.facts import Fact, Finished, Lost, Pack, Reason
from orchestrator.ports import ArmTally, Ask, StoppedBy, SweepRecord
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Progress, Sweep
from orchestrator.tracking import Memory, MemoryTracker


def a_spec(**changes: object) -> ExperimentSpec:
    words = {
        "name": "small-cover",
        "target": {"kind": "random_labels"},
        "learner": {"kind": "linear_separator"},
        "axes": {"d": [3, 5], "n": {"low": 2, "high": 40}},
        "success": {"measure": "train_error", "above": 0.0},
        **changes,
    }
    return ExperimentSpec.from_words(words)


def a_record(spec: ExperimentSpec) -> SweepRecord:
    return SweepRecord(spec.id, spec.name, spec.canonical, "", "running", started=1.0)


class Halving:
    """Asks at the middle of what the tallies leave open, so every answer matters."""

    def __init__(self, rounds: int = 6) -> None:
        self._rounds = rounds

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        if number >= self._rounds:
            return []
        successes = sum(tally.successes for tally in tallies)
        return [Ask(0, Point(d=d, n=2 + (7 * number + successes) % 17), 3) for d in (3, 5)]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        return "tolerance"


class Losing(InlineExecutor):
    """Loses every third pack for the reasons given, one after another."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__()
        self._reasons = deque(reasons)
        self._packs = 0
        self.starts: Counter[str] = Counter()

    def start(self, pack: Pack) -> None:
        self.starts.update(trial.key for trial in pack.trials)
        super().start(pack)

    def wait(self, timeout_s: float) -> list[Fact]:
        facts = []
        for fact in super().wait(timeout_s):
            self._packs += 1
            if self._reasons and isinstance(fact, Finished) and self._packs % 3 == 0:
                facts.append(Lost(fact.pack_id, self._reasons.popleft(), "on purpose"))
            else:
                facts.append(fact)
        return facts


def answered(memory: Memory, executor: object = None, **more: object) -> MemoryTracker:
    spec = a_spec()
    tracker = MemoryTracker(memory)
    tracker.open(a_record(spec))
    sweep = Sweep(
        spec,
        tracker=tracker,
        executor=executor or InlineExecutor(),
        proposer=Halving(),
        **more,
    )
    try:
        sweep.answer()
    finally:
        tracker.close()
    return tracker


def results(memory: Memory) -> dict[str, object]:
    return {
        key: (one.result.outcome, dict(one.result.measures)) if one.result else one.reasons
        for key, one in memory.settled.items()
    }


def test_every_trial_asked_for_is_answered_with_what_run_pack_gives():
    memory = Memory()
    answered(memory)
    trials = [memory.trials[key] for key in memory.settled]
    assert len(trials) == 6 * 2 * 3
    assert all(memory.settled[one.key].result.same_as(one) for one in run_pack(trials))
    rounds = memory.sweeps[a_spec().id].rounds
    assert rounds[6] == []
    assert rounds[7] == [], "the last round was decided with nothing in flight"


@pytest.mark.parametrize(
    "reasons",
    [
        [Reason.NODE_LOST] * 6,
        [Reason.WORKER_DIED, Reason.OUT_OF_MEMORY, Reason.TIMED_OUT, Reason.RAISED],
    ],
)
def test_lost_packs_change_nothing_in_the_answer(reasons):
    calm, stormy = Memory(), Memory()
    answered(calm)
    executor = Losing(reasons)
    answered(stormy, executor)
    assert results(stormy) == results(calm)
    assert max(executor.starts.values()) > 1, "something was lost and started again"


def test_an_interrupted_sweep_goes_on_to_the_same_answer_and_repeats_nothing():
    calm, broken = Memory(), Memory()
    answered(calm)
    for stop_after in (0, 0, 0, 1):
        calls = iter(range(100))
        with pytest.raises(Interrupted):
            answered(broken, interrupted=lambda: next(calls) >= stop_after)  # noqa: B023
    before = set(broken.settled)
    executor = Losing([])
    answered(broken, executor)
    assert results(broken) == results(calm)
    assert not before & executor.starts.keys(), "a committed trial was started again"


def test_a_second_sweep_of_the_same_trials_trains_nothing():
    memory = Memory()
    answered(memory)
    spec = a_spec(name="again")
    tracker, executor = MemoryTracker(memory), Losing([])
    tracker.open(a_record(spec))
    Sweep(spec, tracker=tracker, executor=executor, proposer=Halving()).answer()
    assert not executor.starts
    assert {member.state for member in tracker.members()} == {"cached"}


def test_a_sweep_whose_trials_all_fail_alike_is_given_up():
    class Hopeless(InlineExecutor):
        def wait(self, timeout_s: float) -> list[Fact]:
            return [
                Lost(fact.pack_id, Reason.RAISED, "ValueError: no")
                for fact in super().wait(timeout_s)
                if isinstance(fact, Finished)
            ]

    with pytest.raises(EveryTrialFailed, match="ValueError: no"):
        answered(Memory(), Hopeless())


def test_max_hours_ends_a_sweep_and_keeps_what_ran():
    hours = iter([0.0, *[0.0] * 6, *[7200.0] * 1000])
    spec = a_spec(search={"kind": "grid", "max_hours": 1.0})
    memory = Memory()
    tracker = MemoryTracker(memory)
    tracker.open(a_record(spec))
    sweep = Sweep(
        spec,
        tracker=tracker,
        executor=InlineExecutor(),
        proposer=Halving(rounds=1000),
        clock=lambda: next(hours),
    )
    assert sweep.answer() == "max_hours"
    assert memory.settled


def test_progress_counts_what_was_asked_and_answered():
    seen: list[Progress] = []
    answered(Memory(), watch=seen.append)
    last = seen[-1]
    assert (last.asked, last.answered, last.gaps, last.running) == (36, 36, 0, 0)
    assert sum(tally.trials for tally in last.tallies) == 36


def test_a_poison_trial_becomes_a_gap_and_its_mates_are_answered():
    calm = Memory()
    answered(calm)
    poison = sorted(calm.settled)[0]

    class Poisoned(InlineExecutor):
        def start(self, pack: Pack) -> None:
            self.poisoned = getattr(self, "poisoned", set())
            if any(trial.key == poison for trial in pack.trials):
                self.poisoned.add(pack.id)
            super().start(pack)

        def wait(self, timeout_s: float) -> list[Fact]:
            return [
                Lost(fact.pack_id, Reason.WORKER_DIED, "signal 9")
                if isinstance(fact, Finished) and fact.pack_id in self.poisoned
                else fact
                for fact in super().wait(timeout_s)
            ]

    memory = Memory()
    answered(memory, Poisoned())
    (sweep,) = memory.sweeps.values()
    assert list(sweep.gaps) == [poison]
    assert sweep.gaps[poison].reasons == ("worker died: signal 9",) * 3


def test_thousands_of_packs_that_another_sweep_settled_meanwhile_are_found_one_after_another():
    """Each makes room for the next, which must not cost a level of recursion."""
    spec, memory, count = a_spec(search={"kind": "grid"}), Memory(), 9000
    tracker, beside = MemoryTracker(memory), MemoryTracker(memory)
    tracker.open(a_record(spec))
    beside.open(a_record(a_spec(name="beside")))

    class Once:
        def propose(self, number, tallies, pending):
            return [Ask(0, Point(d=3, n=4), count)] if number == 0 else []

        def stopped_by(self, tallies):
            return None

    class Late(InlineExecutor):
        """When the first pack starts, the other sweep settles everything there is."""

        def start(self, pack: Pack) -> None:
            super().start(pack)
            keys = [key for key in memory.trials if key not in memory.settled]
            results = [Result(key, Outcome.FITTED, {"train_error": 0.5}) for key in keys]
            beside.commit(results, beside.begin(keys))

    sweep = Sweep(spec, tracker=tracker, executor=Late(), proposer=Once())
    assert sweep.answer() is None
    assert len(memory.settled) == count


STUDENT = {
    "kind": "distilled_student",
    **{"width": 16, "batch_size": 16},
    **{"teacher_width": 16, "teacher_n": 160, "teacher_stages": 4},
}
ITS_TEACHER = {"kind": "two_layer_teacher", "width": 16, "weight_decay": 0.1, "stages": 4}


class Twice:
    """Asks for students at two n, and in the first round for some of their teachers as well."""

    def propose(
        self, number: int, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> list[Ask]:
        students = Ask(0, Point(d=8, n=32 * (1 + number), k=2), 4)
        return [[students], [students, Ask(1, Point(d=8, n=160, k=2), 6)], []][min(number, 2)]

    def stopped_by(self, tallies: Sequence[ArmTally]) -> StoppedBy | None:
        return None


def distilled(memory: Memory, executor: object, name: str = "distil", **more: object) -> Sweep:
    spec = a_spec(
        name=name,
        target={"kind": "sparse_parity"},
        learner=[STUDENT, ITS_TEACHER],
        axes={"d": 8, "k": 2, "n": {"low": 2, "high": 400}},
        success={"measure": "test_accuracy", "above": 0.9},
    )
    tracker = MemoryTracker(memory)
    tracker.open(a_record(spec))
    more = {"proposer": Twice(), **more}
    return Sweep(spec, tracker=tracker, executor=executor, **more)


def test_teachers_are_trained_first_and_once_and_are_in_no_tally_unless_they_are_asked_for():
    seen: list[Progress] = []
    memory, executor = Memory(), Losing([])
    distilled(memory, executor, watch=seen.append).answer()
    assert set(executor.starts.values()) == {1}
    assert len(executor.starts) == 2 * 4 + 6, "of the six teachers asked for, four teach"
    assert (seen[-1].asked, seen[-1].answered) == (2 * 4 + 6, 2 * 4 + 6)
    trials = [one.trial for one in memory.settled.values()]
    assert all(memory.settled[one.key].result.same_as(one) for one in run_pack(trials))
    assert memory.lessons.keys() == {one.key for one in trials if one.cell.learner.teaches}


def test_a_later_sweep_finds_the_teachers_by_key_and_trains_again_those_whose_lesson_is_lost():
    """Its executor is another, whose memory and folder are empty."""
    memory, first, later = Memory(), Losing([]), Losing([])
    distilled(memory, first).answer()
    results_before = results(memory)
    for key in [key for key, one in memory.settled.items() if one.trial.cell.teacher is not None]:
        del memory.settled[key]  # as if only the teachers had been trained
    distilled(memory, later, name="later").answer()
    assert results(memory) == results_before
    teachers = {one.trial.teacher.key for one in memory.settled.values() if one.trial.teacher}
    assert {later.starts[key] for key in teachers} == {1}
    attempts = [memory.attempts[key][-1].reason for key in teachers]
    assert attempts == ["committed"] * 4, "nothing of it was committed a second time"
    reasons = [one.reason for past in memory.attempts.values() for one in past if not one.charge]
    assert any(reason.startswith("teacher missing") for reason in reasons)


def test_lessons_that_together_are_more_than_memory_takes_are_there_for_one_pack():
    """Without a folder, and with room for less than one lesson between packs."""
    calm, tight = Memory(), Memory()
    distilled(calm, InlineExecutor()).answer()
    distilled(tight, InlineExecutor(None, Lessons(None, held_bytes=100))).answer()
    assert results(tight) == results(calm)


def test_students_whose_lessons_are_never_there_become_gaps_and_the_sweep_ends():
    class Forgetful(Lessons):
        def keep(self, key: str, lesson: Arrays) -> None:
            pass

    memory = Memory()
    distilled(memory, InlineExecutor(None, Forgetful())).answer()
    (sweep,) = memory.sweeps.values()
    assert all(memory.trials[key].teacher is not None for key in sweep.gaps)
    assert len(sweep.gaps) == 2 * 4
    reasons = {one.reasons[0].split(":")[0] for one in sweep.gaps.values()}
    assert reasons == {"lesson cannot be kept"}


def test_a_teacher_with_a_lesson_that_is_too_large_becomes_a_gap_that_names_the_limit(monkeypatch):
    monkeypatch.setattr("orchestrator.domain.array_files.MOST_BYTES", 1000)
    memory = Memory()
    with pytest.raises(EveryTrialFailed):
        distilled(memory, InlineExecutor()).answer()
    reasons = [one.reasons[-1] for sweep in memory.sweeps.values() for one in sweep.gaps.values()]
    assert reasons
    assert all("and a lesson may take" in reason for reason in reasons)


def test_one_teacher_that_cannot_be_trained_does_not_end_the_sweep_for_the_others():
    """It has more students than trials that fail alike may be, and its gaps come first."""

    class Students:
        def propose(self, number, tallies, pending):
            if number:
                return []
            return [Ask(0, Point(d=8, n=n, k=2), 4) for n in (32, 48, 64, 80, 96, 112)]

        def stopped_by(self, tallies):
            return None

    class OneBad(InlineExecutor):
        def start(self, pack: Pack) -> None:
            bad = [one for one in pack.trials if one.cell.learner.teaches and one.repeat == 1]
            if bad:
                self._facts.append(Lost(pack.id, Reason.RAISED, "ValueError: no"))
            else:
                super().start(pack)

    memory = Memory()
    distilled(memory, OneBad(), proposer=Students()).answer()
    (sweep,) = memory.sweeps.values()
    assert {memory.trials[key].repeat for key in sweep.gaps} == {1}
    assert sum(one.trial.teacher is not None for one in memory.settled.values()) == 3 * 6
    assert len(sweep.gaps) == 1 + 6


def test_students_of_a_teacher_that_cannot_be_trained_become_gaps_with_its_reason():
    class Hopeless(InlineExecutor):
        def start(self, pack: Pack) -> None:
            assert pack.trials[0].cell.learner.teaches, "no student can start"
            self._facts.append(Lost(pack.id, Reason.RAISED, "ValueError: no"))

    memory = Memory()
    with pytest.raises(EveryTrialFailed):
        distilled(memory, Hopeless()).answer()
    (sweep,) = memory.sweeps.values()
    gaps = {key: one.reasons[0].split(":")[0] for key, one in sweep.gaps.items()}
    assert set(gaps.values()) == {"raised an error", "teacher given up"}
    assert all(
        gaps[one.key] == ("teacher given up" if one.teacher else "raised an error")
        for one in (memory.trials[key] for key in gaps)
    )
