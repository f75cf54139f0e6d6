"""What every target and learner keeps by being in its folder."""

import inspect
import json
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.domain.learner import Learner, Outcome
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.measures import reported
from orchestrator.domain.pack import run_pack
from orchestrator.domain.plugin import Plugin, scan
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target
from orchestrator.domain.trial import Cell, Result, Trial
from orchestrator.errors import PluginError
from tests.builders import a_point

scan()

QUICK = {
    "factored_descent": {"steps": 40},
    "nuclear_norm_recovery": {"steps": 20},
    "ordered_dropout": {"sweeps": 10},
    "rank_pruning": {"steps": 30},
    "mean_field_langevin": {"steps": 12, "width": 16},
    "parametrised_network": {"steps": 12, "width": 16},
    "two_timescale_langevin": {"steps": 12, "width": 16},
    "two_layer": {"steps": 12, "width": 16},
    "two_layer_teacher": {"width": 16, "stages": 2},
    "distilled_student": {"width": 16, "teacher_width": 16, "teacher_n": 64, "teacher_stages": 2},
    "relu_gradient_descent": {"steps": 12},
    "subspace_training": {"steps": 12, "width": 16, "examples": 40},
    "ntk_network": {"steps": 12, "width": 32},
    "block_coordinate_descent": {"penalty": 0.5, "steps": 200},
    "random_features": {"features": 12},
    "scalable_neural_kernel": {"features": 6},
}
"""Settings under which a learner that is slow by nature is quick; the laws hold at any settings."""


STOPS_EARLY = {
    "two_layer_teacher": {
        **{"width": 16, "stages": 4, "batch_size": 4},
        **{"stop_at": 0.5, "check_every": 1},
    },
}
"""Settings under which some trials of a learner that teaches end before others."""


def _built_in(family: type[Plugin]) -> list[type[Plugin]]:
    return [
        found
        for kind, found in sorted(family.kinds.items())
        if found.__module__.startswith("orchestrator.domain.")
    ]


def _pairs() -> list:
    """Every learner with one target for each way in which it is judged, and every target once.

    All pairs would be many hundreds that repeat each other: what a learner does depends on a target
    through its labels and through which measures the two report.
    """
    targets = [target() for target in _built_in(Target)]
    learners = [learner(**QUICK.get(kind_of(learner), {})) for learner in _built_in(Learner)]
    pairs = [pair for learner in learners for pair in _ways(targets, learner)]
    left = [target for target in targets if all(target is not one for one, _ in pairs)]
    pairs += [(target, min(_readers(target, learners), key=_effort)) for target in left]
    return [
        pytest.param(target, learner, id=f"{target.kind}-{learner.kind}")
        for target, learner in sorted(pairs, key=lambda pair: (pair[0].kind, pair[1].kind))
    ]


def _ways(targets: list[Target], learner: Learner) -> list[tuple[Target, Learner]]:
    ways = {
        (target.labels, reported(target, learner)): target
        for target in reversed(targets)
        if target.labels in learner.reads
    }
    return [(target, learner) for target in ways.values()]


def _readers(target: Target, learners: list[Learner]) -> list[Learner]:
    return [learner for learner in learners if target.labels in learner.reads]


def _effort(learner: Learner) -> float:
    return learner.work(a_point(d=D, n=3 * D, k=K))


def kind_of(plugin: type[Plugin]) -> str:
    return str(plugin.model_fields["kind"].default)


D, K = 7, 2

PLUGINS = [pytest.param(one, id=kind_of(one)) for one in _built_in(Target) + _built_in(Learner)]
TARGETS = [pytest.param(one(), id=kind_of(one)) for one in _built_in(Target)]
LEARNERS = [pytest.param(one(), id=kind_of(one)) for one in _built_in(Learner)]
PAIRS = _pairs()


