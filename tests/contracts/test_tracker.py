"""Every tracker keeps the port's promises: in memory, on SQLite and on PostgreSQL."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.distilled_student import DistilledStudent
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.point import Point
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Trial
from orchestrator.errors import SweepInUse
from orchestrator.plan.asks import Ask
from orchestrator.plan.reuse import Reusable, Wanted
from orchestrator.ports import Tracker
from orchestrator.tracking import Memory, MemoryTracker, queries
from orchestrator.tracking.database import Database
from orchestrator.tracking.ledger import Ledger
from orchestrator.tracking.schema import outbox
from tests.tracking.values import (
    a_result,
    a_sweep,
    a_trial,
    borrowed_postgres,
    empty_postgres,
    some_trials,
)

Make = Callable[[], Tracker]
ASKS = [Ask(0, Point(d=10, n=20, k=1), 3), Ask(1, Point(d=10, n=24, k=1), 1, {"steps": 100})]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    yield from borrowed_postgres()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes trackers that share one truth, as drivers of one ledger do."""
    memory, url, made = Memory(), f"sqlite:///{tmp_path / 'ledger.db'}", []
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").replace("postgresql:", "postgresql+psycopg:", 1)
        empty_postgres(request.getfixturevalue("postgres"))

    def make() -> Tracker:
        in_memory = request.param == "memory"
        made.append(MemoryTracker(memory) if in_memory else Ledger(Database(url)))
        return made[-1]

    yield make
    for tracker in made:
        tracker.close()
        if isinstance(tracker, Ledger):
            tracker.database.close()


@pytest.fixture
def tracker(make: Make) -> Tracker:
    """A tracker with a sweep open and three trials asked for."""
    tracker = make()
    tracker.open(a_sweep())
    tracker.record_round(0, ASKS, [(0, trial) for trial in some_trials(3)])
    return tracker


def done(tracker: Tracker, *results: object) -> list[str]:
    keys = [result.key for result in results]
    return tracker.commit(results, tracker.begin(keys), where="here")


def states(tracker: Tracker) -> list[str]:
    return [member.state for member in tracker.members()]


def test_a_committed_result_reads_back_bit_for_bit(tracker: Tracker):
    trial = a_trial()
    exact = {"a": 0.1, "b": 1 / 3, "c": 5e-324, "d": -0.0, "e": 1.7976931348623157e308, "f": 2.0}
    result = a_result(trial, Outcome.OUT_OF_BUDGET, **exact)
    assert done(tracker, result) == []
    settled = tracker.settled([trial.key])[trial.key]
    assert settled.result == result
    assert math.copysign(1.0, settled.result.measures["d"]) == -1.0
    assert settled.trial == trial
    assert settled.trial.key == trial.key
    assert settled.attempt == 1
    assert not settled.is_gap


def test_learning_curves_lie_beside_the_result(tracker: Tracker):
    with_curves, without, _ = some_trials(3)
    curves = {"train_loss": ((1, 0.7), (2, 0.25), (5, 1e-12)), "alignment": ((1, -0.0),)}
    result = replace(a_result(with_curves), curves=curves)
    assert done(tracker, result, a_result(without)) == []
    keys = [with_curves.key, without.key, "f" * 32]
    assert tracker.curves(keys) == {with_curves.key: curves}
    assert tracker.settled(keys)[with_curves.key].result == result


def test_teachers_can_be_begun_and_settled_though_nobody_asked_for_them(make: Make):
    tracker = make()
    tracker.open(a_sweep())
    cell = Cell(SparseParity(), DistilledStudent(), Point(d=10, n=20, k=2))
    students = [Trial(cell, repeat) for repeat in range(2)]
    teacher, given_up = (student.teacher for student in students)
    tracker.record_round(0, ASKS, [(0, student) for student in students])
    assert tracker.settled([teacher.key]) == {}
    attempts = tracker.begin([teacher.key, given_up.key])
    assert attempts == {teacher.key: 1, given_up.key: 1}
    assert tracker.commit([a_result(teacher)], attempts, "here", {teacher.key: "a.npz"}) == []
    tracker.charge({given_up.key: 1}, "raised an error", 1)
    tracker.give_up(given_up.key, ["raised an error"])
    settled = tracker.settled([teacher.key, given_up.key])
    assert [one.is_gap for one in settled.values()] == [False, True]
    assert tracker.begin([teacher.key, given_up.key]) == {}
    assert tracker.commit([], {}, "there", {teacher.key: "b.npz"}) == []
    assert [member.trial for member in tracker.members()] == students
    assert states(tracker) == ["waiting", "waiting"]
    if isinstance(tracker, Ledger):
        with tracker.database.reading() as connection:
            assert queries.lessons_of(connection, [teacher.key]) == {teacher.key: ("b.npz", 2)}
            told = connection.execute(select(outbox.c.kind)).scalars().all()
            assert not {"trial", "gap"} & set(told), "MLflow hears of what was asked for"
    tracker.close()
    again = make()
    again.open(a_sweep("f" * 16, name="later"))
    again.record_round(0, ASKS, [(0, student) for student in students])
    assert [*again.settled([teacher.key, given_up.key])] == [teacher.key]


