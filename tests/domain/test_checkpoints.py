"""Checkpoints: whole or not at all, and a trial that goes on from one ends as if it never had."""

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain import array_files, two_layer_network
from orchestrator.domain import checkpoints as module
from orchestrator.domain.checkpoints import Checkpoints, SavedTrial
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.minibatches import CHUNK_STEPS
from orchestrator.domain.pack import run_pack
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Result, Trial
from tests.builders import a_trial as the_cheapest_trial
from tests.builders import trials
from tests.domain.forgery import forged

STEPS = 3200
KEY, OTHER = "0" * 32, "f" * 32
LEARNERS = [
    TwoLayer(width=16, steps=400),
    TwoLayer(width=16, steps=170, optimiser="sgd", batch_size=None, weight_decay=0.0),
    TwoLayer(width=16, samples="fresh", batch_size=20, weight_decay=0.1),
    TwoLayer(width=16, steps=400, learning_rate=0.003, stop_at=0.98, check_every=7),
]
NAMES = ["adam", "full batch", "fresh", "stopped early"]


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    """Checkpoints that are due at every turn."""
    kept = Checkpoints(tmp_path / "checkpoints", every_s=0.0)
    kept.make()
    return kept


@pytest.fixture(autouse=True)
def _without_thrift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARE", 1e9)


def some_trials(learner: TwoLayer, ns: tuple[int, ...] = (1300, 300, 3999)) -> list[Trial]:
    return [
        the_cheapest_trial(SparseParity(), learner, d=8, n=n, k=2, repeat=repeat)
        for repeat, n in enumerate(ns)
    ]


