"""Drivers killed at every named place, one after another, and the sweep goes on to the same end."""

import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

import orchestrator
from orchestrator.failpoints import NAMES, VARIABLE, tell
from tests.faults import history
from tests.faults.driver import KILLED, Life, a_question, begin, begin_typed, exit_of

WHEN = ("before", "within", "after")
OF_RAYS_WORKERS = ("slot.start.before", "slot.receipt.before")
OF_A_WORKER = (*OF_RAYS_WORKERS, "pack.train.before", "pack.train.after")
OF_THE_MIRROR = tuple(name for name in NAMES if name.startswith(("mlflow.", "outbox.")))
OF_THE_DRIVER = tuple(name for name in NAMES if name not in (*OF_RAYS_WORKERS, *OF_THE_MIRROR))
SELDOM = {  # visited once or twice in a life
    *("database.create.within", "lock.take.after", "lock.release.within"),
    *(
        f"ledger.{what}.{when}"
        for what in ("enter", "reusable", "publish", "finish")
        for when in WHEN
    ),
    *(name for name in OF_THE_MIRROR if not name.startswith(("mlflow.log", "outbox.mark"))),
}


def test_the_list_names_every_place_in_the_code_and_no_other():
    code = "".join(path.read_text() for path in Path(orchestrator.__file__).parent.rglob("*.py"))
    around = re.findall(r'\baround\("(.+?)"\)', code)
    transactions = re.findall(r'self\._(?:writing|transaction)\("(.+?)"\)', code)
    assert set(NAMES) == {
        *re.findall(r'(?<![\w.])at\("(.+?)"\)', code),
        *(f"{name}.{when}" for name in around for when in ("before", "after")),
        *(f"ledger.{what}.{when}" for what in transactions for when in WHEN),
    }
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    "words", ["ledger.comit.before=kill", "ledger.commit.before=burn", "ledger.commit.before"]
)
def test_a_place_or_an_action_that_does_not_exist_is_refused(words):
    with pytest.raises(ValueError, match="expected NAME=ACTION"):
        tell(words)


def test_a_driver_killed_at_each_place_in_turn_loses_and_doubles_nothing(tmp_path):
    struck = killed_at_each(OF_THE_DRIVER, tmp_path, rounds=8)
    assert struck == [*OF_THE_DRIVER]


def test_a_driver_killed_while_mlflow_is_told_leaves_it_equal_to_the_ledger(tmp_path):
    """At the places that leave most behind; the slow tier tries all."""
    places = ("mlflow.create.after", "mlflow.new_run.after", "mlflow.log.after")
    assert killed_at_each(places, tmp_path, rounds=3, is_mirrored=True) == [*places]
    history.check_mirror(tmp_path / "ledger.db", tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("names", [OF_THE_DRIVER, OF_THE_MIRROR])
def test_a_driver_killed_at_each_visit_of_each_place_loses_and_doubles_nothing(
    tmp_path, names, nth
):
    struck = killed_at_each(names, tmp_path, nth, rounds=8, is_mirrored=names is OF_THE_MIRROR)
    assert {*names} - {*struck} <= (SELDOM if nth > 1 else set())
    if names is OF_THE_MIRROR:
        history.check_mirror(tmp_path / "ledger.db", tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("name", OF_A_WORKER)
def test_a_worker_killed_at_each_place_loses_and_doubles_nothing(tmp_path, name, nth):
    if name == "slot.start.before" and nth > 1:
        pytest.skip("a slot starts once in its process")
    mark, words = tmp_path / "mark", ("--slots", "1")
    question = a_question(search={"kind": "grid", "max_trials": 2000})
    told = {VARIABLE: f"{name}=kill@{nth}:{mark}"}
    assert exit_of(begin_typed(tmp_path, question, *words, **told), 300.0) in (0, 3)
    assert mark.exists()
    calm = tmp_path / "calm"
    calm.mkdir()
    assert exit_of(begin_typed(calm, question, "--in-process"), 300.0) in (0, 3)
    stormy = tmp_path / "store" / "ledger.db"
    history.check(stormy, tmp_path / "exec.log")
    assert history.results(stormy) == history.results(calm / "store" / "ledger.db")


def killed_at_each(names, folder, nth=1, **more):
    """Lives that die at those places; then one that finishes, and every promise is looked at.

    A sweep that ends before a place is reached is followed by another, with the next seed.
    """
    seeds, struck = count(), []
    life = Life(folder, a_question(next(seeds), one_in=12), **more)
    for name in names:
        doomed = replace(life, failpoint=f"{name}=kill@{nth}")
        for _ in range(3):
            status = exit_of(begin(doomed))
            assert status == (KILLED if doomed.mark.exists() else 0), name
            if status == KILLED:
                struck.append(name)
                break
            life = replace(life, question=a_question(next(seeds), one_in=12))
            doomed = replace(doomed, question=life.question)
    seeds_used = range(next(seeds))
    finish(life, seeds_used)
    history.check(life.ledger, life.log)
    calm = replace(life, folder=folder / "calm", is_mirrored=False)
    calm.folder.mkdir()
    finish(calm, seeds_used)
    assert history.results(life.ledger) == history.results(calm.ledger)
    assert history.asked(life.ledger) == history.asked(calm.ledger)
    return struck


def finish(life, seeds):
    for seed in seeds:
        assert exit_of(begin(replace(life, question=a_question(seed, one_in=12)))) == 0
