"""Drivers killed at every named place, one after another, and the sweep goes on to the same end."""

import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

import orchestrator
from orchestrator.failpoints import NAMES, tell
from tests.faults import history
from tests.faults.driver import KILLED, Life, a_question, begin, exit_of

WHEN = ("before", "within", "after")
OF_RAYS_WORKERS = ("slot.start.before", "slot.receipt.before")
OF_THE_MIRROR = tuple(name for name in NAMES if name.startswith(("mlflow.", "outbox.")))
OF_THE_DRIVER = tuple(name for name in NAMES if name not in (*OF_RAYS_WORKERS, *OF_THE_MIRROR))


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


def test_a_driver_killed_at_each_place_of_the_mirror_leaves_mlflow_equal_to_the_ledger(tmp_path):
    struck = killed_at_each(OF_THE_MIRROR, tmp_path, rounds=3, is_mirrored=True)
    assert struck == [*OF_THE_MIRROR]
    history.check_mirror(tmp_path / "ledger.db", tmp_path / "store")


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