def test_a_refused_result_leaves_no_curves(tracker: Tracker):
    trial = a_trial()
    stale, newest = tracker.begin([trial.key]), tracker.begin([trial.key])
    late, real = (
        replace(a_result(trial), curves={"train_loss": ((1, value),)}) for value in (1.0, 2.0)
    )
    assert tracker.commit([late], stale) == [trial.key]
    assert tracker.curves([trial.key]) == {}
    assert tracker.commit([real], newest) == []
    assert tracker.curves([trial.key]) == {trial.key: real.curves}


def test_a_trial_that_diverged_may_have_no_measures(tracker: Tracker):
    trial = a_trial()
    attempts = tracker.begin([trial.key])
    assert tracker.commit([replace_measures(a_result(trial, Outcome.DIVERGED))], attempts) == []
    assert tracker.settled([trial.key])[trial.key].result.measures == {}


def replace_measures(result):
    return type(result)(result.key, result.outcome, {}, result.seconds)


def test_only_settled_keys_are_settled(tracker: Tracker):
    first, second, _ = some_trials(3)
    done(tracker, a_result(first))
    assert list(tracker.settled([first.key, second.key, "f" * 32])) == [first.key]
    assert tracker.settled([]) == {}


def test_a_stale_attempt_is_refused_and_the_newest_accepted(tracker: Tracker):
    trial = a_trial()
    stale, newest = tracker.begin([trial.key]), tracker.begin([trial.key])
    assert (stale[trial.key], newest[trial.key]) == (1, 2)
    assert tracker.commit([a_result(trial, train_error=1.0)], stale) == [trial.key]
    assert tracker.settled([trial.key]) == {}
    assert tracker.commit([a_result(trial, train_error=2.0)], newest) == []
    assert tracker.settled([trial.key])[trial.key].result.measures == {"train_error": 2.0}


def test_a_key_is_committed_once(tracker: Tracker):
    trial = a_trial()
    attempts = tracker.begin([trial.key])
    first, second = a_result(trial, train_error=1.0), a_result(trial, train_error=2.0)
    assert tracker.commit([first, second], attempts) == [trial.key]
    assert tracker.commit([second], attempts) == [trial.key]
    assert tracker.settled([trial.key])[trial.key].result == first


def test_a_result_that_was_never_begun_is_refused_and_its_pack_mates_are_not(tracker: Tracker):
    first, second, third = some_trials(3)
    attempts = tracker.begin([first.key])
    results = [a_result(trial) for trial in (first, second, third)]
    assert tracker.commit(results, attempts | {second.key: 1}) == [second.key, third.key]
    assert list(tracker.settled([first.key, second.key, third.key])) == [first.key]


def test_settled_keys_are_not_begun_again(tracker: Tracker):
    first, second, _ = some_trials(3)
    done(tracker, a_result(first))
    assert tracker.begin([first.key, second.key]) == {second.key: 1}


def test_answered_are_those_with_a_result_and_no_gaps(tracker: Tracker):
    first, second, third = some_trials(3)
    done(tracker, a_result(first))
    tracker.begin([second.key])
    tracker.give_up(second.key, ("worker died",))
    assert tracker.answered([first.key, second.key, third.key, "nobody's"]) == {first.key}


def test_the_attempts_of_a_pack_are_charged_together(tracker: Tracker):
    first, second, third = some_trials(3)
    attempts = tracker.begin([first.key, second.key, third.key])
    tracker.charge({first.key: attempts[first.key], second.key: attempts[second.key]}, "hung", 1)
    assert tracker.charges([*attempts]) == {first.key: ("hung",), second.key: ("hung",)}


