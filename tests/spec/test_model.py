"""The experiment as understood: arms, success, theory, and what its id stands for."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.errors import SpecError
from orchestrator.spec import Criterion, ExperimentSpec, Search, Tunable, loads

WORDS: dict[str, Any] = {
    "name": "model",
    "target": {"kind": "sparse_parity"},
    "learner": {"kind": "kernel_ridge"},
    "axes": {"d": [10, 20], "k": 2, "n": {"low": "d", "high": "4*d"}},
    "success": {"measure": "r_squared", "above": 0.5},
}


def a_spec(**words: Any) -> ExperimentSpec:
    return ExperimentSpec.from_words({**WORDS, **words})


def labels(**words: Any) -> list[str]:
    return [arm.label for arm in a_spec(**words).arms]


# Arms


def test_lists_make_all_combinations_with_learners_inside_targets():
    spec = a_spec(
        target=[{"kind": "sparse_parity"}, {"kind": "sparse_parity", "flip_rate": 0.1}],
        learner=[{"kind": "kernel_ridge"}, {"kind": "least_squares"}],
    )
    assert [(arm.index, arm.target.kind, arm.learner.kind) for arm in spec.arms] == [
        (0, "sparse_parity", "kernel_ridge"),
        (1, "sparse_parity", "least_squares"),
        (2, "sparse_parity", "kernel_ridge"),
        (3, "sparse_parity", "least_squares"),
    ]


def test_pairs_make_just_those_arms():
    pairs = [
        {"target": {"kind": "sparse_parity"}, "learner": {"kind": "kernel_ridge"}},
        {"target": {"kind": "sparse_parity", "flip_rate": 0.1}, "learner": {"kind": "two_layer"}},
    ]
    words = {word: value for word, value in WORDS.items() if word not in ("target", "learner")}
    spec = ExperimentSpec.from_words({**words, "pairs": pairs})
    assert [arm.learner.kind for arm in spec.arms] == ["kernel_ridge", "two_layer"]


def test_a_list_for_a_single_setting_makes_arms_in_the_order_of_the_settings():
    ridges = {"kind": "kernel_ridge", "degree": [2, 3], "ridge": [0.1, 1]}
    assert labels(learner=ridges) == labels(learner=dict(reversed(ridges.items())))
    assert len(labels(learner=ridges)) == 4
    assert labels(learner={"kind": "kernel_ridge", "ridge": [0.5]}) == [
        "kernel_ridge(ridge=0.5) on sparse_parity"
    ]


def test_plug_ins_may_be_given_as_they_are():
    given_plain = a_spec()
    given_ready = a_spec(target=SparseParity(), learner=[KernelRidge()])
    assert given_ready.id == given_plain.id


def test_keyword_arguments_work_as_words():
    assert ExperimentSpec(**WORDS).id == a_spec().id


# Success


@pytest.mark.parametrize(
    ("criterion", "value", "met"),
    [
        ({"above": 0}, 0.0, False),
        ({"above": 0}, 1e-9, True),
        ({"below": 1e-3}, 1e-3, False),
        ({"below": 1e-3}, 0.0, True),
    ],
)
def test_a_bound_itself_is_no_success(criterion: Mapping[str, float], value: float, met: bool):
    assert Criterion(measure="m", **criterion).met({"m": value, "other": 5.0}) is met


def test_a_trial_without_the_measure_is_no_success():
    assert not Criterion(measure="m", above=-1).met({"other": 5.0})


def test_a_diverged_trial_has_failed_whichever_way_the_criterion_points():
    for bound in ({"above": 0.5}, {"below": 0.5}):
        for value in (0.0, 1.0):
            assert Criterion(measure="m", **bound).judged("diverged", {"m": value}) is False


def test_a_trial_without_the_measure_says_nothing():
    criterion = Criterion(measure="m", above=0.5)
    assert criterion.judged("out_of_budget", {"steps": 3.0}) is None
    assert criterion.judged("out_of_budget", {"m": 0.75}) is True


def test_a_criterion_reads_as_a_formula():
    assert str(Criterion(measure="relative_error", below=1e-3)) == "relative_error < 0.001"
    assert str(Criterion(measure="train_error", above=0)) == "train_error > 0"


# Theory


def theory_at(theory: Any, d: int = 10, k: int = 2, **words: Any) -> list[float | None]:
    spec = a_spec(theory=theory, **words)
    found = [spec.theory_at(arm, d, k) for arm in spec.arms]
    return [value and value.n_star for value in found]


def test_the_first_entry_that_applies_is_the_theory():
    entries = [
        {"kind": "exact", "n_star": "3*d", "where": "d == 20"},
        {"kind": "measured", "table": [{"d": 10, "k": 3, "n_star": 7}], "source": "a table"},
        {"kind": "asymptotic", "n_star": 5.5},
    ]
    assert theory_at(entries, d=20) == [60.0]
    assert theory_at(entries, d=10, k=3) == [7.0]
    assert theory_at(entries, d=10, k=2) == [5.5]
    assert theory_at(entries[:2], d=10, k=2) == [None]


def test_a_row_without_k_holds_at_every_k():
    table = {"kind": "measured", "table": [{"d": 10, "n_star": 7}]}
    assert theory_at(table, k=2) == theory_at(table, k=9) == [7.0]


def test_entries_may_speak_of_some_arms_only():
    arms = [{"kind": "kernel_ridge", "ridge": [0, 1]}, {"kind": "least_squares"}]

    def values(**chosen: Any) -> list[float | None]:
        return theory_at({"kind": "exact", "n_star": 4, **chosen}, learner=arms)

    assert values() == [4.0, 4.0, 4.0]
    assert values(learner="kernel_ridge") == [4.0, 4.0, None]
    assert values(learner={"ridge": 1.0}) == [None, 4.0, None]
    assert values(learner={"kind": "kernel_ridge", "ridge": 0}) == [4.0, None, None]
    assert values(target="dense_parity") == [None, None, None]
    assert values(target={"flip_rate": 0}) == [4.0, 4.0, 4.0]


# Ids

RICH: dict[str, Any] = {
    **WORDS,
    "learner": [{"kind": "kernel_ridge", "ridge": [0.1, 1]}, {"kind": "two_layer", "width": 64}],
    "success": {"measure": "test_accuracy", "above": 0.9},
    "search": {"kind": "threshold", "tolerance": 0.1, "max_trials": 100},
    "seed": 3,
    "repeats": 7,
    "theory": [
        {"kind": "exact", "n_star": "2*d", "where": "k == 2", "learner": {"width": 64}},
        {"kind": "measured", "source": "x", "table": [{"d": 10, "k": 2, "n_star": 40}]},
    ],
    "resources": {"gpus": 0.5, "minutes_per_trial": 2},
}

CHANGES: list[tuple[str, Any]] = [
    ("name", "other"),
    ("seed", 4),
    ("repeats", 8),
    ("target.flip_rate", 0.1),
    ("learner.0.ridge", [0.1, 2]),
    ("learner.0.kernel", "rbf"),
    ("learner.1.width", 65),
    ("axes.d", [10, 30]),
    ("axes.k", 3),
    ("axes.n.low", "d + 1"),
    ("axes.n.high", "5*d"),
    ("axes.n.spacing", "log"),
    ("success.measure", "r_squared"),
    ("success.above", 0.8),
    ("success", {"measure": "test_accuracy", "below": 0.9}),
    ("search.kind", "grid"),
    ("search.level", 0.6),
    ("search.confidence", 0.9),
    ("search.tolerance", 0.2),
    ("search.max_trials", 101),
    ("search.max_hours", 1),
    ("search.round", 64),
    ("theory.0.n_star", "3*d"),
    ("theory.0.where", "k == 3"),
    ("theory.0.kind", "asymptotic"),
    ("theory.0.learner", {"width": 65}),
    ("theory.1.source", "y"),
    ("theory.1.table.0.n_star", 41),
    ("resources.gpus", 1),
    ("resources.minutes_per_trial", 3),
]


def changed(path: str, value: Any) -> ExperimentSpec:
    words = json.loads(json.dumps(RICH))
    holder = words
    *outer, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    for word in outer:
        holder = holder[word]
    holder[last] = value
    return ExperimentSpec.from_words(words)


def test_every_change_of_meaning_changes_the_id():
    ids = {changed(path, value).id for path, value in CHANGES}
    assert len(ids | {ExperimentSpec.from_words(RICH).id}) == len(CHANGES) + 1


def test_the_values_of_n_that_a_grid_takes_change_its_id():
    ends = {"low": "d", "high": "4*d"}
    ns = [ends, {**ends, "count": 9}, {**ends, "count": 8}, ["d", "4*d"], ["d", "2*d", "4*d"]]
    specs = [a_spec(search={"kind": "grid"}, axes={"d": 10, "k": 2, "n": n}) for n in ns]
    assert len({spec.id for spec in specs}) == len(ns)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("axes.n.high", " 4 * d "),
        ("axes.d", [10.0, 20]),
        ("axes.k", [2]),
        ("axes.n.spacing", "linear"),
        ("learner.0.kernel", "exp_dot"),
        ("learner.1.width", [64]),
        ("resources.gpus", 0.50),
        ("theory.0.where", "k==2"),
        ("theory.1.table.0.n_star", 40.0),
        ("search.max_hours", None),
        ("question", "Why?"),
        ("format", 1),
    ],
)
def test_another_spelling_leaves_the_id(path: str, value: Any):
    assert changed(path, value).id == ExperimentSpec.from_words(RICH).id


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    return [shuffled(one, chance) for one in value] if isinstance(value, list) else value


@given(st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_order_of_words_leaves_the_id(chance: random.Random):
    assert ExperimentSpec.from_words(shuffled(RICH, chance)).id == (
        ExperimentSpec.from_words(RICH).id
    )


def test_comments_spaces_and_zeros_leave_the_id():
    plain = "name: a\ntarget: {kind: random_labels}\nlearner: {kind: linear_separator}\n"
    axes = "axes: {d: [10], n: {low: 2, high: 30}}\n"
    bound = "success: {measure: train_error, above: 1.0}\n"
    other = f"# Why?\n\n{axes}{plain}  # so\n{bound.replace('1.0', '1.00')}"
    assert loads(plain + axes + bound).id == loads(other).id


def test_canonical_json_reads_back_to_the_same_experiment():
    spec = a_spec(question="Why?", learner={"kind": "two_layer", "batch_size": None})
    again = ExperimentSpec.from_canonical(spec.canonical, question="Why?")
    assert again == spec
    assert (again.canonical, again.id) == (spec.canonical, spec.id)
    assert loads(spec.canonical, ".json").id == spec.id


def test_an_id_is_sixteen_hexadecimal_digits_and_follows_the_revision(
    monkeypatch: pytest.MonkeyPatch,
):
    before = a_spec()
    assert len(before.id) == 16
    int(before.id, 16)
    monkeypatch.setattr(KernelRidge, "revision", 99)
    after = a_spec()
    assert after.canonical == before.canonical
    assert after.id != before.id


def test_a_canonical_text_of_an_unknown_plug_in_is_refused():
    text = a_spec().canonical.replace("kernel_ridge", "kernel_fridge")
    with pytest.raises(SpecError, match="unknown kind 'kernel_fridge'"):
        ExperimentSpec.from_canonical(text)


# Python


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"seed": float("nan")}, "seed"),
        ({"seed": {1, 2}}, "seed"),
        ({"target": object()}, "target"),
        ({"name": "half \ud800"}, "name"),
        ({"target": {"kind": "sparse_parity", "flip_rate": object()}}, "target.flip_rate"),
        ({"learner": {"kind": RandomLabels()}}, "learner.kind"),
        ({"axes": None}, "axes"),
        ({7: 1}, ""),
    ],
)
def test_words_of_other_types_are_faults_too(words: dict[Any, Any], path: str):
    with pytest.raises(SpecError) as caught:
        ExperimentSpec.from_words({**WORDS, **words})
    assert path in [fault.path for fault in caught.value.faults]


def test_something_that_is_no_mapping_is_refused():
    with pytest.raises(SpecError, match="expected a mapping of words"):
        ExperimentSpec.model_validate([1])


def test_an_experiment_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        a_spec().seed = 4


# Optuna's fields


def test_optuna_tunes_fields_by_choice_or_range():
    search = {
        "kind": "optuna",
        "fields": {"kernel": ["rbf", "ntk"], "ridge": {"low": 1e-4, "high": 1, "spacing": "log"}},
    }
    spec = a_spec(search=search)
    assert spec.search.fields["kernel"].choices == ("rbf", "ntk")
    assert (spec.search.fields["ridge"].low, spec.search.fields["ridge"].whole) == (1e-4, False)
    assert ExperimentSpec.from_canonical(spec.canonical).id == spec.id


@pytest.mark.parametrize(
    ("search", "path"),
    [
        ({"kind": "optuna"}, "search"),
        ({"kind": "grid", "fields": {"ridge": [1, 2]}}, "search"),
        ({"kind": "optuna", "fields": {"rdge": [1, 2]}}, "search.fields.rdge"),
        ({"kind": "optuna", "fields": {"ridge": [1, -2]}}, "search.fields.ridge"),
        ({"kind": "optuna", "fields": {"ridge": {"low": 2, "high": 1}}}, "search.fields.ridge"),
        ({"kind": "optuna", "fields": {"ridge": {"low": 2}}}, "search.fields.ridge"),
        ({"kind": "optuna", "fields": {"ridge": 3}}, "search.fields.ridge"),
        ({"kind": "optuna", "fields": {"kernel": ["rbf", "rfb"]}}, "search.fields.kernel"),
        ({"kind": "optuna", "sampler": "TPSampler", "fields": {"ridge": [1, 2]}}, "search.sampler"),
        (
            {"kind": "optuna", "fields": {"ridge": {"low": 1, "high": 2, "count": 2}}},
            "search.fields.ridge.count",
        ),
    ],
)
def test_fields_that_cannot_be_tuned_are_faults(search: dict[str, Any], path: str):
    with pytest.raises(SpecError) as caught:
        a_spec(search=search)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_optuna_may_choose_fields_of_the_target_and_letters():
    search = {
        "kind": "optuna",
        "sampler": "cmaes",
        "settings": {"popsize": 6},
        "fields": {"target.flip_rate": {"low": 0.0, "high": 0.4}, "learner.ridge": [0.1, 1]},
        "axes": ["d", "n"],
        "objective": "level",
    }
    spec = a_spec(search=search)
    assert spec.search.sampler == "CmaEsSampler"
    assert spec.tuned_fields(spec.arms[0]) == ("target.flip_rate", "ridge")
    assert ExperimentSpec.from_canonical(spec.canonical) == spec


# Tuning


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ({"low": 0.01, "high": 1, "spacing": "log"}, (0.01, 0.03162, 0.1, 0.3162, 1.0)),
        ({"low": 1, "high": 2, "spacing": "log"}, (1, 2)),
        ({"low": 1.0, "high": 2, "spacing": "log"}, (1.0, 1.414, 2.0)),
        ({"low": 0, "high": 1, "count": 3}, (0, 1)),
        ({"low": 0.0, "high": 1.0, "count": 3}, (0.0, 0.5, 1.0)),
        ({"low": 2, "high": 10}, (2, 4, 6, 8, 10)),
        (["b", "a", "b"], ("b", "a")),
    ],
)
def test_tuning_begins_on_a_ladder(values: Any, steps: tuple[Any, ...]):
    assert Tunable.model_validate(values).steps == steps


def test_every_arm_is_tuned_by_the_fields_that_its_learner_has():
    learners = [{"kind": "kernel_ridge"}, {"kind": "two_layer"}]
    spec = a_spec(learner=learners, tune={"ridge": [1, 2], "width": [8, 16], "depth": [1]})
    kernel, network = spec.arms
    assert [one["ridge"] for one in spec.candidates(kernel)] == [1.0, 2.0]
    assert type(spec.candidates(kernel)[0]["ridge"]) is float
    assert spec.candidates(network) == ({"width": 8}, {"width": 16})
    assert spec.tuned_fields(kernel) == ("ridge", "depth")
    assert ExperimentSpec.from_canonical(spec.canonical) == spec


def test_tuning_is_part_of_the_id_and_nothing_tuned_is_no_word():
    assert a_spec(tune={"ridge": [1, 2]}).id != a_spec().id
    assert a_spec(tune={}).id == a_spec().id
    assert a_spec().candidates(a_spec().arms[0]) == ({},)


def test_search_defaults_are_those_of_the_documentation():
    search = Search()
    assert (search.kind, search.level, search.confidence) == ("threshold", 0.5, 0.95)
    assert (search.tolerance, search.round, search.max_trials) == (0.05, 32, None)


def test_an_aim_is_read_kept_and_part_of_the_id():
    axes = {"d": [10, 20, 40], "k": 2, "n": {"low": "d", "high": "4*d"}}
    plain, aimed = (
        a_spec(axes=axes, search=words) for words in ({}, {"aim": "exponents", "tolerance": 0.05})
    )
    assert aimed.search.aim == "exponents"
    assert ExperimentSpec.from_canonical(aimed.canonical) == aimed
    assert aimed.id != plain.id
    assert '"aim"' not in plain.canonical, "sweeps recorded before the word was known keep their id"


# Budgets of designs


@pytest.mark.parametrize(
    ("kind", "most"), [("grid", 4), ("sobol", 8), ("optuna", 4), ("threshold", 1)]
)
def test_the_least_budget_that_pays_for_a_point_is_taken(kind: str, most: int):
    ridges = {"kind": "kernel_ridge", "ridge": [0.1, 1]}
    fields = {"fields": {"degree": [2, 3]}} if kind == "optuna" else {}
    search = {"kind": kind, "max_trials": most, **fields}
    assert a_spec(learner=ridges, repeats=4, search=search).search.max_trials == most


def test_theory_may_name_a_setting_that_one_of_several_kinds_takes():
    """`ridge` belongs to two learners; the value fits both or one of them."""
    entry = {"kind": "exact", "n_star": 3, "learner": {"ridge": 0.5}}
    assert a_spec(theory=entry).theory[0].learner is not None
    rows = [{"d": 10, "n_star": 3}, {"d": 10, "n_star": 3.0}, {"d": 10, "k": 2, "n_star": 4}]
    assert len(a_spec(theory={"kind": "exact", "table": rows}).theory[0].table) == 3
