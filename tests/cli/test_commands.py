"""The command line as people use it: real files, a real store, trials trained in this process."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from orchestrator.cli import main

SMALL = """\
# How many random labels fit in three dimensions?
format: 1
name: tiny
target: {kind: random_labels}
learner: {kind: linear_separator}
axes:
  d: [3, 6]
  n: {low: 2, high: 60}
success: {measure: train_error, above: 0}
search: {kind: threshold, tolerance: 0.25, max_trials: 400}
theory: {n_star: "2*d", kind: exact, source: "Cover 1965"}
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which `tiny` has been answered."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "tiny.yaml").write_text(SMALL)
    patch = pytest.MonkeyPatch()
    words = ["run", str(folder / "tiny.yaml"), "--store", str(folder / "store"), "--in-process"]
    patch.setattr(sys, "argv", ["phasefront", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    patch.undo()
    assert ended.value.code == 0
    return folder / "store"


@pytest.fixture
def phasefront(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run one command line in an empty folder: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["phasefront", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err  # type: ignore[return-value]

    return command


def test_thresholds_are_shown_beside_theory(phasefront: Command, store: Path):
    status, out, _ = phasefront("thresholds", "tiny", "--store", store)
    assert status == 0
    assert re.search(r"theory.*\n.*\(exact\)", out)
    assert re.search(r"^\s*3\s+1\s+[\d.]+\s+[\d.]+ – [\d.]+\s+6\s", out, re.MULTILINE)


def test_thresholds_as_json_have_exactly_the_words_programs_rely_on(
    phasefront: Command, store: Path
):
    status, out, _ = phasefront("thresholds", "tiny", "--store", store, "--format", "json")
    found = json.loads(out)
    assert status == 0
    assert list(found) == ["format", "sweep", "status", "stopped_by", "trials", "arms"]
    assert (found["format"], found["status"], found["stopped_by"]) == (1, "finished", "tolerance")
    assert list(found["trials"]) == ["finished", "gaps"]
    (arm,) = found["arms"]
    assert list(arm) == ["target", "learner", "level", "thresholds", "law"]
    assert arm["law"] is None, "two thresholds make no law"
    words = "d k n_star low high confidence status trials gaps n10_n90 tuned theory"
    assert [" ".join(one) for one in arm["thresholds"]] == [words] * 2
    assert [one["theory"] for one in arm["thresholds"]] == [6.0, 12.0]
    assert all(one["low"] < one["n_star"] < one["high"] for one in arm["thresholds"])


def test_a_sweep_is_found_by_name_by_id_and_by_prefix(phasefront: Command, store: Path):
    _, out, _ = phasefront("list", "--store", store, "--format", "json")
    (sweep,) = json.loads(out)["sweeps"]
    assert list(sweep) == ["sweep", "name", "status", "started"]
    for name in (sweep["sweep"], sweep["sweep"][:6], "tiny"):
        status, out, _ = phasefront("status", name, "--store", store, "--format", "json")
        assert status == 0
        assert json.loads(out)["sweep"] == sweep["sweep"]


def test_running_an_answered_file_again_trains_nothing(phasefront: Command, store: Path):
    file = store.parent / "tiny.yaml"
    before = phasefront("status", "tiny", "--store", store, "--format", "json")[1]
    status, out, _ = phasefront("run", file, "--store", store, "--in-process")
    assert status == 0
    assert "theory" in out
    ended = "Stopped by tolerance; all 2 thresholds are settled at"
    assert ended in out
    assert ended in phasefront("status", "tiny", "--store", store)[1]
    assert phasefront("status", "tiny", "--store", store, "--format", "json")[1] == before


def test_report_writes_a_page_and_export_a_row_for_every_trial(
    phasefront: Command, store: Path, tmp_path: Path
):
    assert phasefront("report", "tiny", "-o", "page.html", "--store", store)[0] == 0
    assert "<!doctype html>" in (tmp_path / "page.html").read_text().lower()
    counted = json.loads(phasefront("status", "tiny", "--store", store, "--format", "json")[1])
    assert phasefront("export", "tiny", "-o", "trials.csv", "--store", store)[0] == 0
    rows = (tmp_path / "trials.csv").read_text().strip().splitlines()
    assert len(rows) - 1 == sum(counted["trials"].values())
    status, _, err = phasefront("export", "tiny", "-o", "trials.xlsx", "--store", store)
    assert (status, ".parquet or .csv" in err) == (2, True)


def test_explain_tells_why_a_sweep_and_a_trial_are_where_they_are(
    phasefront: Command, store: Path, tmp_path: Path
):
    status, out, _ = phasefront("explain", "tiny", "--store", store)
    assert status == 0
    assert "trained by this sweep" in out
    phasefront("export", "tiny", "-o", "trials.csv", "--store", store)
    key = re.search(r"[0-9a-f]{32}", (tmp_path / "trials.csv").read_text())
    assert key is not None
    status, out, _ = phasefront("explain", "tiny", key[0], "--store", store)
    assert status == 0
    assert "done: trained by this sweep, fitted" in out
    assert "attempt 1: committed" in out
    status, out, _ = phasefront("explain", "tiny", key[0][:9], "--store", store, "--format", "json")
    found = json.loads(out)
    assert (found["trial"], found["state"], found["pack"]) == (key[0], "done", None)
    assert [one["reason"] for one in found["attempts"]] == ["committed"]


def test_explain_tells_of_the_cells_at_a_place(phasefront: Command, store: Path):
    status, out, _ = phasefront("explain", "tiny", "--at", "d=3", "--store", store)
    assert status == 0
    assert re.search(r"random_labels · linear_separator · d=3 n=\d+ k=1: \d+ done", out)
    words = ("explain", "tiny", "--store", store, "--format", "json", "--at")
    cells = json.loads(phasefront(*words, "d=3,k=1")[1])["cells"]
    assert {cell["d"] for cell in cells} == {3}
    n = cells[0]["n"]
    (one,) = json.loads(phasefront(*words, f"d=3,n={n},k=1")[1])["cells"]
    assert one == cells[0]
    assert len(one["members"]) == sum(one["trials"].values())
    status, _, err = phasefront(*words, "d=4")
    assert (status, "no trial of tiny was asked for at d=4" in err) == (2, True)
    status, _, err = phasefront(*words, "d=3,m=4")
    assert (status, "such as d=20,n=100,k=1" in err) == (2, True)
    assert phasefront(*words, "d=3", key_of(one))[0] == 2, "a trial has one place"


def key_of(cell: dict) -> str:
    return cell["members"][0]["trial"]


def test_plan_trains_and_writes_nothing(phasefront: Command, store: Path, tmp_path: Path):
    file = store.parent / "tiny.yaml"
    status, out, _ = phasefront("plan", file, "--set", "search.kind=grid", "--set", "repeats=2")
    assert status == 0
    assert "nothing was trained" in out
    assert list(tmp_path.iterdir()) == []


def test_plan_says_what_the_store_has_of_it(phasefront: Command, store: Path):
    words = ("plan", store.parent / "tiny.yaml", "--store", store, "--format", "json")
    counted = json.loads(phasefront("status", "tiny", "--store", store, "--format", "json")[1])
    assert json.loads(phasefront(*words)[1])["reusable"] == counted["trials"]["done"]
    assert json.loads(phasefront(*words, "--set", "seed=9")[1])["reusable"] == 0
    grid = ("--set", "search.kind=grid", "--set", "repeats=1", "--set", "axes.d=[3]")
    planned = json.loads(phasefront(*words, *grid)[1])
    assert 0 < planned["reusable"] < planned["trials"]
    _, out, _ = phasefront(*words[:-2])
    assert f"{counted['trials']['done']} trials in the store can be reused at no cost" in out


def test_new_writes_a_file_that_can_be_planned(phasefront: Command, tmp_path: Path):
    assert phasefront("new", "mine")[0] == 0
    assert phasefront("plan", tmp_path / "mine.yaml")[0] == 0
    status, _, err = phasefront("new", "mine")
    assert (status, "exists already" in err) == (2, True)


def test_targets_and_learners_are_listed_with_their_documentation(phasefront: Command):
    assert "random_labels" in phasefront("targets")[1]
    assert "linear_separator" in phasefront("learners")[1]
    status, out, _ = phasefront("learners", "linear_separator")
    assert (status, "Source" in out) == (0, True)
    status, _, err = phasefront("learners", "linear_seperator")
    assert (status, "did you mean 'linear_separator'" in err) == (2, True)


def test_schema_is_json_schema_with_every_kind(phasefront: Command):
    schema = json.loads(phasefront("schema")[1])
    text = json.dumps(schema)
    assert "random_labels" in text
    assert "kernel_ridge" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("kind: random_labels", "kind: random_label"), "did you mean 'random_labels'"),
        (("name: tiny", "nmae: tiny"), "nmae"),
        (("high: 60", "high: many"), "many"),
        (("d: [3, 6]", "d: []"), "axes.d"),
        (("tolerance: 0.25", 'tolerance: "0.25"'), "search.tolerance"),
    ],
)
def test_a_bad_file_ends_with_2_one_message_and_nothing_written(
    phasefront: Command, tmp_path: Path, change: tuple[str, str], words: str
):
    (tmp_path / "bad.yaml").write_text(SMALL.replace(*change))
    status, out, err = phasefront("run", "bad.yaml", "--store", "store", "--in-process")
    assert status == 2
    assert words in err
    assert "bad.yaml" in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_k_above_d_is_refused(phasefront: Command, tmp_path: Path):
    words = SMALL.replace("random_labels", "sparse_parity").replace("n: {low", "k: 4\n  n: {low")
    (tmp_path / "bad.yaml").write_text(words)
    status, _, err = phasefront("run", "bad.yaml", "--store", "store", "--in-process")
    assert (status, "k = 4 exceeds d = 3" in err) == (2, True)


def test_an_unreadable_file_and_an_unknown_sweep_end_with_2(phasefront: Command, store: Path):
    status, _, err = phasefront("run", "nowhere.yaml", "--store", "store")
    assert (status, "nowhere.yaml" in err) == (2, True)
    status, _, err = phasefront("thresholds", "nothing", "--store", store)
    assert (status, "tiny" in err) == (2, True)


def test_an_unreachable_store_and_cluster_end_with_4_and_nothing_written(
    phasefront: Command, store: Path, tmp_path: Path
):
    file = store.parent / "tiny.yaml"
    away = ("--store", "http://127.0.0.1:9", "--ledger", "ledger.db", "--in-process")
    status, _, err = phasefront("run", file, *away)
    assert (status, "127.0.0.1:9" in err) == (4, True)
    status, _, err = phasefront("run", file, "--store", "s", "--address", "127.0.0.1:9")
    assert (status, "127.0.0.1:9" in err) == (4, True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_check_has_a_line_for_each_look_and_ends_with_4_where_something_is_wrong(
    phasefront: Command, store: Path, tmp_path: Path
):
    status, out, _ = phasefront("store", "check", store)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 4
    (tmp_path / "not-a-folder").write_text("")
    status, out, _ = phasefront("store", "check", "--store", "not-a-folder", "--format", "json")
    assert status == 4
    first, *_ = json.loads(out)["checks"]
    assert (first["check"], first["verdict"]) == ("answer", "wrong")
    assert "give another --store" in first["words"]
    assert phasefront("store", "check", "http://me:hush@x")[0] == 2


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("rnu", "tiny.yaml"),
        ("run", "tiny.yaml", "--slots", "0"),
        ("thresholds", "tiny", "--format", "xml"),
        ("list", "extra"),
        ("ui", "--port", "99999"),
    ],
)
def test_wrong_words_on_the_command_line_end_with_2_and_no_traceback(
    phasefront: Command, words: tuple[str, ...]
):
    status, _, err = phasefront(*words)
    assert status == 2
    assert "Traceback" not in err