def test_charges_are_remembered_in_order_and_free_ones_left_out(tracker: Tracker):
    first, second, _ = some_trials(3)
    for reason, charge in [("worker died", 1), ("node lost", 0), ("out of memory", 1)]:
        attempt = tracker.begin([first.key])[first.key]
        tracker.charge({first.key: attempt}, reason, charge, "gpu-03")
    assert tracker.charges([first.key, second.key]) == {first.key: ("worker died", "out of memory")}


def test_an_attempt_is_charged_once(tracker: Tracker):
    trial = a_trial()
    attempt = tracker.begin([trial.key])[trial.key]
    tracker.charge({trial.key: attempt}, "worker died", 1)
    tracker.charge({trial.key: attempt}, "worker died again", 1)
    assert tracker.charges([trial.key]) == {trial.key: ("worker died",)}


def test_a_trial_given_up_is_a_gap_with_its_reasons(tracker: Tracker):
    trial = a_trial()
    attempts = tracker.begin([trial.key])
    tracker.give_up(trial.key, ["timed out", "timed out"])
    settled = tracker.settled([trial.key])[trial.key]
    assert settled.is_gap
    assert settled.reasons == ("timed out", "timed out")
    assert tracker.begin([trial.key]) == {}
    assert tracker.commit([a_result(trial)], attempts) == [trial.key]


def test_giving_up_does_not_undo_a_commit(tracker: Tracker):
    trial = a_trial()
    done(tracker, a_result(trial))
    tracker.give_up(trial.key, ["too late"])
    assert tracker.settled([trial.key])[trial.key].result == a_result(trial)


def test_members_say_where_each_trial_stands(tracker: Tracker):
    waiting, running, finished = some_trials(3)
    tracker.begin([running.key])
    done(tracker, a_result(finished))
    members = tracker.members()
    assert [member.trial for member in members] == [waiting, running, finished]
    assert [member.state for member in members] == ["waiting", "running", "done"]
    assert [member.settled is None for member in members] == [True, True, False]


def test_a_charged_trial_waits_again(tracker: Tracker):
    trial = a_trial()
    tracker.charge(tracker.begin([trial.key]), "worker died", 1)
    assert states(tracker) == ["waiting"] * 3


def test_members_come_by_round_then_by_recording(tracker: Tracker):
    later, sooner = a_trial(0, n=30), a_trial(0, n=21)
    tracker.record_round(1, [], [(1, later), (0, sooner), (0, a_trial(0))])
    members = [(member.round, member.arm, member.trial) for member in tracker.members()]
    assert members == [(0, 0, trial) for trial in some_trials(3)] + [(1, 1, later), (1, 0, sooner)]


def test_recording_a_round_again_does_nothing(tracker: Tracker):
    before = tracker.members()
    tracker.record_round(0, [], [(0, a_trial(99))])
    assert tracker.members() == before
    assert tracker.rounds() == [ASKS]


def test_an_empty_round_is_a_round(tracker: Tracker):
    tracker.record_round(1, [], [])
    assert tracker.rounds() == [ASKS, []]


def test_a_reopened_sweep_finds_everything_and_its_open_attempts_closed(make: Make, tracker):
    finished, lost, _ = some_trials(3)
    done(tracker, a_result(finished))
    tracker.begin([lost.key])
    tracker.finish("interrupted", "interrupted")
    assert tracker.close()
    again = make()
    record = again.open(a_sweep(started=5000.0))
    assert (record.status, record.started, record.stopped_by) == ("running", 1000.0, None)
    assert again.rounds() == [ASKS]
    assert states(again) == ["done", "waiting", "waiting"]
    assert again.charges([lost.key]) == {}
    assert again.begin([lost.key]) == {lost.key: 2}


def test_another_sweep_reuses_what_was_settled(make: Make, tracker: Tracker):
    finished, gap, fresh = some_trials(3)
    done(tracker, a_result(finished))
    tracker.give_up(gap.key, ["timed out"])
    other = make()
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(0, finished), (0, gap), (0, fresh)])
    assert states(other) == ["cached", "waiting", "waiting"]
    assert other.members()[0].settled.result == a_result(finished)
    assert states(tracker) == ["done", "gap", "waiting"]


