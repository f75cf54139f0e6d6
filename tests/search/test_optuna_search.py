import inspect

import optuna
import pytest

from orchestrator.domain.point import Point
from orchestrator.errors import Interrupted, RequestError
from orchestrator.ports import ArmTally
from orchestrator.search import optuna_search, proposer_for
from orchestrator.spec.samplers import SAMPLERS, sampler_named
from orchestrator.tracking import Memory
from tests.search import stepper
from tests.search.experiments import a_spec, all_rounds

FIELDS = {
    "bandwidth": {"low": 0.1, "high": 10.0, "spacing": "log"},
    "degree": {"low": 1, "high": 9},
    "kernel": ["rbf", "laplace"],
}


def a_tuning(**more):
    axes = {"d": [10], "k": 2, "n": [50, 100]}
    words = {"axes": axes, "kind": "optuna", "fields": FIELDS, "round": 8, **more}
    return a_spec(**words)


def succeed_for_small_bandwidths(rounds):
    """The tallies of those rounds if exactly settings with bandwidth below 0.5 succeed."""
    return [
        ArmTally(
            ask.arm,
            ask.point,
            (ask.tuned["bandwidth"] < 0.5) * ask.repeats,
            ask.repeats,
            tuned=ask.tuned,
        )
        for asks in rounds
        for ask in asks
    ]


def play(proposer, rounds, score=succeed_for_small_bandwidths):
    """Rounds as the loop asks for them: results of all but the last, which is pending."""
    done = []
    for number in range(rounds):
        pending = done[-1] if done else []
        done.append(proposer.propose(number, score(done[:-1]), pending))
    return done


def test_points_take_turns_and_every_ask_sets_every_field():
    rounds = play(proposer_for(a_tuning()), 3)
    assert [[ask.point.n for ask in asks] for asks in rounds] == [[50, 100, 50, 100]] * 3
    for ask in (ask for asks in rounds for ask in asks):
        assert 0.1 <= ask.tuned["bandwidth"] <= 10
        assert ask.tuned["degree"] in range(1, 10)
        assert type(ask.tuned["degree"]) is int
        assert ask.tuned["kernel"] in ("rbf", "laplace")
        assert ask.repeats == 2


def test_settings_drift_to_where_success_is():
    """A fixed seed; random settings have a bandwidth below 0.5 in 35% of cases, so more than 28 of
    the last 40 come by chance with probability 1e-6."""
    rounds = play(proposer_for(a_tuning(sampler="TPESampler", max_trials=200)), 25)
    late = [ask.tuned["bandwidth"] < 0.5 for asks in rounds[15:] for ask in asks]
    assert len(late) == 40
    assert sum(late) > 28


def test_a_round_does_not_depend_on_the_order_of_tallies_or_on_earlier_questions():
    spec = a_tuning()
    used = proposer_for(spec)
    rounds = play(used, 6)
    tallies = succeed_for_small_bandwidths(rounds[:5])
    expected = used.propose(6, tallies, rounds[5])
    assert proposer_for(spec).propose(6, tallies[::-1], rounds[5]) == expected
    assert used.propose(6, tallies, rounds[5]) == expected


def test_pending_settings_and_gaps_are_seen_but_teach_nothing_false():
    spec = a_tuning()
    lost = [
        ArmTally(0, Point(d=10, n=50, k=2), 0, 0, gaps=2, tuned=ask.tuned)
        for ask in play(proposer_for(spec), 1)[0][:2]
    ]
    assert len(proposer_for(spec).propose(2, lost, [])) == 4


@pytest.mark.parametrize(("most", "settings"), [(None, 2 * 32), (50, 25)])
def test_it_ends_with_the_settings_it_may_try(most, settings):
    proposer = proposer_for(a_tuning(max_trials=most, sampler="RandomSampler"))
    assert sum(len(asks) for asks in all_rounds(proposer)) == settings
    assert proposer.stopped_by([]) == (None if most is None else "max_trials")


# Samplers by name


