"""The files that ship: examples, the template, the schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.errors import SpecError
from orchestrator.spec import ExperimentSpec, json_schema, load, loads, new_file
from tests.spec.corpus import GOOD, GOOD_JSON, UNKNOWN

FOLDER = Path(__file__).parents[2] / "experiments"
FILES = sorted(FOLDER.glob("*.yaml"))
NAMES = {
    "cover",
    "dense_parity",
    "donoho_tanner",
    "kernel_ridge_parity",
    "noisy_kernel_ridge",
    "quickstart",
    "two_layer_parity",
}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_the_files_promised_are_there():
    assert {path.stem for path in FILES} >= NAMES


@each_file
def test_a_shipped_file_loads_and_opens_with_its_question_and_source(path: Path):
    spec = load(path)
    text = path.read_text()
    assert spec.question.rstrip().endswith("?") or "?" in spec.question
    assert "# Source" in text
    assert "# Theory line" in text or "# Agreement" in text
    assert spec.name == path.stem.replace("_", "-")
    assert path.name in (FOLDER / "README.md").read_text()


@each_file
def test_a_shipped_file_makes_claims_with_sources_and_its_theory_lies_inside_the_range(path: Path):
    spec = load(path)
    assert spec.theory
    assert all(entry.source for entry in spec.theory)
    for arm in spec.arms:
        for asked in spec.asked(arm):
            value = spec.theory_at(arm, asked.d, asked.k)
            assert value is None or asked.low < value.n_star < asked.high


@each_file
def test_a_shipped_file_reads_back_from_its_canonical_text(path: Path):
    spec = load(path)
    assert ExperimentSpec.from_canonical(spec.canonical, spec.question) == spec


def test_the_arms_of_the_quickstart_are_a_network_and_a_kernel():
    kinds = [arm.learner.kind for arm in load(FOLDER / "quickstart.yaml").arms]
    assert kinds == ["two_layer", "kernel_ridge"]


def test_donoho_tanner_follows_d_when_d_is_set():
    spec = load(FOLDER / "donoho_tanner.yaml", ["axes.d=[200]"])
    found = [
        (asked.k, value.n_star)
        for asked in spec.asked(spec.arms[0])
        if (value := spec.theory_at(spec.arms[0], asked.d, asked.k))
    ]
    assert found == [(20, 64.2), (40, 100.6), (80, 149.0)]


@pytest.mark.parametrize("name", ["mine", "a-b_c.d", "1e3", "true", "007", "No", "x" * 64])
def test_a_new_file_loads_under_its_name(name: str):
    spec = loads(new_file(name))
    assert spec.name == name
    assert spec.question


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\n", "-a", "x" * 65])
def test_a_new_file_with_an_unsafe_name_is_refused(name: str):
    with pytest.raises(SpecError):
        new_file(name)


# The schema


def is_valid(words: Any) -> bool:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(words))


@each_file
def test_the_schema_accepts_every_shipped_file(path: Path):
    # PyYAML reads 1e-3 as text, which our reader does not.
    text = path.read_text().replace("1e-3", "1.0e-3")
    assert is_valid(yaml.safe_load(text))


def test_the_schema_accepts_what_the_reader_does():
    assert is_valid(yaml.safe_load(GOOD))
    assert is_valid(json.loads(GOOD_JSON))
    assert is_valid(yaml.safe_load(new_file("x")))
    assert is_valid(json.loads(loads(GOOD).canonical))


@pytest.mark.parametrize(
    "case",
    [case for case in UNKNOWN if "measure" not in case.name],
    ids=lambda case: case.name,
)
def test_the_schema_refuses_unknown_words(case: Any):
    assert not is_valid(yaml.safe_load(case.text))


def test_the_schema_lists_every_setting_of_every_kind():
    kinds = json_schema()["$defs"]["learner"]["oneOf"]
    ridge = next(kind for kind in kinds if kind["properties"]["kind"]["const"] == "kernel_ridge")
    assert {"kernel", "ridge", "bandwidth"} <= set(ridge["properties"])
