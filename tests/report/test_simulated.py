"""Pictures that need real trials: how intervals narrowed, tuned settings, learning curves."""

import json
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects
import pytest

from benchmarks.report.simulated import simulated
from orchestrator.narrowing import looked_at, narrowing
from orchestrator.report import page, words
from orchestrator.report.kinds import kind_named, kinds
from orchestrator.report.pictures.canvas import drawn
from orchestrator.report.series import (
    dimensions,
    learned_measures,
    learning,
    shrinking,
    spent,
    tried,
)
from orchestrator.report.series.learning import MOST_STEPS
from tests.report.builders import a_small_answer, an_answer


@pytest.fixture(scope="module")
def plain():
    return simulated(3000, 3)


@pytest.fixture(scope="module")
def tuned():
    return simulated(2400, 2, tuned=True)


@pytest.fixture(scope="module")
def written(tuned):
    return page(tuned)


def text_of(answer, name):
    with drawn(answer, kind_named(answer, name).on_paper) as figure:
        figure.canvas.draw()
        found = figure.findobj(lambda one: hasattr(one, "get_text"))
        return " ".join("\n".join(text.get_text() for text in found).split())


def test_rounds_looked_at_are_few_and_stay_as_more_follow():
    assert looked_at(range(5), 12) == {0, 1, 2, 3, 4}
    for last in (13, 40, 500, 10**5):
        found = looked_at(range(last + 1), 12)
        assert 3 < len(found) <= 12
        assert {0, last} <= found
    assert looked_at(range(400), 12) - {399} <= looked_at(range(450), 12)


def test_the_last_look_is_the_answer_and_intervals_narrow(plain):
    for index, arm in enumerate(plain.arms):
        looks = narrowing(plain, index)
        assert list(looks[-1].thresholds) == [one.threshold for one in arm.thresholds]
        assert [one.round for one in looks] == sorted({one.round for one in looks})
        for line in shrinking(plain, index):
            assert line.trials == tuple(sorted(line.trials))
            assert line.widths[-1] < line.widths[0]
            assert line.widths[-1] == line.found.threshold.half_width


def test_a_sweep_of_one_round_has_nothing_that_narrowed():
    assert narrowing(a_small_answer(), 0) == []
    assert "narrowing" not in [
        kind.name for kind in kinds(a_small_answer()) if kind.on_paper(a_small_answer())
    ]


def test_every_trial_is_spent_somewhere_however_dots_are_drawn_together(plain):
    for answer in (plain, an_answer()):
        for index in range(len(answer.arms)):
            own = [row for row in answer.rows if row.arm == index]
            dots = [dot for cell in spent(answer, index).values() for dot in cell]
            assert sum(dot.trials for dot in dots) == len(own)


def test_dots_are_drawn_together_where_they_are_too_many(plain, monkeypatch):
    monkeypatch.setattr("orchestrator.report.series.spending.room", lambda answer: 60)
    cells = spent(plain, 0)
    assert all(len(dots) < 200 for dots in cells.values())
    assert sum(dot.trials for dots in cells.values() for dot in dots) == 1500


def test_the_picture_of_narrowing_names_the_tolerance_and_the_confidence(plain):
    text = text_of(plain, "narrowing")
    assert "tolerance asked for, 3 %" in text
    assert "95 % interval" in text


def test_every_setting_is_a_line_and_the_chosen_ones_lie_on_top(tuned):
    lines = tried(tuned.arms[0])
    assert len(lines) == 4 * 6  # (d, k) and settings
    assert [one.chosen for one in lines] == [False] * 20 + [True] * 4
    assert all(one.ratio == 1 for one in lines if one.chosen and one.ratio)
    names = [axis.name for axis in dimensions(lines)]
    assert names == ["d", "k", "learning_rate", "width", "n*"]
    for axis in dimensions(lines):
        assert len(axis.places) == len(lines)
        assert all(0 <= place <= 1.2 for place in axis.places)
    assert tried(tuned.arms[1]) == []


def test_settings_are_drawn_with_their_trials(tuned):
    text = text_of(tuned, "settings")
    trials = sum(one.threshold.trials for one in tried(tuned.arms[0]))
    assert f"24 lines, {words.count(trials, 'trial')}".replace("\u202f", " ") in text
    assert "learning_rate" in text
    assert "n* over the best there" in text


def test_learning_is_shown_near_the_threshold_of_each_d(plain):
    assert learned_measures(plain) == ["test_accuracy"]
    cells = learning(plain, 0, "test_accuracy")
    assert [one.d for one in cells] == [10, 14, 20]
    for one in cells:
        n_star = next(
            f.threshold.n_star
            for f in plain.arms[0].thresholds
            if (f.asked.d, f.asked.k) == (one.d, one.k)
        )
        assert abs(np.log(one.n / n_star)) < 0.7
        assert one.steps[0] == 1
        assert one.steps[-1] == 800
        assert np.all(one.low <= one.median)
        assert np.all(one.median <= one.high)
        assert one.counts.max() == one.trials
    assert learning(plain, 1, "test_accuracy") == []
    assert learned_measures(an_answer()) == []


def test_long_curves_are_thinned(plain):
    long = tuple((step, step / 5000) for step in range(5001))
    row = replace(plain.rows[0], curves={"loss": long})
    (cell,) = learning(replace(plain, rows=(row,)), row.arm, "loss")
    assert len(cell.steps) <= MOST_STEPS
    assert (cell.steps[0], cell.steps[-1]) == (1, 5000)


def test_plotly_accepts_every_graph_of_a_tuned_sweep(written):
    (graphs,) = re.findall(r'id="graphs">(\[.*?)</script>', written, re.S)
    found = {graph["id"]: graph for graph in json.loads(graphs)}
    assert {"settings-0", "learning-test_accuracy-0", "collapse-0", "collapse-1"} <= set(found)
    for graph in found.values():
        plotly.graph_objects.Figure(data=graph["data"], layout=graph["layout"])


def test_a_page_of_a_running_sweep_says_so_and_when():
    running = replace(a_small_answer(), status="running")
    text = page(running, made=1_760_000_100.0)
    assert "Still running: figures move." in text
    assert "2025-10-09 08:55:00 UTC" in text
    ended = page(a_small_answer(), made=1.0)
    assert ended == page(a_small_answer(), made=2.0)
    assert "Still running" not in ended


def test_the_page_names_the_commit_it_was_made_with():
    text = page(a_small_answer(), versions={"commit": "0123456789ab+", "torch": "2.13.0"})
    assert "<code>0123456789ab</code> with changes that were not committed" in text
    assert "torch 2.13.0" in text
