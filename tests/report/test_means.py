"""Pictures of means: what they draw is what the trials and the claims say."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects
import pytest
from scipy import stats

from orchestrator.answer import Heading, TrialRow, answer
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.report import page, words
from orchestrator.report.kinds import kind_named, kinds
from orchestrator.report.pictures.canvas import drawn, encoded
from orchestrator.report.pictures.means import found_in, reach
from orchestrator.report.series import mean_measures, means
from orchestrator.spec import ExperimentSpec
from tests.report.builders import an_answer

WORDS = {
    "name": "risk",
    "target": {"kind": "spherical_harmonic", "noise": 0.5},
    "learner": [{"kind": "ridge", "ridge": 0.001}, {"kind": "least_squares"}],
    "axes": {"d": [10, 20, 40, 80], "n": [20, 40, 80]},
    "success": {"measure": "test_error", "below": 0.5},
    "search": {"kind": "grid", "confidence": 0.9},
    "repeats": 6,
}
SMALL = {"axes": {"d": [10], "n": [20, 40, 80]}, "learner": {"kind": "ridge", "ridge": 0.001}}
THEORY = (
    {"measure": "train_error", "mean": "d/n", "where": "n >= 40", "kind": "exact",
     "learner": {"kind": "ridge"}},
    {"measure": "train_error", "mean": 0.5, "where": "n == 20", "kind": "measured", "source": "A"},
    {"measure": "train_error", "mean": 0.3, "where": "n == 80", "kind": "measured", "source": "A"},
)  # fmt: skip


def value(arm, d, n, repeat):
    return (1 + arm) * d / n + 0.01 * math.sin(9.0 * repeat + n)


def trials(spec, missing=(), dimensions=(10, 20, 40, 80)):
    """Trials of a grid; those (arm, d, n, repeat) that are `missing` have no number."""
    return [
        TrialRow(
            key=f"{arm.index}-{d}-{n}-{repeat}", arm=arm.index, round=0, point=Point(d=d, n=n, k=1),
            repeat=repeat, seed=0, outcome=Outcome.FITTED, success=n > 40,
            measures={}
            if (arm.index, d, n, repeat) in missing
            else {"train_error": value(arm.index, d, n, repeat), "test_error": 1.0 / n},
            seconds=0.1, attempt=1, cached=False,
        )
        for arm in spec.arms
        for d in dimensions
        for n in WORDS["axes"]["n"]
        for repeat in range(6)
    ]  # fmt: skip


def an_answer_with_means(*theory, missing=(), **changes):
    spec = ExperimentSpec.from_words({**WORDS, "theory": list(theory), **changes})
    dimensions = changes.get("axes", WORDS["axes"])["d"]
    return answer(spec, Heading("5e1f", "finished", None), trials(spec, missing, dimensions))


@pytest.fixture(scope="module")
def claimed():
    return an_answer_with_means(*THEORY, missing={(0, 10, 40, 3)})


def text_of(found, name):
    with drawn(found, kind_named(found, name).on_paper) as figure:
        figure.canvas.draw()
        texts = figure.findobj(lambda one: hasattr(one, "get_text"))
        return " ".join("\n".join(text.get_text() for text in texts).split())


def names(found):
    return [kind.name for kind in kinds(found) if kind.name.startswith("means")]


def test_means_are_numpys_and_intervals_are_students(claimed):
    for arm in (0, 1):
        for one in means(claimed, arm, "train_error"):
            for mean in one.means:
                values = [value(arm, one.d, mean.n, repeat) for repeat in range(6)]
                assert mean.value == pytest.approx(np.mean(values), rel=1e-12)
                ends = stats.t.interval(0.9, 5, np.mean(values), stats.sem(values))
                assert (mean.low, mean.high) == pytest.approx(ends)


def test_print_and_screen_draw_the_means(claimed):
    graph = kind_named(claimed, "means_train_error").on_screen(claimed, 0)
    marks = [one for one in graph.traces if "error_y" in one]
    every = [one for arm in (0, 1) for one in means(claimed, arm, "train_error")]
    assert len(marks) == len(every) == 6
    for trace, one in zip(marks, every, strict=True):
        assert trace["y"] == pytest.approx([mean.value for mean in one.means], rel=1e-3)
    with drawn(claimed, kind_named(claimed, "means_train_error").on_paper) as figure:
        heights = [
            line.get_ydata() for line in figure.axes[0].lines if line.get_marker() in ("o", "s")
        ]
    for height, one in zip([one for one in heights if len(one)], every, strict=True):
        assert list(height) == [mean.value for mean in one.means]


def test_an_n_with_a_trial_that_has_no_number_has_no_mean(claimed):
    (first, *rest) = means(claimed, 0, "train_error")
    assert [mean.n for mean in first.means] == [20, 80]
    assert [(one.n, one.trials, one.without) for one in first.lost] == [(40, 6, 1)]
    assert not any(one.lost for one in rest)
    traces = kind_named(claimed, "means_train_error").on_screen(claimed, 0).traces
    (cross,) = (one for one in traces if one.get("marker", {}).get("symbol") == "x-thin-open")
    assert cross["text"] == ["d = 10, k = 1, n = 40: 1 of 6 trials have no such number"]


def test_theory_is_a_curve_where_it_is_a_formula_and_points_where_it_speaks_of_single_n(claimed):
    ridge, plain = (means(claimed, arm, "train_error")[0].theory for arm in (0, 1))
    curve, points = ridge
    assert not curve.points
    assert (curve.n[0], curve.n[-1]) == (40, 80)
    assert curve.mean == pytest.approx([10 / n for n in curve.n])
    assert points.points
    assert dict(zip(points.n, points.mean, strict=True)) == {20: 0.5, 80: 0.3}
    assert list(plain) == [points]


def test_measures_are_those_of_claims_and_the_criterions_where_n_is_not_sought(claimed):
    assert names(claimed) == ["means_train_error", "means_test_error"]
    assert names(an_answer_with_means()) == ["means_test_error"]
    assert names(an_answer()) == []
    sought = replace(claimed, search=claimed.search.model_copy(update={"kind": "threshold"}))
    assert mean_measures(sought) == ["train_error"]
    unclaimed = replace(sought, arms=tuple(replace(arm, means=()) for arm in sought.arms))
    assert mean_measures(unclaimed) == []


def test_nothing_is_drawn_where_no_trial_has_the_measure(claimed):
    kind = kind_named(claimed, "means_train_error")
    bare = an_answer()
    assert kind.on_paper(bare) is None
    assert kind.on_screen(bare, 0) is None
    lonely = an_answer_with_means({"measure": "r_squared", "mean": 1, "kind": "exact"})
    assert names(lonely) == ["means_test_error"]


def test_three_of_four_d_are_drawn_and_the_picture_says_so(claimed):
    assert [one.d for one in means(claimed, 0, "train_error")] == [10, 40, 80]
    text = text_of(claimed, "means_train_error")
    assert "Drawn: 3 of the 4 (d, k) of" in text
    assert "Bars: 90 % intervals" in text
    assert "n, training examples (k = 1)" in text
    assert "6 trials each" in text
    assert "theory (exact, measured)" in text
    assert "5e1f · success: test_error < 0.5 · 144 trials, 0 gaps" in text


def test_one_trial_has_a_mean_without_interval():
    found = an_answer_with_means()
    alone = tuple(row for row in found.rows if row.repeat == 0)
    (one, *_) = means(replace(found, rows=alone), 0, "train_error")
    assert [(mean.low, mean.high, mean.trials) for mean in one.means] == [(None, None, 1)] * 3


def test_axes_hold_every_mean_and_interval_and_are_log_over_a_power_of_ten(claimed):
    low, high, logarithmic = reach(found_in(claimed, "train_error"))
    values = [m for arm in (0, 1) for one in means(claimed, arm, "train_error") for m in one.means]
    assert logarithmic
    assert low < min(mean.low for mean in values)
    assert high > max(mean.high for mean in values)
    assert not reach(found_in(claimed, "test_error"))[2]


def print_of(found):
    with drawn(found, kind_named(found, "means_train_error").on_paper) as figure:
        return [encoded(figure, suffix, found, "means") for suffix in ("png", "pdf")]


def test_equal_answers_give_equal_pictures():
    first = print_of(an_answer_with_means(*THEORY, **SMALL))
    assert first == print_of(an_answer_with_means(*THEORY, **SMALL))
    missing = {(0, 10, 40, 3)}
    assert first != print_of(an_answer_with_means(*THEORY, **SMALL, missing=missing))


def test_the_page_has_the_graph_with_words_for_those_who_do_not_see_it():
    small = an_answer_with_means(*THEORY, **SMALL)
    written = page(small)
    (graphs,) = re.findall(r'id="graphs">(\[.*?)</script>', written, re.S)
    found = {graph["id"]: graph for graph in json.loads(graphs)}
    graph = found["means-train_error"]
    plotly.graph_objects.Figure(data=graph["data"], layout=graph["layout"])
    assert "Mean train_error over trials with intervals against n, training examples" in written
    shown = means(small, 0, "train_error")[0].means[0]
    assert f"{words.number(shown.value)} at n = 20" in written
