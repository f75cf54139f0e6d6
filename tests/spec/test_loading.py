"""Reading files: encodings, sizes, things that are no files, and what YAML words mean."""

import os
import tomllib
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec import load, loads, question_of
from orchestrator.spec.yaml_text import plain_word
from tests.spec.corpus import GOOD, GOOD_JSON, GOOD_TOML


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load(path)
    assert len(caught.value.faults) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD.encode("utf-16"), "written in UTF-16"),
        (GOOD.encode("utf-16-be"), "contains a NUL byte"),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "written in UTF-16"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "byte-order mark"),
        (GOOD.encode() + b"# \xe9\n", "not valid UTF-8"),
        (GOOD.encode() + b"# \0\n", "contains a NUL byte"),
        (b"", "the file is empty"),
        (b"# " + b"x" * 256_000, "longer than 256 kB"),
    ],
)
def test_a_file_in_another_encoding_or_size_says_which(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    assert words in refusal(path)


def test_the_line_of_a_stray_byte_is_told(tmp_path: Path):
    path = tmp_path / "file.yaml"
    path.write_bytes(GOOD.encode() + b"# \xe9\n")
    assert refusal(path).startswith(f"{path}:15:")


def test_a_file_that_is_not_there_or_not_a_file_says_so(tmp_path: Path):
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert "No such file" in refusal(tmp_path / "none.yaml")
    assert "not a regular file" in refusal(folder)
    assert "not a regular file" in refusal(pipe)
    assert "cannot read the file" in refusal(loop)
    assert "cannot read the file" in refusal(Path("a\0b.yaml"))


def test_a_file_with_another_suffix_is_refused_unread(tmp_path: Path):
    assert "ends in .yaml, .yml, .toml or .json" in refusal(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("text", "suffix"),
    [(GOOD, ".YAML"), (GOOD, ".yml"), (GOOD_TOML, ".toml"), (GOOD_JSON, ".json")],
)
def test_a_good_file_of_every_form_is_read(tmp_path: Path, text: str, suffix: str):
    path = tmp_path / f"file{suffix}"
    path.write_text(text)
    assert load(path).name == "good"


def test_one_experiment_has_one_id_in_yaml_toml_and_json():
    toml = GOOD_TOML.replace('[[theory]]\nn_star = 5\nkind = "exact"\n', "")
    as_json = loads(GOOD_JSON, ".json")
    assert loads(toml, ".toml").id == as_json.id
    plain = "\n".join(line for line in GOOD.splitlines() if line.split(":")[0] not in DEFAULTED)
    assert loads(plain).id == as_json.id


DEFAULTED = ("search", "repeats", "resources", "format")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("1.0e+3", 1000.0),
        ("-.5", -0.5),
        ("+7", 7),
        ("0", 0),
        ("1.", 1.0),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("0x10", "0x10"),
        ("0o10", "0o10"),
        ("1_000", "1_000"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("e3", "e3"),
        ("1e", "1e"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_a_plain_word_means_what_it_looks_like(text: str, value: object):
    found = plain_word(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["010", "-007", ".nan", "-.inf", "1e999", "1" * 19])
def test_a_number_that_would_surprise_is_refused(text: str):
    with pytest.raises(ValueError, match=r"zero|finite|large|digits"):
        plain_word(text)


def test_a_small_bound_in_scientific_notation_is_a_number():
    assert loads(GOOD.replace("above: 0.5", "below: 1e-3")).success.below == 0.001


def test_the_question_is_the_first_paragraph_of_the_opening_comment():
    assert question_of("\n# How many?\n# And why?\n#\n# Source: me\nname: x\n") == (
        "How many? And why?"
    )
    assert question_of("name: x\n# later\n") == ""
    assert loads(GOOD).question == "A good file."
    assert loads(GOOD_TOML, ".toml").question == "A good file."


def test_a_file_may_word_its_question_itself():
    text = GOOD_JSON.replace('"seed"', '"question": "How many?", "seed"')
    assert loads(text, ".json").question == "How many?"
    assert question_of(text) == "How many?"
    assert question_of("{") == question_of("[" * 10**5) == question_of('{"question": 3}') == ""


def test_toml_lines_are_those_of_the_parser_values():
    """Every key of the good TOML file has the line on which a search finds it."""
    from orchestrator.spec.loading import read_text

    places = read_text(GOOD_TOML, ".toml").places
    lines = GOOD_TOML.splitlines()
    for path, place in places.items():
        assert place.line is not None
        word = [part for part in path.split(".") if not part.isdigit()][-1]
        assert word in lines[place.line - 1], path
    assert {path.split(".")[0] for path in places} == set(tomllib.loads(GOOD_TOML))