def test_two_sweeps_that_ask_for_one_trial_share_its_result(make: Make, tracker: Tracker):
    other = make()
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(0, a_trial())])
    done(other, a_result(a_trial()))
    assert states(tracker) == ["done", "waiting", "waiting"]
    assert tracker.begin([a_trial().key]) == {}


def test_of_two_sweeps_at_one_trial_the_first_to_commit_settles_it(make: Make, tracker: Tracker):
    trial, other = a_trial(), beside(make, a_trial())
    ours, theirs = tracker.begin([trial.key]), other.begin([trial.key])
    assert len({ours[trial.key], theirs[trial.key]}) == 2
    assert (states(tracker)[0], states(other)) == ("running", ["running"])
    first, second = a_result(trial, train_error=1.0), a_result(trial, train_error=2.0)
    assert tracker.commit([first], ours) == []
    assert other.commit([second], theirs) == [trial.key]
    for each in (tracker, other):
        found = each.settled([trial.key])[trial.key]
        assert (found.result, found.attempt) == (first, ours[trial.key])
        assert each.begin([trial.key]) == {}


def test_the_sweep_that_began_last_may_commit_first(make: Make, tracker: Tracker):
    trial, other = a_trial(), beside(make, a_trial())
    ours, theirs = tracker.begin([trial.key]), other.begin([trial.key])
    assert other.commit([a_result(trial)], theirs) == []
    assert tracker.commit([a_result(trial)], ours) == [trial.key]


def test_an_attempt_of_another_sweep_leaves_ours_and_fences_nothing_older(make: Make, tracker):
    trial, other = a_trial(), beside(make, a_trial())
    stale, newest = tracker.begin([trial.key]), tracker.begin([trial.key])
    theirs = other.begin([trial.key])
    other.charge({trial.key: theirs[trial.key]}, "worker died", 1)
    assert tracker.commit([a_result(trial)], theirs) == [trial.key]
    assert tracker.commit([a_result(trial)], stale) == [trial.key]
    assert tracker.commit([a_result(trial)], newest) == []


def test_an_attempt_of_the_driver_before_is_refused(make: Make, tracker: Tracker):
    trial = a_trial()
    before = tracker.begin([trial.key])
    tracker.close()
    again = make()
    again.open(a_sweep())
    assert again.commit([a_result(trial)], before) == [trial.key]
    assert again.settled([trial.key]) == {}


def test_a_gap_stays_with_the_sweep_that_gave_up(make: Make, tracker: Tracker):
    trial, other = a_trial(), beside(make, a_trial())
    attempt = tracker.begin([trial.key])[trial.key]
    tracker.charge({trial.key: attempt}, "timed out", 1)
    tracker.give_up(trial.key, ["timed out"])
    assert other.settled([trial.key]) == {}
    assert other.charges([trial.key]) == {}
    assert states(other) == ["waiting"]
    assert other.begin([trial.key]) == {trial.key: 2}
    assert tracker.begin([trial.key]) == {}
    assert tracker.settled([trial.key])[trial.key].reasons == ("timed out",)


def test_giving_up_after_a_resumption_leaves_the_attempt_of_another_sweep(make: Make, tracker):
    trial, other = a_trial(), beside(make, a_trial())
    attempt = tracker.begin([trial.key])[trial.key]
    tracker.charge({trial.key: attempt}, "timed out", 1)
    tracker.close()
    theirs = other.begin([trial.key])
    again = make()
    again.open(a_sweep())
    again.give_up(trial.key, ["timed out"])
    assert again.settled([trial.key])[trial.key].attempt == attempt
    other.charge({trial.key: theirs[trial.key]}, "worker died", 1)
    assert other.charges([trial.key]) == {trial.key: ("worker died",)}


def test_two_sweeps_may_give_up_the_same_trial(make: Make, tracker: Tracker):
    trial, other = a_trial(), beside(make, a_trial())
    tracker.begin([trial.key])
    theirs = other.begin([trial.key])
    tracker.give_up(trial.key, ["timed out"])
    tracker.give_up(trial.key, ["again"])
    assert (states(tracker)[0], states(other)) == ("gap", ["running"])
    other.give_up(trial.key, ["out of memory"])
    assert tracker.settled([trial.key])[trial.key].reasons == ("timed out",)
    assert other.settled([trial.key])[trial.key].reasons == ("out of memory",)
    assert other.settled([trial.key])[trial.key].attempt == theirs[trial.key]


def test_a_result_of_another_sweep_fills_a_gap_for_all(make: Make, tracker: Tracker):
    trial, other = a_trial(), beside(make, a_trial())
    tracker.give_up(trial.key, ["timed out"])
    assert done(other, a_result(trial)) == []
    for each in (tracker, other):
        assert each.settled([trial.key])[trial.key].result == a_result(trial)
        assert states(each)[0] == "done"


def test_a_gap_is_still_one_when_its_sweep_is_resumed(make: Make, tracker: Tracker):
    tracker.give_up(a_trial().key, ["timed out"])
    tracker.close()
    again = make()
    again.open(a_sweep())
    assert states(again) == ["gap", "waiting", "waiting"]
    assert again.begin([a_trial().key]) == {}


ARM = Wanted(0, RandomLabels(), LinearSeparator(), {(10, 1): (15, 30)})


def reusable(tracker: Tracker, arm: Wanted = ARM, seed: int = 0) -> list[tuple[int, ...]]:
    """n and repeats of what a sweep of that arm can reuse."""
    return [(one.point.n, *one.repeats) for one in tracker.reusable([arm], seed)]


def test_a_sweep_can_reuse_the_results_of_its_own_keys_and_no_others(make: Make, tracker: Tracker):
    here, far = some_trials(3), [a_trial(0, n=16), a_trial(0, n=31), a_trial(0, seed=1)]
    tracker.record_round(1, [], [(0, trial) for trial in far])
    done(tracker, a_result(here[2]), a_result(here[0]), *map(a_result, far))
    tracker.give_up(here[1].key, ["timed out"])
    others = {
        "plain": ARM,
        "another place": replace(ARM, arm=4),
        "another d": replace(ARM, ranges={(11, 1): (15, 30)}),
        "another target": replace(ARM, target=SparseParity()),
    }
    found = {}
    for place, (name, arm) in enumerate(others.items()):
        other = make()
        other.open(a_sweep(f"{place:016d}", name))
        found[name] = reusable(other, arm)
    assert found["plain"] == found["another place"] == [(16, 0), (20, 0, 2)]
    assert found["another d"] == found["another target"] == []
    other = make()
    other.open(a_sweep("f" * 16, "another seed"))
    assert reusable(other, seed=1) == [(20, 0)]


def test_what_can_be_reused_is_noted_once(make: Make, tracker: Tracker):
    done(tracker, a_result(a_trial(0)))
    other = make()
    other.open(a_sweep("f" * 16, "other"))
    assert other.reusable([ARM], 0) == [Reusable(0, Point(d=10, n=20, k=1), (0,))]
    done(tracker, a_result(a_trial(1)))
    assert reusable(other) == [(20, 0)]
    other.record_round(0, [], [])
    other.close()
    again = make()
    again.open(a_sweep("f" * 16, "other"))
    assert reusable(again) == [(20, 0)]


def test_a_sweep_that_began_without_a_note_has_none(tracker: Tracker):
    done(tracker, a_result(a_trial()))
    assert reusable(tracker) == []


def beside(make: Make, *trials: Trial) -> Tracker:
    """A second sweep, open at the same time, that asks for these trials too."""
    other = make()
    other.open(a_sweep("f" * 16, "other"))
    other.record_round(0, [], [(0, trial) for trial in trials])
    return other


def test_a_second_driver_is_refused_until_the_first_lets_go(make: Make, tracker: Tracker):
    second = make()
    with pytest.raises(SweepInUse, match="0123456789abcdef"):
        second.open(a_sweep())
    tracker.close()
    assert second.open(a_sweep()).id == a_sweep().id


def test_two_sweeps_have_their_drivers_at_the_same_time(make: Make, tracker: Tracker):
    other = make()
    assert other.open(a_sweep("f" * 16, "other")).name == "other"


def test_publishing_and_finishing_return(tracker: Tracker):
    tracker.publish({"n_star": 20.1, "unknown": math.nan, "far": math.inf}, {"report.html": b"x"})
    tracker.publish({}, {"report.html": b"y"})
    tracker.finish("finished", "tolerance")
    assert tracker.close()
    assert tracker.close()


def test_a_tracker_without_a_sweep_says_so(make: Make):
    with pytest.raises(RuntimeError, match="open a sweep first"):
        make().rounds()
