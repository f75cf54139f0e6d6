"""Ledgers torn, truncated and flipped: noticed when they are opened or read, never believed."""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.errors import LedgerDamaged
from orchestrator.tracking.database import Database
from tests.faults.driver import Life, a_question, live

PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A ledger that a sweep with gaps has left behind."""
    life = Life(tmp_path_factory.mktemp("sound"), a_question(one_in=12), rounds=4)
    live(life)
    return life.ledger


def flipped(content, dice):
    """One bit is another."""
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def torn(content, dice):
    """A page was never written."""
    start = dice.randrange(len(content) // PAGE) * PAGE
    content[start : start + PAGE] = bytes(PAGE)


def truncated(content, dice):
    """The end is missing."""
    del content[dice.randrange(1, len(content)) :]


@pytest.mark.parametrize("harm", [flipped, torn, truncated])
def test_a_damaged_ledger_is_refused_or_reads_as_before(sound, tmp_path, harm):
    assert undetected(sound, tmp_path, harm, 20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("harm", [flipped, torn, truncated])
def test_hundreds_of_damaged_ledgers_are_refused_or_read_as_before(sound, tmp_path, harm):
    assert undetected(sound, tmp_path, harm, 200) == 0


def undetected(sound, folder, harm, count):
    """How many damaged copies were believed though they say something else."""
    dice, before, believed = random.Random(5), what_is_told(sound), 0
    for _ in range(count):
        content = bytearray(sound.read_bytes())
        harm(content, dice)
        path = folder / "ledger.db"
        path.write_bytes(content)
        with suppress(LedgerDamaged):
            believed += what_is_told(path) != before
        for left in folder.glob("ledger.db*"):
            left.unlink()
    return believed


def what_is_told(ledger):
    """What a driver goes by: the sweep as asked, every trial with what came of it."""
    Database(f"sqlite:///{ledger}").close()
    place = api.Place(str(ledger.parent / "store"), str(ledger))
    (record,) = api.sweeps(place)
    _, members = api.sweep_and_members(record.id, place)
    return (
        record.spec_json,
        [
            (one.trial.key, one.arm, one.settled and one.settled.result, one.settled.reasons)
            for one in members
        ],
    )


def test_damage_is_told_in_one_line_with_the_way_out_and_the_file_is_left_alone(sound, tmp_path):
    path = shutil.copy(sound, tmp_path / "ledger.db")
    content = bytearray(path.read_bytes())
    content[100:PAGE] = bytes(PAGE - 100)
    path.write_bytes(content)
    with pytest.raises(LedgerDamaged, match="--from-mlflow"):
        live(Life(tmp_path, a_question(one_in=12), rounds=4))
    assert path.read_bytes() == content