def some_trials(target: Target, learner: Learner, repeats: int = 6, d: int = D) -> list[Trial]:
    """Below, at and above n = d, `repeats` of each, in turns."""
    return [
        Trial(Cell(target, learner, Point(d=d, n=n, k=K)), repeat)
        for repeat in range(repeats)
        for n in (d // 2, d, 3 * d - 1)
    ]


def by_key(results: list[Result]) -> dict[str, Result]:
    return {result.key: result for result in results}


def in_packs(trials: list[Trial], size: int) -> dict[str, Result]:
    chunks = [trials[start : start + size] for start in range(0, len(trials), size)]
    return by_key([result for chunk in chunks for result in run_pack(chunk)])


def assert_same(left: dict[str, Result], right: dict[str, Result]) -> None:
    assert left.keys() == right.keys()
    different = [key for key in left if not left[key].same_as(right[key])]
    assert not different, [(left[key], right[key]) for key in different]


# Settings


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_has_its_own_file_named_like_its_kind(plugin):
    assert Path(inspect.getfile(plugin)).stem == kind_of(plugin)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_says_what_it_is_and_where_it_comes_from(plugin):
    text = inspect.getdoc(plugin) or ""
    assert plugin.__doc__ is not None
    assert any(mark in text for mark in ("Source:", "Source of", "arXiv:"))


@pytest.mark.parametrize("plugin", PLUGINS)
def test_defaults_are_a_sensible_plugin_and_its_settings_come_back_from_json(plugin):
    one = plugin()
    assert plugin.from_settings(json.loads(json.dumps(one.settings))) == one
    assert json.loads(one.canonical) == {**one.settings, "revision": plugin.revision}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_an_unknown_field_is_refused(plugin):
    with pytest.raises(PluginError, match="widht"):
        plugin.from_settings({**plugin().settings, "widht": 3})


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_cannot_be_changed_once_made(plugin):
    with pytest.raises(Exception, match="frozen"):
        plugin().kind = "other"


# Targets


def drawn(target: Target, count: int, n: int = 5) -> tuple[torch.Tensor, Examples]:
    point, streams = a_point(d=D, n=n, k=K), Streams(["a", "b", "c"])
    concept = target.draw(point, streams.at("concept"))
    return concept, target.examples(concept, point, count, streams.at("train"))


def equal(left: Examples, right: Examples) -> bool:
    return torch.equal(left.x, right.x) and torch.equal(left.y, right.y)


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_examples_do_not_depend_on_how_many_are_drawn(target):
    _, few = drawn(target, 7)
    _, many = drawn(target, 20)
    assert few.x.shape[:2] == (3, 7)
    assert equal(few, Examples(many.x[:, :7], many.y[:, :7]))


@pytest.mark.parametrize("target", TARGETS)
def test_concept_and_examples_do_not_depend_on_n(target):
    concept, examples = drawn(target, 7, n=5)
    other_concept, other_examples = drawn(target, 7, n=50)
    assert torch.equal(concept, other_concept)
    assert equal(examples, other_examples)


@pytest.mark.parametrize("target", TARGETS)
def test_a_trial_draws_the_same_alone_as_in_a_pack(target):
    concept, examples = drawn(target, 9)
    point, streams = a_point(d=D, k=K), Streams(["b"])
    own = target.draw(point, streams.at("concept"))
    own_examples = target.examples(own, point, 9, streams.at("train"))
    assert torch.equal(own, concept[1:2])
    assert equal(own_examples, Examples(examples.x[1:2], examples.y[1:2]))


@pytest.mark.parametrize("target", TARGETS)
def test_labels_are_what_the_target_says_they_are(target):
    _, examples = drawn(target, 50)
    allowed = {"sign": {-1.0, 1.0}, "bit": {0, 1}, "class": {0.0, 1.0}}.get(target.labels)
    assert examples.y.isfinite().all()
    assert allowed is None or set(examples.y.unique().tolist()) == allowed
    assert target.labels != "class" or bool((examples.y.sum(2) == 1).all())


@pytest.mark.parametrize("target", TARGETS)
def test_a_complexity_above_the_dimension_is_refused_in_words(target):
    assert target.faults(d=8, k=3) == []
    assert any("9" in fault for fault in target.faults(d=8, k=9))


# Learners


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_key_says_who_teaches_and_that_one_teaches_at_any_n(learner):
    """The settings cover the teacher's, and the revision its revision."""
    found = [learner.teacher(a_point(d=D, n=n, k=K)) for n in (5, 50)]
    assert found[0] == found[1]
    if found[0] is not None:
        teacher, point = found[0]
        assert teacher.teaches
        assert (point.d, point.k) == (D, K)
        assert learner.revision % 1000 == teacher.revision


@pytest.mark.parametrize("learner", LEARNERS)
def test_work_and_memory_are_positive_and_never_fall_as_n_grows(learner):
    points = [a_point(d=30, n=n, k=2) for n in (1, 2, 15, 16, 29, 30, 31, 64, 100, 1000, 30_000)]
    for cost in (learner.work, learner.memory_bytes):
        costs = [cost(point) for point in points]
        assert costs[0] > 0
        assert math.isfinite(costs[-1])
        assert costs == sorted(costs)


@pytest.mark.parametrize("learner", LEARNERS)
def test_some_target_gives_the_labels_a_learner_reads(learner):
    assert any(target.labels in learner.reads for target in _built_in(Target))


@pytest.mark.parametrize("d", [D, 37])
@pytest.mark.parametrize(("target", "learner"), PAIRS)
def test_a_result_is_the_same_bit_for_bit_in_any_company(target, learner, d):
    trials = some_trials(target, learner, d=d)
    alone = in_packs(trials, 1)
    for size in (2, 3, 5, 17):
        shuffled = random.Random(size).sample(trials, len(trials))
        assert_same(in_packs(shuffled, size), alone)


TEACHERS = [
    pytest.param(learner(**STOPS_EARLY.get(kind_of(learner), {})), id=kind_of(learner))
    for learner in _built_in(Learner)
    if learner.teaches
]


def taught_by(trials: list[Trial], size: int) -> dict[str, bytes]:
    lessons = Lessons()
    for start in range(0, len(trials), size):
        run_pack(trials[start : start + size], lessons=lessons)
    return lessons.content([trial.key for trial in trials])


@pytest.mark.parametrize("learner", TEACHERS)
def test_a_lesson_is_the_same_bit_for_bit_in_any_company(learner):
    target = min(
        (one() for one in _built_in(Target) if one.labels in learner.reads),
        key=lambda one: (one.kind != "sparse_parity", one.kind),
    )
    trials = some_trials(target, learner)
    alone = taught_by(trials, 1)
    assert alone.keys() == {trial.key for trial in trials}
    for size in (2, 5, len(trials)):
        assert taught_by(random.Random(size).sample(trials, len(trials)), size) == alone


@pytest.mark.parametrize(("target", "learner"), PAIRS)
def test_results_come_in_the_order_asked_for(target, learner):
    trials = random.Random(0).sample(some_trials(target, learner, repeats=2), 6)
    assert [result.key for result in run_pack(trials)] == [trial.key for trial in trials]


@pytest.mark.parametrize(("target", "learner"), PAIRS)
def test_a_trial_that_ends_gives_every_measure_that_the_pair_reports(target, learner):
    for result in run_pack(some_trials(target, learner, repeats=2)):
        if result.outcome is Outcome.FITTED:
            assert set(result.measures) == set(reported(target, learner))
        assert set(result.measures) <= set(reported(target, learner))
        assert all(math.isfinite(value) for value in result.measures.values())


@pytest.mark.parametrize(("target", "learner"), PAIRS)
def test_fitting_leaves_the_global_random_streams_alone(target, learner):
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    run_pack(some_trials(target, learner, repeats=1))
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def spoil(monkeypatch: pytest.MonkeyPatch, target: Target, keys: set[str], value: float) -> None:
    """From now on the trials with those keys see data of that value, or contradictory bits."""
    honest = type(target).examples

    def examples(self, concept, point, count, streams):
        given = honest(self, concept, point, count, streams)
        spoilt = torch.tensor([key in keys for key in streams.keys])[:, None]
        if given.y.dtype == torch.uint8:
            wrong = torch.arange(count, dtype=torch.uint8)[None, :] % 2 ^ given.y
        else:
            wrong = torch.tensor(value, dtype=torch.float64).to(given.y)
            given.x[:, :, 0] = torch.where(spoilt, wrong, given.x[:, :, 0])
        rows = spoilt.view(-1, *[1] * (given.y.ndim - 1))
        return Examples(given.x, torch.where(rows, wrong, given.y))

    monkeypatch.setattr(type(target), "examples", examples)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
@pytest.mark.parametrize(("target", "learner"), PAIRS)
def test_a_diverging_pack_mate_changes_nothing(monkeypatch, target, learner, value):
    trials = some_trials(target, learner, repeats=3)
    before = by_key(run_pack(trials))
    bad = {trials[0].key, trials[4].key, trials[8].key}
    spoil(monkeypatch, target, bad, value)
    after = by_key(run_pack(trials))
    mates = before.keys() - bad
    assert_same({key: before[key] for key in mates}, {key: after[key] for key in mates})
    for key in bad:
        assert all(math.isfinite(number) for number in after[key].measures.values())
        if target.labels != "bit" and not math.isfinite(value):
            assert after[key].outcome is Outcome.DIVERGED


# The room


def test_the_tests_run_with_the_setting_that_makes_bits_repeatable():
    assert os.environ["MKL_CBWR"].endswith(",STRICT")
    assert torch.get_num_threads() == 1
