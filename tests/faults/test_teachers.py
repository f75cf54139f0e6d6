"""Teachers, their lessons and their students under faults: the end is the same as without."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.tracking.reader import LedgerReader
from tests.faults import history
from tests.faults.driver import (
    KILLED,
    Life,
    a_question,
    begin,
    exit_of,
    live,
)
from tests.faults.test_kills import wait_for_more

ROUNDS = 4


def a_life(folder: Path, seed: int = 0, **learner: object) -> Life:
    folder.mkdir(exist_ok=True)
    return Life(folder, a_question(seed, kind="frail_pupil", **learner), rounds=ROUNDS)


def ends_as_when_left_alone(life: Life, calm: Path) -> None:
    """Raise unless every promise was kept and the results are those of an undisturbed life."""
    history.check(life.ledger, life.log)
    other = replace(life, folder=calm, slots=0, failpoint="", environment={})
    calm.mkdir()
    assert exit_of(begin(other)) == 0
    assert history.results(life.ledger) == history.results(other.ledger)
    assert history.asked(life.ledger) == history.asked(other.ledger)


def times_taught(life: Life) -> Counter[str]:
    return Counter(key for what, key, _ in history.lines(life.log) if what == "taught")


def harm(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "deleted":
        path.unlink()
    elif how == "flipped":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2])


def test_teachers_are_trained_once_and_students_of_every_n_and_sweep_share_them(tmp_path):
    life = a_life(tmp_path / "a")
    assert exit_of(begin(life)) == 0
    once = times_taught(life)
    assert len(once) == 6, "two d, three repeats"
    assert set(once.values()) == {1}
    later = replace(life, question={**life.question, "name": "later"}, rounds=2 * ROUNDS)
    assert exit_of(begin(later)) == 0
    more = times_taught(later)
    assert once.keys() < more.keys(), "repeats that the first sweep did not get to"
    assert set(more.values()) == {1}
    history.check(later.ledger, later.log)


@pytest.mark.parametrize("how", ["untouched", "deleted", "flipped", "cut"])
def test_a_driver_killed_between_teacher_and_student_goes_on_and_a_lost_lesson_is_made_again(
    tmp_path, how
):
    life = a_life(tmp_path / "a")
    doomed = replace(life, failpoint="ledger.commit.after=kill@1")
    assert exit_of(begin(doomed)) == KILLED
    first = times_taught(life)
    assert first, "its first commit is of teachers"
    assert not [1 for what, *_ in history.lines(life.log) if what == "begin"]
    files = sorted(life.lessons.glob("*/*.npz"))
    names = [path.name for path in files]
    for path in files if how != "untouched" else ():
        harm(path, how)
    assert exit_of(begin(life)) == 0
    expected = 1 if how == "untouched" else 2
    assert {times_taught(life)[key] for key in first} == {expected}
    assert sorted(
        path.name for path in life.lessons.glob("*/*.npz") if path.parent.name in first
    ) == (sorted(names)), "the same lessons"
    ends_as_when_left_alone(life, tmp_path / "calm")


def test_a_teacher_that_raises_makes_gaps_of_its_students_and_of_no_others(tmp_path):
    life = a_life(tmp_path / "a", teacher_one_in=3)
    assert exit_of(begin(life)) == 0
    found = history.results(life.ledger)
    gaps = {key: one for key, one in found.items() if len(one) == 1}
    assert set(gaps.values()) == {("raised an error",), ("teacher given up",)}
    students = [key for key, one in gaps.items() if one == ("teacher given up",)]
    begun = {key for what, key, _ in history.lines(life.log) if what == "begin"}
    assert not begun & set(students)
    charged = history.rows(life.ledger, "SELECT key FROM attempts WHERE charge > 0")
    assert not {row["key"] for row in charged} & set(students)
    ends_as_when_left_alone(life, tmp_path / "calm")


def test_random_kills_of_drivers_and_damage_to_lessons_lose_and_double_nothing(tmp_path):
    dice, life = random.Random(7), a_life(tmp_path / "a")
    for _ in range(6):
        driver = begin(life)
        wait_for_more(life.log, driver)
        time.sleep(dice.uniform(0.0, 0.1))
        driver.kill()
        if exit_of(driver) != KILLED:
            life = replace(life, question=a_question(dice.randrange(99), kind="frail_pupil"))
        for path in life.lessons.glob("*/*.npz"):
            if dice.random() < 0.4:
                harm(path, dice.choice(["deleted", "flipped", "cut"]))
    assert exit_of(begin(life)) == 0
    seeds = {row["seed"] for row in history.rows(life.ledger, "SELECT seed FROM trials")}
    for seed in seeds:
        assert exit_of(begin(replace(life, question=a_question(seed, kind="frail_pupil")))) == 0
    history.check(life.ledger, life.log)
    calm = replace(life, folder=tmp_path / "calm")
    calm.folder.mkdir()
    for seed in seeds:
        assert exit_of(begin(replace(calm, question=a_question(seed, kind="frail_pupil")))) == 0
    assert history.results(life.ledger) == history.results(calm.ledger)


def test_explain_counts_teachers_and_how_often_they_were_trained(tmp_path):
    life = a_life(tmp_path / "a")
    live(life)
    reader = LedgerReader(f"sqlite:///{life.ledger}")
    students = [member.trial for member in reader.members(life.spec.id)]
    teachers = reader.teachers(
        life.spec.id, list({one.teacher.key: one.teacher for one in students}.values())
    )
    reader.close()
    assert {(one.state, one.times) for one in teachers.values()} == {("done", 1)}
    assert all((life.lessons / key / one.lesson).exists() for key, one in teachers.items())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["teach", "begin"])
def test_a_worker_killed_while_it_trains_a_teacher_or_a_student_changes_nothing(tmp_path, what):
    """On a Ray of its own, the first process that was seen to train one."""
    life = replace(a_life(tmp_path / "a", seconds=1.0, teacher_seconds=1.0), slots=2)
    driver = begin(life)
    until = time.monotonic() + 240.0
    while not (seen := [pid for word, _, pid in logged(life) if word == what]):
        assert time.monotonic() < until
        assert driver.is_alive()
        time.sleep(0.01)
    os.kill(seen[0], signal.SIGKILL)
    assert exit_of(driver, 300.0) == 0
    query = "SELECT reason FROM attempts WHERE reason LIKE 'worker died%'"
    assert history.rows(life.ledger, query)
    ends_as_when_left_alone(life, tmp_path / "calm")


@pytest.mark.slow
def test_lessons_that_vanish_while_students_train_on_ray_are_made_again(tmp_path):
    """Files, references and the workers that hold them: a machine with all of it is gone."""
    life = replace(a_life(tmp_path / "a", seconds=0.5), slots=2)
    first = begin(replace(life, failpoint="ledger.commit.after=kill@3"))
    assert exit_of(first, 300.0) == KILLED
    for path in life.lessons.glob("*/*.npz"):
        path.unlink()
    assert exit_of(begin(life), 300.0) == 0
    assert max(times_taught(life).values()) == 2
    history.check(life.ledger, life.log, strays=True)


def logged(life: Life) -> list[history.Line]:
    return history.lines(life.log) if life.log.exists() else []
