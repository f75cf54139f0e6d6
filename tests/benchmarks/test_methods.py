"""Every method plays, the oracle is exact, and ours is what Optuna's users get."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from scipy.special import logsumexp
from scipy.stats import binom, norm

from benchmarks.search.curves import LEVEL
from benchmarks.search.families import problem
from benchmarks.search.methods.oracle import Cloud, Oracle
from benchmarks.search.methods.ours import OneAtATime, SixteenInFlight, UntilSettled
from benchmarks.search.methods.readings import joint_fit, logistic_fits
from benchmarks.search.methods.textbook import Bisection, Staircase
from benchmarks.search.playing import play
from benchmarks.search.problems import Problem, Trials
from benchmarks.search.registry import METHODS
from orchestrator.search import ThresholdSampler

HERE = [name for name in METHODS if not name.startswith(("aepsych", "questplus"))]


def spend(session: object, trials: Trials, outcomes: int) -> list[tuple[int, int]]:
    asked = []
    while trials.spent < outcomes and (batch := session.ask()):
        for i, n in batch:
            session.tell(i, n, trials.run(i, n))
            asked.append((i, n))
    return asked


@pytest.mark.parametrize("name", HERE)
def test_a_method_plays_and_its_record_holds_every_mark(name):
    method = METHODS[name]
    p = problem("one" if "one" in method.plan.families else "above_range", 1)
    budget = method.plan.budget(p, 10)
    record = play(method, p, budget)
    assert [int(mark) for mark in record["at"]] == ([budget] if method.plan.designed else [8, 10])
    last = record["at"][str(budget)]
    assert 8 <= last["spent"] <= budget
    assert len(last["x"]) == len(p.asked)


@pytest.mark.parametrize(
    ("family", "number", "thresholds"), [("one", 1, 1), ("not_monotone", 3, 3)]
)
def test_optunas_path_suggests_what_ours_does(family, number, thresholds):
    p = problem(family, number)
    assert len(p.asked) == thresholds
    trials = Trials(p)
    ours = spend(OneAtATime(trials), trials, 9)
    ds = [ask.d for ask in p.asked]
    asked = [({"d": ask.d}, ask.low, ask.high) for ask in p.asked]
    sampler = ThresholdSampler(n="n", context=["d"], level=LEVEL, seed=0, asked=asked)
    study, luck, suggested = optuna.create_study(sampler=sampler), Trials(p), []
    places = {"d": CategoricalDistribution(ds), "n": IntDistribution(5, 100_000, log=True)}
    for _ in range(9):
        trial = study.ask()
        i = ds.index(trial.suggest_categorical("d", places["d"].choices))
        n = trial.suggest_int("n", 5, 100_000, log=True)
        study.tell(trial, float(luck.run(i, n)))
        suggested.append((i, n))
    assert suggested == ours


def test_sixteen_are_in_flight_and_no_more():
    trials = Trials(problem("one", 0))
    session = SixteenInFlight(trials)
    spend(session, trials, 3)
    assert sum(choice.repeats for choice in session._pending()) == 15


def test_a_search_ends_when_it_is_settled():
    p = problem("above_range", 1)
    trials = Trials(p)
    session = UntilSettled(trials)
    while asked := session.ask():
        for i, n in asked:
            session.tell(i, n, trials.run(i, n))
    assert trials.spent < 200 * len(p.asked)
    assert session.estimate().status[p.odd.index("above_range")] == "above_range"


def test_the_oracles_interval_is_the_exact_one():
    """Against integration on a fine grid. Ends are good to 4% of the width by Monte Carlo."""
    p = problem("one", 2)
    trials = Trials(p)
    spend(Oracle(trials), trials, 25)
    theta = np.linspace(-5, 5, 20_001)
    m = p.law.mean[0] + p.law.basis[0, 0] * theta
    log_n, successes, counts = trials.of(0)
    chance = p.curves[0](log_n - m[:, None] + p.curves[0].log_n_star)
    logs = (
        norm.logpdf(theta) + np.log(chance) @ successes + np.log1p(-chance) @ (counts - successes)
    )
    below = np.cumsum(np.exp(logs - logsumexp(logs)))
    exact = np.interp([0.025, 0.5, 0.975], below, m)
    found = Cloud(trials, p.law).quantiles((0.025, 0.5, 0.975))[:, 0]
    assert np.abs(found - exact).max() < 0.1 * (exact[2] - exact[0])


def test_the_oracles_intervals_cover_at_their_rate():
    """60 problems of one threshold: a sound oracle fails with chance 1e-3 at most."""
    held = 0
    for number in range(60):
        p = problem("one", number)
        trials = Trials(p)
        session = Oracle(trials)
        spend(session, trials, 20)
        estimate = session.estimate()
        held += bool(estimate.low[0] <= p.curves[0].log_n_star <= estimate.high[0])
    assert held >= binom.ppf(1e-3, 60, 0.95)


def counted(p: Problem, repeats: int) -> Trials:
    """Trials with exactly the expected share of successes, on a grid."""
    trials = Trials(p)
    for i, curve in enumerate(p.curves):
        for n in np.geomspace(5, 100_000, 60).round().astype(int).tolist():
            share = float(curve(np.array(math.log(n))))
            trials.counts[i, n] = [round(share * repeats), repeats]
    return trials


def test_fits_find_the_crossing_of_exact_counts():
    p = problem("probit", 0)
    truth = [curve.log_n_star for curve in p.curves]
    trials = counted(p, 1_000)
    assert logistic_fits(trials) == pytest.approx(truth, abs=0.02)
    assert joint_fit(trials) == pytest.approx(truth, abs=0.02)


def test_a_fit_of_separable_outcomes_is_the_middle_of_the_gap():
    trials = Trials(problem("one", 0))
    trials.counts = {(0, 100): [0, 3], (0, 400): [2, 2]}
    assert logistic_fits(trials)[0] == pytest.approx(math.log(200), abs=0.02)


@pytest.mark.parametrize("method", [Staircase, Bisection])
def test_textbook_methods_close_in_on_a_jump(method):
    p = problem("integer_steps", 0)
    trials = Trials(p)
    session = method(trials)
    spend(session, trials, 40 * len(p.asked))
    truth = [np.mean(curve.truth) for curve in p.curves]
    assert session.estimate().log_n_star == pytest.approx(truth, abs=0.25)
