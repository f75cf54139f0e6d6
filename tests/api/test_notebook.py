"""Sweeps in Python: frames, pictures and what a notebook shows, from a sweep that was answered."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import orchestrator
from orchestrator import OpenedSweep, api
from orchestrator.answer import Answer
from orchestrator.errors import Interrupted, RequestError, UnknownSweep
from orchestrator.spec import ExperimentSpec
from tests.report.builders import an_answer, an_answer_with_k, an_empty_answer

WORDS = {
    "name": "small-cover",
    "question": "How many random labels fit?",
    "target": {"kind": "random_labels"},
    "learner": {"kind": "linear_separator"},
    "axes": {"d": [3, 5, 8], "n": {"low": 2, "high": 60}},
    "success": {"measure": "train_error", "above": 0},
    "search": {"kind": "threshold", "tolerance": 0.3, "max_trials": 300},
    "theory": {"n_star": "2*d", "kind": "exact"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook") / "store"


@pytest.fixture(scope="module")
def sweep(store: Path) -> OpenedSweep:
    return orchestrator.run(WORDS, store=store, in_process=True)


def test_importing_the_package_loads_nothing_heavy():
    script = "import sys, orchestrator; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"ray", "mlflow", "optuna", "torch", "pandas", "numpy", "pydantic", "rich"}
    assert not heavy & set(done.stdout.split())


def test_opening_gives_what_running_gave_by_id_prefix_and_name(sweep: OpenedSweep, store: Path):
    for name in (sweep.answer.sweep, sweep.answer.sweep[:6], "small-cover"):
        opened = orchestrator.open_sweep(name, store=store)
        assert opened.thresholds().equals(sweep.thresholds())
        assert opened.trials().equals(sweep.trials())
        assert opened.law().equals(sweep.law())
        assert opened.answer.question == "How many random labels fit?"
    with pytest.raises(UnknownSweep, match="small-cover"):
        orchestrator.open_sweep("nothing", store=store)


def test_the_words_of_an_experiment_are_kept_as_a_file_that_asks_it_again(
    sweep: OpenedSweep, tmp_path: Path
):
    file = tmp_path / "again.json"
    file.write_text(sweep.answer.spec_source)
    again = api.load_spec(file)
    assert (again.id, again.question) == (sweep.answer.sweep, WORDS["question"])


def test_a_file_an_experiment_and_its_words_ask_the_same(store: Path, sweep: OpenedSweep):
    file = store.parent / "small.json"
    file.write_text(json.dumps(WORDS))
    spec = ExperimentSpec.from_words(WORDS)
    asked = [api.notebook._experiment(one)[0].id for one in (file, str(file), spec, WORDS)]
    assert asked == [sweep.answer.sweep] * 4
    again = orchestrator.run(file, store=store, in_process=True)
    assert again.thresholds().equals(sweep.thresholds())
    assert again.answer.spec_source == json.dumps(WORDS)


def test_every_trial_is_a_row(sweep: OpenedSweep):
    trials = sweep.trials()
    assert list(trials) == [
        *("d", "n", "k", "arm", "target", "learner", "repeat", "seed", "outcome", "success"),
        *("train_error", "seconds", "attempt", "round", "cached", "tuned", "reasons", "key"),
    ]
    assert len(trials) == sweep.answer.finished_trials
    assert trials["key"].is_unique
    assert (trials["success"] == (trials["train_error"] > 0)).all()
    assert json.loads(trials["learner"][0])["kind"] == "linear_separator"


def test_thresholds_are_a_frame_with_missing_values_where_nothing_is_known():
    frame = OpenedSweep(an_answer()).thresholds()
    assert list(frame) == [
        *("arm", "target", "learner", "level", "d", "k", "n_star", "low", "high", "confidence"),
        *("status", "trials", "gaps", "n10", "n90", "tuned", "theory"),
    ]
    assert frame["arm"].tolist() == [0] * 5 + [1] * 5
    above = frame[frame["status"] == "above_range"]
    assert above["n_star"].isna().all()
    assert above["high"].isna().all()
    assert (above["low"] > 0).all()
    assert frame["theory"].isna().tolist() == [True] * 5 + [False] * 5
    numbers = ["n_star", "low", "high", "n10", "n90", "theory"]
    assert {str(kind) for kind in frame[numbers].dtypes} == {"float64"}


def test_a_law_is_a_row_for_each_exponent():
    assert OpenedSweep(an_answer()).law()["exponent"].tolist() == [0.79, 1.92]
    law = OpenedSweep(an_answer_with_k()).law()
    assert law[["letter", "exponent", "low", "high"]].values.tolist() == [
        ["d", 0.41, 0.38, 0.44],
        ["k", 0.59, 0.56, 0.62],
    ]
    assert law["decisive"].all()


def test_a_sweep_of_which_nothing_is_known_is_shown_all_the_same():
    empty = OpenedSweep(an_empty_answer())
    assert empty.law().empty
    assert list(empty.law()) == list(OpenedSweep(an_answer()).law())
    assert empty.trials().empty
    assert empty.thresholds()["n_star"].isna().all()
    assert "not known" in repr(empty)
    assert "<table>" in empty._repr_html_()


def test_a_notebook_and_a_console_show_question_thresholds_and_law():
    shown = OpenedSweep(an_answer(question="Is a < b?"))
    for text, question in ((repr(shown), "Is a < b?"), (shown._repr_html_(), "Is a &lt; b?")):
        for words in (question, "3f9a61c0d2b47e18", "kernel_ridge", "above range", "power law"):
            assert words in text
    assert shown._repr_html_().count("<tr>") == 12


@pytest.mark.parametrize("answer", [an_answer, an_answer_with_k])
def test_every_kind_of_picture_is_drawn_for_the_screen_and_for_print(
    answer: Callable[[], Answer], tmp_path: Path
):
    shown = OpenedSweep(answer())
    for kind in shown.kinds:
        figure = shown.figure(kind)
        assert type(figure).__module__.startswith("plotly.")
        assert len(figure.data) > 0
        printed = shown.figure(kind, library="matplotlib")
        printed.savefig(tmp_path / f"{kind}.png")
        assert (tmp_path / f"{kind}.png").stat().st_size > 5000


def test_a_picture_on_the_screen_names_its_arms_once_in_their_colours():
    figure = OpenedSweep(an_answer()).figure("law")
    named = [one for one in figure.data if one.showlegend]
    assert len({one.name for one in named}) == len(named) >= 2
    assert {one.marker.color for one in named if one.mode == "markers"} == {"#0072B2", "#D55E00"}
    second = OpenedSweep(an_answer()).figure("success_curves", arm=1)
    assert "kernel_ridge" in second.layout.title.text


def test_what_is_not_there_is_refused_with_what_is():
    shown = OpenedSweep(an_answer())
    with pytest.raises(RequestError, match=r"'laws'.*law, success_curves"):
        shown.figure("laws")
    with pytest.raises(RequestError, match="has 2, from 0 on"):
        shown.figure("success_curves", arm=2)
    with pytest.raises(RequestError, match="plotly or matplotlib"):
        shown.figure("law", library="bokeh")  # type: ignore[arg-type]


def test_ctrl_c_ends_a_sweep_with_what_is_committed_kept(
    store: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = {**WORDS, "name": "stopped", "seed": 1}
    before = signal.getsignal(signal.SIGINT)
    press = threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT))
    real = api.running.Sweep.answer

    def answer(sweep: object) -> object:
        press.start()
        press.join()
        return real(sweep)  # type: ignore[arg-type]

    monkeypatch.setattr(api.running.Sweep, "answer", answer)
    with pytest.raises(Interrupted) as stopped:
        orchestrator.run(words, store=store, in_process=True)
    assert "phasefront resume" in "".join(stopped.value.__notes__)
    assert "again to end at once" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    assert orchestrator.open_sweep("stopped", store=store).answer.status == "interrupted"
    assert orchestrator.run(words, store=store, in_process=True).answer.status == "finished"