SETTINGS = {
    "BruteForceSampler": {"avoid_premature_stop": True},
    "CmaEsSampler": {"popsize": 5, "use_separable_cma": True},
    "GPSampler": {"n_startup_trials": 17, "deterministic_objective": True},
    "NSGAIISampler": {"population_size": 4, "mutation_prob": 0.2},
    "NSGAIIISampler": {"population_size": 4, "dividing_parameter": 2},
    "QMCSampler": {"qmc_type": "halton", "scramble": True},
    "TPESampler": {"n_startup_trials": 3, "multivariate": True, "group": True},
}
NUMERIC = {"bandwidth": FIELDS["bandwidth"], "degree": FIELDS["degree"]}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("is_set", [False, True], ids=["plain", "set"])
def test_every_sampler_suggests_the_same_when_its_ledger_is_replayed(name, is_set):
    """Five rounds, so that what a sampler keeps between its suggestions (CMA-ES's covariance after
    five results, NSGA-II's second generation) plays a part."""
    fields = {"kernel": ["rbf", "ntk"], "depth": [1, 2, 3]} if name == "BruteForceSampler" else None
    settings = SETTINGS.get(name, {}) if is_set else {}
    axes = {"d": [10], "k": 2, "n": [50]}
    spec = a_tuning(axes=axes, sampler=name, settings=settings, fields=fields or NUMERIC)
    score = succeed_for_deep if fields else succeed_for_small_bandwidths
    rounds = play(proposer_for(spec), 5, score)
    asked = sum(map(len, rounds))
    assert asked == 6 if fields else 17 < asked <= 20, "children may equal their parents"
    for number in (2, 4, 3):
        again = proposer_for(spec).propose(number, score(rounds[: number - 1]), rounds[number - 1])
        assert again == rounds[number]


def succeed_for_deep(rounds):
    return [
        ArmTally(a.arm, a.point, a.repeats * (a.tuned["depth"] > 1), a.repeats, tuned=a.tuned)
        for asks in rounds
        for a in asks
    ]


def test_results_matter_to_a_sampler_that_keeps_state():
    """The same rounds with other results lead elsewhere, else replaying would prove nothing."""
    axes = {"d": [10], "k": 2, "n": [50]}
    spec = a_tuning(axes=axes, sampler="cmaes", settings={"popsize": 4}, fields=NUMERIC)
    rounds = play(proposer_for(spec), 4)
    one, other = (
        [
            ArmTally(a.arm, a.point, (a.tuned["degree"] > 5) == up, 1, tuned=a.tuned)
            for asks in rounds[:3]
            for a in asks
        ]
        for up in (True, False)
    )
    proposer = proposer_for(spec)
    assert proposer.propose(4, one, rounds[3]) != proposer.propose(4, other, rounds[3])


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_settings_that_a_file_may_give_are_those_of_the_installed_optuna(name):
    """Every plain setting of its constructor is known, save those named in `spec.samplers`."""
    ours = {"int": "whole", "float": "number", "bool": "truth", "str": "words"}
    deprecated = {
        "consider_pruned_trials", "sigma0", "restart_strategy", "inc_popsize",
        "consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints",
    }  # fmt: skip
    takes = {
        word: ours[annotation]
        for word, parameter in inspect.signature(getattr(optuna.samplers, name)).parameters.items()
        for annotation in [str(parameter.annotation).removesuffix(" | None")]
        if annotation in ours and not word.startswith("warn_") and word != "seed"
    }
    known = {word: "words" if isinstance(k, tuple) else k for word, k in SAMPLERS[name].items()}
    assert known == {word: kind for word, kind in takes.items() if word not in deprecated}


def test_a_sampler_goes_by_its_class_or_its_short_name():
    assert sampler_named("cmaes") == sampler_named("CmaEsSampler") == "CmaEsSampler"
    with pytest.raises(ValueError, match="did you mean 'NSGAIISampler'"):
        sampler_named("NSGA2")


def test_a_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(optuna_search, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"needs cmaes.*pip install cmaes"):
        proposer_for(a_tuning(sampler="cmaes"))


