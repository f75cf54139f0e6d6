"""Lessons: whole or missing, whatever happens to their files; the same however they travel."""

from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.domain import array_files
from orchestrator.domain.lessons import Lessons
from orchestrator.errors import LessonsMissing
from tests.domain.forgery import forged

A, B = "a" * 32, "b" * 32
LESSON = {"networks": np.arange(12, dtype=np.float32).reshape(3, 4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Lessons(tmp_path / "lessons").make()
    return tmp_path / "lessons"


def the_file(folder: Path, key: str = A) -> Path:
    (found,) = (folder / key).iterdir()
    return found


def test_a_lesson_reads_back_bit_for_bit_in_another_process_s_memory_or_from_its_file(folder):
    maker = Lessons(folder)
    maker.keep(A, LESSON)
    handed = Lessons()
    handed.take_over(maker.content([A, B]))
    for source in (maker, handed, Lessons(folder)):
        taught = source.of([A, A])["networks"]
        assert torch.equal(taught, torch.from_numpy(np.stack([LESSON["networks"]] * 2)))
    assert maker.names([A, B]) == {A: the_file(folder).name}


def test_a_lesson_made_again_has_the_same_name(folder):
    Lessons(folder).keep(A, LESSON)
    Lessons(folder).keep(A, {"networks": LESSON["networks"].copy()})
    the_file(folder)


def test_lessons_that_are_nowhere_are_named(folder):
    lessons = Lessons(folder)
    lessons.keep(A, LESSON)
    with pytest.raises(LessonsMissing) as missing:
        lessons.of([A, B])
    assert missing.value.keys == (B,)


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "of another"])
def test_a_damaged_file_is_as_good_as_none_and_is_removed(folder, harm):
    Lessons(folder).keep(A, LESSON)
    path = the_file(folder)
    content = bytearray(path.read_bytes())
    if harm == "flipped":
        content[len(content) // 2] ^= 1
    elif harm == "of another":
        Lessons(folder).keep(B, LESSON)
        path = path.rename(path.with_name(the_file(folder, B).name))
        content = bytearray(the_file(folder, B).read_bytes())
    else:
        content = content[: len(content) // 2] if harm == "cut" else bytearray()
    path.write_bytes(content)
    with pytest.raises(LessonsMissing):
        Lessons(folder).of([A])
    assert not path.exists()
    Lessons(folder).keep(A, LESSON)
    assert Lessons(folder).of([A])


@pytest.mark.parametrize("harm", ["pickled", "compressed", "too large", "no archive"])
def test_a_file_with_the_right_name_that_holds_what_is_never_written_is_not_read(
    folder, tmp_path, monkeypatch, harm
):
    path = forged(folder / A, harm, tmp_path / "canary")
    if harm == "too large":
        monkeypatch.setattr(array_files, "MOST_BYTES", 1 << 17)
    with pytest.raises(LessonsMissing):
        Lessons(folder).of([A])
    assert not path.exists()
    assert not (tmp_path / "canary").exists()


def test_a_lesson_of_another_format_is_passed_over_and_stays(folder, monkeypatch):
    Lessons(folder).keep(A, LESSON)
    path = the_file(folder)
    with monkeypatch.context() as patch:
        patch.setattr(array_files, "FORMAT", "2/another torch")
        with pytest.raises(LessonsMissing):
            Lessons(folder).of([A])
        Lessons(folder).keep(A, LESSON)
        assert Lessons(folder).of([A])
    assert path.exists()
    assert len(list((folder / A).iterdir())) == 2
    assert Lessons(folder).of([A])


def test_nothing_is_written_through_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / A).symlink_to(tmp_path / "elsewhere")
    Lessons(folder).keep(A, LESSON)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_a_folder_or_a_disk_a_lesson_lives_in_memory(tmp_path, monkeypatch):
    refusing = Lessons(tmp_path / "never made")
    refusing.keep(A, LESSON)
    assert refusing.of([A])
    assert not (tmp_path / "never made").exists()
    full = Lessons(tmp_path)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.domain.lessons.write_whole", refuse)
    full.keep(B, LESSON)
    assert full.of([B])


def test_what_is_held_is_bounded_and_the_oldest_goes_first(folder):
    lessons = Lessons(None, held_bytes=100)
    for key in (A, B):
        lessons.keep(key, LESSON)
    lessons.keep("c" * 32, LESSON)

    def held() -> list[bool]:
        return [lessons.holds(key) for key in (A, B, "c" * 32)]

    assert held() == [True, True, True], "the pack at work may teach more"
    lessons.begin([])
    assert held() == [False, True, True]
    lessons.need([B])
    lessons.keep(A, LESSON)
    lessons.of([B])
    assert held() == [True, True, False]
    lessons.need([A, B])
    assert held() == [True, True, False], "and learn from more"


def test_all_lessons_that_a_pack_lacks_are_named_at_once(folder):
    lessons = Lessons(folder)
    lessons.keep(A, LESSON)
    with pytest.raises(LessonsMissing) as missing:
        lessons.need([B, A, "c" * 32, B])
    assert missing.value.keys == (B, "c" * 32)


def test_a_lesson_that_is_too_large_is_refused_in_words_that_name_the_limit(folder, monkeypatch):
    for module in ("array_files", "lessons"):
        monkeypatch.setattr(f"orchestrator.domain.{module}.MOST_BYTES", 47)
    with pytest.raises(ValueError, match="takes 48 bytes, and a lesson may take 47"):
        Lessons(folder).keep(A, LESSON)
    assert not list(folder.iterdir())


def test_a_link_or_a_name_that_is_no_key_is_not_followed(folder, tmp_path):
    Lessons(folder).keep(A, LESSON)
    (folder / B).symlink_to(folder / A)
    with pytest.raises(LessonsMissing):
        Lessons(folder).of([B])
    with pytest.raises(ValueError, match="no trial's key"):
        Lessons(folder).of(["../" + A])
