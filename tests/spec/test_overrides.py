"""`--set path=value`."""

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec import ExperimentSpec, loads
from tests.spec.corpus import GOOD

THEORY = "theory: [{kind: exact, n_star: 5}, {kind: exact, n_star: 6}]\n"


def overridden(*overrides: str) -> ExperimentSpec:
    return loads(GOOD + THEORY, file="good.yaml", overrides=overrides)


def refusal(*overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        overridden(*overrides)
    return [str(fault) for fault in caught.value.faults]


def test_values_are_read_as_yaml_and_later_ones_win():
    assert overridden("seed=3").seed == 3
    assert overridden("seed=3", "seed=4").seed == 4
    spec = overridden("axes.d=[40, 80]", "success.above=1e-3")
    assert [asked.d for asked in spec.asked(spec.arms[0])] == [40, 80]
    assert spec.success.above == 0.001


def test_an_override_means_what_the_file_would():
    written = loads(GOOD.replace("tolerance: 0.1", "tolerance: 0.2") + THEORY)
    assert overridden("search.tolerance=0.2").id == written.id


def test_words_that_are_not_there_yet_are_made():
    text = GOOD.replace("search: {kind: threshold, tolerance: 0.1}\n", "")
    assert loads(text, overrides=["search.tolerance=0.2"]).search.tolerance == 0.2


def test_a_place_in_a_list_is_named_by_its_number():
    spec = overridden("theory.1.n_star=7", "theory.0.where=d == 20")
    value = spec.theory_at(spec.arms[0], 10, 2)
    assert value is not None
    assert value.n_star == 7


def test_a_whole_plug_in_can_be_replaced():
    assert overridden("learner={kind: least_squares}").arms[0].learner.kind == "least_squares"
    assert len(overridden("learner.ridge=[0.1, 1]").arms) == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "expected path=value"),
        ("=3", "expected path=value"),
        ("a..b=3", "expected path=value"),
        ("seed=", "no value after '='"),
        ("seed=x", "--set seed=x: seed: expected a whole number, found the text 'x'"),
        ("sed=3", "--set sed=3: sed: unknown word 'sed'; did you mean 'seed'?"),
        ("seed=[1", "not readable as YAML"),
        ("seed=&a 3", "anchors"),
        ("seed=!!int 3", "tags are off"),
        ("seed={a: 1, a: 2}", "stands twice"),
        ("seed.x=3", "seed is 0 and has no x"),
        ("theory.9.n_star=3", "theory is a list of 2; name one by its place from 0"),
        ("theory.n_star=3", "theory is a list of 2"),
        ("axes.k=11", "--set axes.k=11: axes.k: sparse_parity: k = 11 exceeds d = 10"),
        ("target.kind=sparse_party", "did you mean 'sparse_parity'?"),
        ("learner.ridge=[1, -1]", "learner.ridge.1: expected a number of at least 0"),
    ],
)
def test_a_fault_of_an_override_names_the_override(override: str, words: str):
    (found,) = refusal(override)
    assert found.startswith(f"--set {override}: ")
    assert words in found


def test_control_characters_of_an_override_are_not_echoed():
    (found,) = refusal("seed=\x1b[31m")
    assert found.isprintable()


def test_faults_of_overrides_and_of_the_file_come_together():
    with pytest.raises(SpecError) as caught:
        loads(GOOD.replace("r_squared", "accuracy"), file="f.yaml", overrides=["seed=x", "name"])
    places = [fault.file for fault in caught.value.faults]
    assert places == ["f.yaml", "--set seed=x", "--set name"]


def test_a_fault_elsewhere_keeps_the_line_of_the_file():
    (found,) = refusal("axes.d=[2]", "axes.n.low=200")
    assert found.startswith("good.yaml:9: axes.n: low is 200 and high is 8 at d = 2")