class Killed(BaseException):
    """What stands for a kill where the process must live on."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], list[int]]:
    """From now on a pack ends before it takes that chunk; the chunks that are taken meanwhile."""
    honest = two_layer_network._Training._chunk

    def arm(at: int | None) -> list[int]:
        taken: list[int] = []

        def chunk(self: object, number: int, trials: list[int]) -> None:
            if number == at:
                raise Killed
            taken.append(number)
            honest(self, number, trials)  # type: ignore[arg-type]

        monkeypatch.setattr(two_layer_network._Training, "_chunk", chunk)
        return taken

    return arm


def same(found: list[Result], expected: list[Result]) -> bool:
    by_key = {one.key: one for one in expected}
    return all(one.same_as(by_key[one.key]) for one in found) and bool(found)


@pytest.mark.parametrize("learner", LEARNERS, ids=NAMES)
def test_a_pack_that_goes_on_ends_as_if_it_had_never_been_cut(learner, kept, killed_at):
    pack = some_trials(learner)
    calm = run_pack(pack)
    for at in (1, 3, 4):
        killed_at(at)
        with pytest.raises(Killed):
            run_pack(pack, checkpoints=kept)
    taken = killed_at(None)
    assert same(run_pack(pack, checkpoints=kept), calm)
    assert taken[0] == 4, "no chunk was taken again"


@pytest.mark.parametrize("learner", LEARNERS, ids=NAMES)
def test_a_lost_pack_may_come_back_split_and_mixed_with_others(learner, kept, killed_at):
    pack, others = (
        some_trials(learner, (3300, 997, 4000, 3600)),
        some_trials(learner, (50,) * 6)[4:],
    )
    calm = run_pack([*pack, *others])
    killed_at(4)
    with pytest.raises(Killed):
        run_pack(pack, checkpoints=kept)
    taken = killed_at(None)
    assert same(run_pack(pack[:1], checkpoints=kept), calm)
    assert min(taken) == 4, "no chunk was taken again"
    assert same(run_pack([others[0], *pack[1:3], others[1]], checkpoints=kept), calm)
    assert same(run_pack(pack[3:]), calm)


def train(folder: str, log: str, learner: TwoLayer) -> None:
    """Train in a process of its own, noting each chunk of each trial when it is done."""
    module.SHARE = 1e9
    honest, file = (
        two_layer_network._Training._chunk,
        os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    )

    def chunk(self: object, number: int, trials: list[int]) -> None:
        honest(self, number, trials)  # type: ignore[arg-type]
        os.write(file, f"{number}\n".encode() * len(set(trials)))

    two_layer_network._Training._chunk = chunk  # type: ignore[method-assign]
    run_pack(some_trials(learner), checkpoints=Checkpoints(Path(folder), every_s=0.03))


@pytest.fixture(scope="module")
def nursery() -> Iterator[ForkServerContext]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.domain.test_checkpoints"])
    return context


def test_workers_killed_while_they_train_cost_a_few_steps_and_change_nothing(
    kept: Checkpoints, tmp_path: Path, nursery: ForkServerContext
):
    learner, dice = TwoLayer(width=16, steps=STEPS), random.Random(5)
    log = tmp_path / "log"
    for _ in range(2):
        worker = nursery.Process(target=train, args=(str(kept.folder), str(log), learner))
        worker.start()
        before, deadline = chunks(log), time.monotonic() + 60.0
        while chunks(log) < before + 120:
            assert worker.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(dice.uniform(0.0, 0.05))
        worker.kill()
        worker.join()
    worker = nursery.Process(target=train, args=(str(kept.folder), str(log), learner))
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    needed = 3 * STEPS // CHUNK_STEPS
    again = chunks(log) - needed
    assert 0 <= again < 120, f"{again} chunks of {needed} were taken again"
    assert same(run_pack(some_trials(learner), checkpoints=kept), run_pack(some_trials(learner)))


def chunks(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def cut_at(at: int, pack: list[Trial], kept: Checkpoints, killed_at: Callable) -> list[Result]:
    """Leave checkpoints of a pack cut at that chunk; what comes of it when left alone."""
    calm = run_pack(pack)
    killed_at(at)
    with pytest.raises(Killed):
        run_pack(pack, checkpoints=kept)
    return calm


def test_a_damaged_checkpoint_is_noticed_and_its_trial_starts_anew(kept, killed_at):
    pack, dice = some_trials(LEARNERS[0]), random.Random(1)
    calm = cut_at(6, pack, kept, killed_at)
    path = the_file(kept, pack[1].key)
    sound, taken = path.read_bytes(), killed_at(None)
    for damage in ("flip", "cut", "empty", "grow"):
        place = dice.randrange(len(sound))
        path.write_bytes(
            {
                "flip": sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :],
                "cut": sound[:place],
                "empty": b"",
                "grow": sound + b"x",
            }[damage]
        )
        assert kept.load(pack[1].key) is None
        assert not path.exists()
    assert same(run_pack(pack, checkpoints=kept), calm)
    assert taken.count(0) == 1, "one of three started anew"


def the_file(kept: Checkpoints, key: str) -> Path:
    (path,) = (kept.folder / key).iterdir()
    return path


def a_state(value: float = 1.0, size: int = 3, at: int = 4) -> SavedTrial:
    return SavedTrial(at, {"net": np.full(size, value)}, 0.5)


def test_every_flipped_bit_and_every_cut_is_noticed(kept: Checkpoints):
    kept.save(KEY, a_state())
    path = the_file(kept, KEY)
    sound, dice = path.read_bytes(), random.Random(0)
    for _ in range(500):
        place = dice.randrange(len(sound))
        flipped = bytes([sound[place] ^ (1 << dice.randrange(8))])
        path.write_bytes(dice.choice([sound[:place], sound[:place] + flipped + sound[place + 1 :]]))
        assert kept.load(KEY) is None
    path.write_bytes(sound)
    assert kept.load(KEY).state["net"].tolist() == [1.0, 1.0, 1.0]


def test_a_checkpoint_of_another_trial_or_of_another_build_is_none(kept, monkeypatch):
    kept.save(KEY, a_state())
    path = the_file(kept, KEY)
    (kept.folder / OTHER).mkdir()
    (kept.folder / OTHER / path.name).write_bytes(path.read_bytes())
    assert kept.load(OTHER) is None
    monkeypatch.setattr(array_files, "FORMAT", "1/another torch")
    assert kept.load(KEY) is None
    kept.save(KEY, a_state())
    assert path.exists(), "it belongs to somebody else"


@pytest.mark.parametrize("harm", ["pickled", "compressed", "too large", "no archive"])
def test_a_file_with_the_right_name_that_holds_what_is_never_written_is_not_read(
    kept, tmp_path, monkeypatch, harm
):
    path = forged(kept.folder / KEY, harm, tmp_path / "canary", before="0000000001-")
    if harm == "too large":
        monkeypatch.setattr(array_files, "MOST_BYTES", 1 << 17)
    assert kept.load(KEY) is None
    assert not path.exists()
    assert not (tmp_path / "canary").exists()


def test_only_the_furthest_checkpoint_is_kept(kept: Checkpoints):
    kept.save(KEY, a_state(1.0, at=9))
    kept.save(KEY, a_state(2.0, at=10))
    assert kept.load(KEY).at == 10
    assert len(list((kept.folder / KEY).iterdir())) == 1


def test_a_save_that_is_cut_short_leaves_what_was_there(kept: Checkpoints, monkeypatch):
    kept.save(KEY, a_state(1.0, at=1))

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        kept.save(KEY, a_state(2.0, at=2))
    assert kept.load(KEY).at == 1
    assert [path.suffix for path in (kept.folder / KEY).iterdir()] == [".npz"]


def test_a_full_disk_costs_the_checkpoint_and_not_the_trial(kept, monkeypatch):
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    pack = some_trials(LEARNERS[0])
    assert same(run_pack(pack, checkpoints=kept), run_pack(pack))
    assert not any(kept.load(trial.key) for trial in pack)


def test_names_that_are_no_keys_reach_nothing(kept: Checkpoints, tmp_path: Path):
    (tmp_path / "precious").mkdir()
    for name in ("../precious", "/etc", ".", "..", "", KEY + "\n", KEY.upper().replace("0", "A")):
        with pytest.raises(ValueError, match="no trial's key"):
            kept.forget([name])
        with pytest.raises(ValueError, match="no trial's key"):
            kept.load(name)
        with pytest.raises(ValueError, match="no trial's key"):
            kept.save(name, a_state())
    assert (tmp_path / "precious").exists()


def test_symbolic_links_are_not_followed(kept: Checkpoints, tmp_path: Path):
    kept.save(KEY, a_state())
    outside = tmp_path / "outside"
    (kept.folder / KEY).rename(outside)
    (kept.folder / KEY).symlink_to(outside)
    assert kept.load(KEY) is None
    kept.forget([KEY])
    assert len(list(outside.iterdir())) == 1
    (file,) = outside.iterdir()
    (kept.folder / OTHER).mkdir()
    (kept.folder / OTHER / file.name).symlink_to(file)
    assert kept.load(OTHER) is None


def test_what_is_too_large_is_neither_saved_nor_read(kept: Checkpoints, monkeypatch):
    kept.save(KEY, a_state(size=100))
    monkeypatch.setattr(array_files, "MOST_BYTES", 100)
    assert kept.load(KEY) is None
    kept.save(OTHER, a_state(size=100))
    assert kept.keys() == [KEY]


def test_where_the_folder_is_not_to_be_seen_nothing_is_saved(tmp_path: Path):
    away = Checkpoints(tmp_path / "elsewhere", every_s=0.0)
    pack = some_trials(LEARNERS[0])
    assert same(run_pack(pack, checkpoints=away), run_pack(pack))
    assert list(tmp_path.iterdir()) == []
    assert away.keys() == []


def test_what_is_forgotten_is_gone(kept: Checkpoints):
    kept.save(KEY, a_state())
    kept.save(OTHER, a_state())
    (kept.folder / KEY / "abc.part").write_bytes(b"left by a kill")
    kept.forget([KEY, "1" * 32])
    assert kept.keys() == [OTHER]


def test_a_learner_that_does_not_ask_gets_nothing(kept: Checkpoints):
    run_pack(trials(the_cheapest_trial().cell, 3), checkpoints=kept)
    assert kept.keys() == []


def test_short_packs_save_nothing(tmp_path: Path):
    usual = Checkpoints(tmp_path)
    run_pack(some_trials(LEARNERS[0]), checkpoints=usual)
    assert usual.keys() == []


def test_seconds_include_those_up_to_the_checkpoint(kept: Checkpoints):
    pack = some_trials(LEARNERS[0])
    run_pack(pack, checkpoints=kept)
    saved = kept.load(pack[0].key)
    kept.save(pack[0].key, SavedTrial(saved.at, saved.state, 1000.0))
    assert run_pack(pack, checkpoints=kept)[0].seconds > 1000.0
