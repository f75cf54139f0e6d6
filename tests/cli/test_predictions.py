"""`thresholds --predict`, on a sweep that was asked for exponents."""

import re
import sys
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.cli import main

SWEEP = """\
# How does the capacity of a linear separator grow with the dimension?
format: 1
name: growth
target: {kind: random_labels}
learner: {kind: linear_separator}
axes:
  d: [3, 6, 12]
  n: {low: 2, high: 90}
success: {measure: train_error, above: 0}
search: {kind: threshold, aim: exponents, tolerance: 0.25, max_trials: 600}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which `growth` has been answered."""
    folder = tmp_path_factory.mktemp("growth")
    (folder / "growth.yaml").write_text(SWEEP)
    words = ["run", str(folder / "growth.yaml"), "--store", str(folder / "store"), "--in-process"]
    assert phasefront(*words) == 0
    return folder / "store"


def phasefront(*words: str) -> int:
    """Exit status of one command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        patch.setattr(sys, "argv", ["phasefront", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_a_search_for_exponents_ends_when_they_are_known_to_the_tolerance(store: Path):
    found = api.open_sweep("growth", api.Place.chosen(str(store), None))
    assert found.stopped_by == "tolerance"
    assert found.arms[0].power is not None
    exponent = found.arms[0].power.exponents["d"]
    assert exponent.low < 1 < exponent.high, "Cover's threshold is 2 d"
    assert exponent.high - exponent.low <= 0.5


def test_a_threshold_that_was_not_run_is_predicted_with_its_interval(
    store: Path, capsys: pytest.CaptureFixture[str]
):
    """A sound interval misses 2 d at d = 20 in one seed of twenty; the seed is fixed."""
    assert phasefront("thresholds", "growth", "--store", str(store), "--predict", "d=20") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    said = re.search(r"predicted at d = 20, k = 1: n_star = [\d.]+ \[([\d.]+) – ([\d.]+)\]", line)
    assert said, line
    assert float(said[1]) < 40 < float(said[2])


def test_a_prediction_that_no_threshold_supports_says_why(
    store: Path, capsys: pytest.CaptureFixture[str]
):
    assert phasefront("thresholds", "growth", "--store", str(store), "--predict", "d=9,k=2") == 0
    assert "nothing: k was 1 at every threshold" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--predict", "400"], ["--predict", "d=9", "--format", "json"]])
def test_a_prediction_asked_wrongly_is_refused(
    store: Path, words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert phasefront("thresholds", "growth", "--store", str(store), *words) == 2
    assert "--predict" in capsys.readouterr().err
