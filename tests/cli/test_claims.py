"""`phasefront claims` on a real store."""

import json
import re
import sys
from pathlib import Path

import pytest

from orchestrator.cli import main

FILE = """\
# How many random labels fit in three dimensions?
name: tiny
target: {kind: random_labels}
learner: {kind: linear_separator}
axes: {d: [3], n: {low: 2, high: 60}}
success: {measure: train_error, above: 0}
search: {kind: threshold, tolerance: 0.4, max_trials: 200}
theory:
  - {n_star: "2*d", kind: exact, within: 0.4, source: "Cover 1965"}
  - {exponents: {d: 1}, kind: exact}
"""

BEGIN, END = "<!-- claims: written by `phasefront claims` -->", "<!-- claims: end -->"


@pytest.fixture
def phasefront(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("questions").mkdir()
    Path("questions/tiny.yaml").write_text(FILE)

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["phasefront", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return command


def test_a_table_is_written_from_the_store_between_its_marks(phasefront):
    page = Path("page.md")
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    status, _, _ = phasefront("claims", "questions", "--store", "store", "-o", page)
    assert status == 0
    assert page.read_text().count("not run") == 2

    phasefront("run", "questions/tiny.yaml", "--store", "store", "--in-process")
    phasefront("claims", "questions", "--store", "store", "-o", page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    (row,) = [line for line in text.splitlines() if "Cover 1965" in line]
    experiment, paper, claim, measured, verdict, trials, gaps, seconds, _ = (
        cell.strip() for cell in row.strip("|").split("|")
    )
    assert (experiment, paper, verdict) == ("tiny.yaml", "Cover 1965", "agrees")
    assert claim == r"n_star = 2 \* d (exact, ±40%)"
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", measured)
    assert int(trials) > 0
    assert gaps == "0"
    assert int(seconds) >= 0

    status, out, _ = phasefront("claims", "questions", "--store", "store", "--format", "json")
    first, second = json.loads(out)["claims"]
    assert status == 0
    assert (first["verdict"], second["measured"]) == ("agrees", "no law yet")
    assert second["verdict"] == "not decisive"
    assert first["commit"] is None or re.fullmatch(r"[0-9a-f]{12}\+?", first["commit"])

    _, out, _ = phasefront("claims", "questions/tiny.yaml", "--store", "store")
    assert "agrees" in out


def test_rows_of_files_that_are_not_named_stay_in_the_page(phasefront):
    Path("questions/another.yaml").write_text(FILE.replace("tiny", "another"))
    page = Path("page.md")
    page.write_text(f"{BEGIN}\n{END}\n")
    phasefront("claims", "questions", "--store", "store", "-o", page)
    phasefront("run", "questions/tiny.yaml", "--store", "store", "--in-process")
    before = [line for line in page.read_text().splitlines() if "another.yaml" in line]
    Path("questions/another.yaml").unlink()
    phasefront("claims", "questions/tiny.yaml", "--store", "store", "-o", page)
    lines = page.read_text().splitlines()
    assert [line for line in lines if "another.yaml" in line] == before
    assert [line.split("|")[5].strip() for line in lines if "Cover" in line] == [
        "not run",
        "agrees",
    ]

    phasefront("claims", "questions", "--store", "store", "-o", page)
    assert "another.yaml" not in page.read_text()


def test_wrong_words_are_told(phasefront):
    status, _, err = phasefront("claims", "nowhere", "--store", "store")
    assert (status, "nowhere: no such file or folder" in err) == (2, True)
    Path("page.md").write_text("no marks\n")
    status, _, err = phasefront("claims", "questions", "--store", "store", "-o", "page.md")
    assert (status, BEGIN in err) == (2, True)
    assert Path("page.md").read_text() == "no marks\n"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{kind: exact}", "give one of n_star, table, exponents, status and mean"),
        ("{kind: exact, mean: 1}", "mean and measure go together"),
        ("{kind: exact, measure: train_eror, mean: 1}", "train_error"),
        ("{kind: exact, status: unsharp}", "not_sharp"),
        ("{kind: exact, exponents: {n: 1}}", "exponents"),
    ],
)
def test_a_claim_with_a_fault_is_refused(phasefront, entry, fault):
    Path("questions/tiny.yaml").write_text(FILE.partition("theory:")[0] + f"theory: {entry}\n")
    status, _, err = phasefront("claims", "questions", "--store", "store")
    assert (status, fault in err) == (2, True), err