def test_settings_that_optuna_refuses_are_refused_before_anything_runs():
    with pytest.raises(RequestError, match=r"search.settings: NSGAIISampler: .*population_size"):
        proposer_for(a_tuning(sampler="nsgaii", settings={"population_size": 1}))


# Points


AXES = {"d": [10, 20, 40], "k": [1, 2], "n": {"low": "d", "high": "10*d"}}


@pytest.mark.parametrize(
    ("letters", "studies"), [(["n"], 6), (["k", "n"], 3), (["d", "n"], 2), (["d", "k", "n"], 1)]
)
def test_letters_that_are_not_chosen_are_walked(letters, studies):
    search = {"kind": "optuna", "sampler": "qmc", "axes": letters, "max_trials": 240}
    target, success = {"kind": "sparse_parity"}, {"measure": "test_accuracy", "above": 0.9}
    spec = stepper.a_spec(
        target=target, learner={"kind": "kernel_ridge"}, success=success, axes=AXES, repeats=1,
        search=search,
    )  # fmt: skip
    asks = [ask for asks in all_rounds(proposer_for(spec)) for ask in asks]
    places = {(ask.point.d, ask.point.k) for ask in asks}
    assert places == {(d, k) for d in (10, 20, 40) for k in (1, 2)}
    assert len(proposer_for(spec)._spaces) == studies
    for ask in asks:
        assert ask.point.n in spec.n_grid(spec.arms[0], ask.point.d, ask.point.k)


def test_the_level_objective_gathers_at_the_threshold():
    """Over 60% of the last 20 asks lie within a factor of 2 of n_star, where a random search puts
    30%: it would do so with chance 0.5%."""
    spec = stepper.a_spec(
        axes={"d": 10, "n": {"low": 10, "high": 1000}},
        learner={"kind": "stepper", "step": 0.1},
        repeats=8,
        search={"kind": "optuna", "axes": ["n"], "objective": "level", "max_trials": 320},
    )
    memory = stepper.answered(spec)
    n = [a.point.n for _, asks in sorted(memory.sweeps[spec.id].rounds.items()) for a in asks]
    n_star = stepper.need(10, 0.1)
    assert sum(n_star / 2 < one < n_star * 2 for one in n[-20:]) > 12


# Whole sweeps


def test_a_sweep_interrupted_and_resumed_asks_for_the_same_trials():
    spec = stepper.a_spec(
        axes={"d": [10, 30], "n": [60]},
        repeats=4,
        search={
            "kind": "optuna",
            "sampler": "cmaes",
            "fields": {"step": {"low": 0.01, "high": 1.0, "spacing": "log"}, "bend": [0.5, 1.0]},
            "max_trials": 160,
        },
    )
    whole, broken = stepper.answered(spec), Memory()
    for stop_after in (2, 4):
        calls = iter(range(10_000))
        with pytest.raises(Interrupted):
            stepper.answered(spec, broken, interrupted=lambda: next(calls) >= stop_after)  # noqa: B023
    stepper.answered(spec, broken)
    assert broken.sweeps[spec.id].rounds == whole.sweeps[spec.id].rounds
    asks = [ask for asks in whole.sweeps[spec.id].rounds.values() for ask in asks]
    assert sum(ask.repeats for ask in asks) == 160


def test_what_is_suggested_twice_is_trained_once_and_the_sweep_ends():
    spec = stepper.a_spec(
        axes={"d": 10, "n": [60]},
        repeats=2,
        search={"kind": "optuna", "fields": {"step": [0.01, 0.1, 1.0]}, "round": 4},
    )
    asks = [a for asks in stepper.answered(spec).sweeps[spec.id].rounds.values() for a in asks]
    assert sorted(ask.tuned["step"] for ask in asks) == [0.01, 0.1, 1.0]


def test_fields_of_the_target_are_chosen_too():
    spec = a_spec(
        kind="optuna",
        sampler="random",
        fields={"target.flip_rate": {"low": 0.0, "high": 0.4}},
        max_trials=8,
    )
    (asks,) = all_rounds(proposer_for(spec))
    assert all(0 <= ask.tuned["target.flip_rate"] <= 0.4 for ask in asks)
