"""The corpus of bad files: each is refused, with every fault at its path and line."""

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec import loads
from tests.spec.corpus import CASES, GOOD, GOOD_JSON, GOOD_TOML, Case


def faults_of(text: str, suffix: str = ".yaml") -> list[tuple[str, int | None, str]]:
    with pytest.raises(SpecError) as caught:
        loads(text, suffix, file="bad" + suffix)
    assert all(fault.file == "bad" + suffix for fault in caught.value.faults)
    return [(fault.path, fault.line, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_file_is_refused_with_every_fault_at_its_place(case: Case):
    found = faults_of(case.text, case.suffix)
    missing = [
        (path, line, words)
        for path, line, words in case.faults
        if not any((path, line) == one[:2] and words in one[2] for one in found)
    ]
    assert not missing, found
    assert len(found) == len(case.faults), found


def test_there_are_at_least_two_hundred_bad_files_and_no_two_share_a_name():
    assert len({case.name for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize(
    ("text", "suffix"), [(GOOD, ".yaml"), (GOOD_TOML, ".toml"), (GOOD_JSON, ".json")]
)
def test_the_files_the_corpus_is_made_from_are_good(text: str, suffix: str):
    assert loads(text, suffix).name == "good"


def test_faults_come_in_the_order_of_the_file_with_missing_words_last():
    lines = [line for _, line, _ in faults_of("seed: x\naxes: 3\nname: ''\n")]
    assert lines == [1, 2, 3, None, None, None]


def test_a_fault_reads_as_file_line_path_and_words():
    with pytest.raises(SpecError) as caught:
        loads(GOOD.replace("sparse_parity", "sparse_party"), file="parity.yaml")
    assert str(caught.value).startswith(
        "parity.yaml:4: target.kind: unknown kind 'sparse_party'; did you mean 'sparse_parity'?"
    )


def test_messages_hold_no_control_characters_and_no_look_alikes():
    for case in CASES:
        for path, _, message in faults_of(case.text, case.suffix):
            told = path + message
            assert told.isprintable(), case.name
            assert told.isascii(), case.name
