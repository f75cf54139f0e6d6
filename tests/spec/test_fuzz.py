"""Files nobody wrote: any text and any values are an experiment or a `SpecError`."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import Fault, SpecError
from orchestrator.spec import ExperimentSpec, loads
from tests.spec.corpus import CASES, GOOD, GOOD_JSON, GOOD_TOML

SOURCES = [(GOOD, ".yaml"), (GOOD_TOML, ".toml"), (GOOD_JSON, ".json")]
FILES = [path.read_text() for path in sorted(Path("experiments").glob("*.yaml"))]


def faults_of(text: str, suffix: str) -> tuple[Fault, ...]:
    try:
        loads(text, suffix, "fuzz")
    except SpecError as error:
        return error.faults or (Fault("refused without a reason"),)
    return ()


PIECES = st.one_of(
    st.sampled_from(["", *" \t\n#:-[]{},'\"|>%?=0\0\x85\u2028\u0430\U0001f600\ud800"]),
    st.sampled_from([": ", "- ", "&a ", "*a", "!!int ", "---\n", "<<", '"""', "[[", "kind", "d"]),
    st.sampled_from(["-1", "1e999", ".nan", "null", "true", "010"]),
)


@st.composite
def spliced(draw: st.DrawFn) -> tuple[str, str]:
    """A valid file with some stretches replaced."""
    text, suffix = draw(st.sampled_from([*SOURCES, *((text, ".yaml") for text in FILES)]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(PIECES) + text[end:]
    return text, suffix


@given(spliced())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_an_experiment_or_a_spec_error(damaged: tuple[str, str]):
    assert all(fault.file == "fuzz" for fault in faults_of(*damaged))


KEYS = st.text(max_size=6) | st.sampled_from(["kind", "low", "d"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["d", "2*d", "threshold", "grid", "kernel_ridge", 1, 0, -1, 10**12, 1e300]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(KEYS, parts, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [(key, one) for key, one in items] if isinstance(value, dict | list) else []
    return [path] * bool(path) + [
        found
        for key, one in inner
        for found in (paths(one, (*path, key)) if isinstance(one, dict | list) else [(*path, key)])
    ]


BASES = [yaml.safe_load(text.replace("1e-3", "1.0e-3")) for text in [GOOD, *FILES]]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid experiment with one value replaced, removed, or a word added."""
    words = json.loads(json.dumps(draw(st.sampled_from(BASES))))
    *outer, last = draw(st.sampled_from(paths(words)))
    holder = words
    for key in outer:
        holder = holder[key]
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del holder[last]
    elif change == "add" and isinstance(holder, dict):
        holder[draw(st.text(max_size=6))] = draw(VALUES)
    else:
        holder[last] = draw(VALUES)
    return words


@given(mutated())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_experiment_is_understood_or_a_spec_error(words: dict[str, Any]):
    try:
        spec = ExperimentSpec.from_words(words)
    except SpecError:
        return
    again = ExperimentSpec.from_canonical(spec.canonical)
    assert (again.canonical, again.id) == (spec.canonical, spec.id)
    for arm in spec.arms:
        for asked in spec.asked(arm):
            assert 1 <= asked.low <= asked.high
            spec.theory_at(arm, asked.d, asked.k)


@given(mutated())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_dumped_as_json_or_yaml_an_experiment_keeps_its_meaning(words: dict[str, Any]):
    try:
        spec = ExperimentSpec.from_words(words)
    except SpecError:
        return
    assert loads(json.dumps(words), ".json").canonical == spec.canonical
    assert loads(json.dumps(words), ".yaml").canonical == spec.canonical


@pytest.mark.filterwarnings("ignore")
def test_reading_touches_no_file_socket_or_process():
    for case in CASES:  # first, so that everything lazily imported is there
        read_quietly(case.text, case.suffix)
    touched: list[str] = []
    watching = True

    def watch(event: str, _: object) -> None:
        if watching and event.split(".")[0] in ("open", "socket", "subprocess", "exec", "import"):
            touched.append(event)

    sys.addaudithook(watch)  # cannot be removed, hence the switch
    for case in CASES:
        read_quietly(case.text, case.suffix)
    watching = False
    assert touched == []


def read_quietly(text: str, suffix: str) -> None:
    with pytest.raises(SpecError):
        loads(text, suffix)
