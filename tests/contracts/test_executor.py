"""What the loop may rely on in every executor: the reference one and the one on Ray."""

from dataclasses import replace

import pytest

from orchestrator.domain.learner import Outcome
from orchestrator.domain.pack import run_pack
from orchestrator.engine import InlineExecutor, RayExecutor
from orchestrator.plan.facts import Finished, Lost, Reason
from tests.engine.standins import PLUGINS, a_pack, fact_of, facts_of, students_and_teachers


class ExecutorContract:
    """The promises of `ports.Executor`. Subclasses give a fixture `executor`."""

    def test_each_started_pack_is_answered_exactly_once(self, executor):
        packs = [a_pack() for _ in range(7)]
        for pack in packs:
            executor.start(pack)
        found = facts_of(executor, *packs)
        assert all(isinstance(fact, Finished) for (fact,) in found.values())
        assert executor.wait(0.2) == []

    def test_results_equal_those_of_run_pack_bit_for_bit(self, executor):
        pack = a_pack(count=5, n=33)
        executor.start(pack)
        results = fact_of(executor, pack).results
        assert [result.key for result in results] == [trial.key for trial in pack.trials]
        for result, expected in zip(results, run_pack(pack.trials), strict=True):
            assert result.same_as(expected)
            assert result.measures

    def test_starting_a_running_pack_again_does_nothing(self, executor):
        pack, other = a_pack(), a_pack()
        for one in (pack, pack, other, pack):
            executor.start(one)
        found = facts_of(executor, pack, other)
        assert [len(facts) for facts in found.values()] == [1, 1]
        assert executor.wait(0.2) == []

    def test_a_pack_stopped_while_it_waits_is_lost_as_timed_out(self, executor):
        packs = [a_pack(how="sleep", seconds=0.2) for _ in range(12)]
        for pack in packs:
            executor.start(pack)
        executor.stop(packs[-1].id)
        found = facts_of(executor, *packs)
        (lost,) = found.pop(packs[-1].id)
        assert (type(lost), lost.reason) == (Lost, Reason.TIMED_OUT)
        assert all(isinstance(fact, Finished) for (fact,) in found.values())

    def test_stopping_an_unknown_pack_does_nothing(self, executor):
        executor.stop("no such pack")
        assert executor.wait(0.1) == []

    def test_stopping_an_answered_pack_does_nothing(self, executor):
        pack = a_pack()
        executor.start(pack)
        fact_of(executor, pack)
        executor.stop(pack.id)
        assert executor.wait(0.1) == []

    def test_a_pack_that_raises_is_lost_with_the_end_of_its_traceback(self, executor):
        bad, good = a_pack(how="raise"), a_pack()
        executor.start(bad)
        executor.start(good)
        found = facts_of(executor, bad, good)
        (lost,), (finished,) = found[bad.id], found[good.id]
        assert lost.reason is Reason.RAISED
        assert "standin_plugins.py" in lost.detail
        assert "ValueError: a learner that raises" in lost.detail
        assert isinstance(finished, Finished)

    def test_a_refused_allocation_is_lost_as_out_of_memory(self, executor):
        pack = a_pack(how="memory")
        executor.start(pack)
        assert fact_of(executor, pack).reason is Reason.OUT_OF_MEMORY

    def test_a_plug_in_that_exits_politely_does_not_end_the_executor(self, executor):
        bad, good = a_pack(how="sys_exit"), a_pack()
        executor.start(bad)
        executor.start(good)
        found = facts_of(executor, bad, good)
        assert found[bad.id][0].reason is Reason.RAISED
        assert isinstance(found[good.id][0], Finished)

    def test_a_trial_that_diverges_is_an_answer(self, executor):
        pack = a_pack(how="diverge")
        executor.start(pack)
        results = fact_of(executor, pack).results
        assert {result.outcome for result in results} == {Outcome.DIVERGED}
        assert all(result.measures == {} for result in results)

    def test_facts_say_where_they_come_from_and_how_long_it_took(self, executor):
        pack = a_pack(how="sleep", seconds=0.2)
        executor.start(pack)
        fact = fact_of(executor, pack)
        assert fact.where
        assert fact.seconds >= 0.2

    def test_students_learn_what_their_teachers_taught_bit_for_bit(self, executor):
        students, teachers = students_and_teachers(count=5)
        executor.start(teachers)
        taught = fact_of(executor, teachers)
        assert taught.lessons.keys() == {trial.key for trial in teachers.trials}
        executor.start(students)
        results = fact_of(executor, students).results
        for result, expected in zip(results, run_pack(students.trials), strict=True):
            assert result.same_as(expected)

    def test_students_whose_teachers_have_not_taught_come_back_with_their_names(self, executor):
        students, teachers = students_and_teachers(count=4, seconds=0.5)
        some = replace(teachers, trials=teachers.trials[:1])
        executor.start(some)
        fact_of(executor, some)
        executor.start(students)
        lost = fact_of(executor, students)
        assert (type(lost), lost.reason) == (Lost, Reason.TEACHER_MISSING)
        assert set(lost.missing) == {trial.key for trial in teachers.trials[1:]}
        executor.start(replace(teachers, id=f"{teachers.id}, again"))
        executor.start(replace(students, id=f"{students.id}, again"))
        facts_of(executor, replace(teachers, id=f"{teachers.id}, again"))
        last = replace(students, id=f"{students.id}, at last")
        executor.start(last)
        assert isinstance(fact_of(executor, last), Finished)

    def test_there_is_at_least_one_slot(self, executor):
        assert executor.slots >= 1


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self):
        executor = InlineExecutor()
        yield executor
        executor.close()
        executor.close()


@pytest.fixture(scope="module")
def ray_executor():
    executor = RayExecutor(None, 2, 0.0, PLUGINS)
    yield executor
    executor.close()
    executor.close()


class TestRayExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, ray_executor):
        return ray_executor