def test_every_command_takes_a_store(phasefront: Command, store: Path):
    file = store.parent / "tiny.yaml"
    for words in (("plan", file), ("targets",), ("learners",), ("schema",), ("new", "other")):
        assert phasefront(*words, "--store", store)[0] == 0


def test_a_lost_ledger_is_noticed_and_rebuilt_from_mlflow(
    phasefront: Command, store: Path, tmp_path: Path
):
    lost = tmp_path / "lost"
    shutil.copytree(store, lost)
    for file in lost.glob("ledger.db*"):
        file.unlink()
    file, place = store.parent / "tiny.yaml", ("--store", lost, "--in-process")
    before = json.loads(phasefront("thresholds", "tiny", "--store", store, "--format", "json")[1])
    assert "MLflow has" in phasefront("status", "tiny", "--store", lost)[1]
    status, _, err = phasefront("run", file, *place)
    assert (status, "--from-mlflow" in err) == (2, True)
    status, _, err = phasefront("resume", "tiny", *place)
    assert (status, "--from-mlflow" in err) == (2, True)
    status, out, err = phasefront("resume", "tiny", "--from-mlflow", "--format", "json", *place)
    assert status == 0, err
    assert json.loads(out)["arms"] == before["arms"]
    assert json.loads(out)["trials"] == before["trials"]


def test_a_ui_of_a_store_that_is_not_there_is_refused(phasefront: Command, tmp_path: Path):
    status, _, err = phasefront("ui", "--store", "mistyped")
    assert (status, "mistyped" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_gpus_that_are_not_there_are_refused_before_anything_is_written(
    phasefront: Command, store: Path, tmp_path: Path
):
    words = ("--set", "resources.gpus=1", "--store", "s")
    status, _, err = phasefront("run", store.parent / "tiny.yaml", *words)
    assert (status, "GPU" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []
