"""Group tests and their decoders, against all subsets and the exact chances of COMP and DD."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from orchestrator.domain.learners.group_testing_decoder import GroupTestingDecoder
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.group_testing import GroupTesting
from tests.builders import a_cell, a_point, a_problem, training_examples, trials

METHODS = ("comp", "dd", "scomp")


def drawn(target, d, k, count, trials=3):
    streams = Streams([str(trial) for trial in range(trials)])
    concept = target.draw(a_point(d=d, k=k), streams.at("concept"))
    return concept, target.examples(concept, a_point(d=d, k=k), count, streams.at("train"))


def decoded(x: np.ndarray, y: np.ndarray, method: str) -> tuple[set[int], float]:
    """The accused items of one trial, and `consistent`."""
    tensors = torch.from_numpy(np.stack([x, x])), torch.from_numpy(np.stack([y, y]))
    problem = a_problem(*tensors, [len(y)] * 2, GroupTesting())
    fit = GroupTestingDecoder(method=method).fit(problem, Streams(["a", "b"]))
    assert fit.coefficients is not None
    items = set(fit.coefficients[0].nonzero()[:, 0].tolist())
    return items, float(fit.measures["consistent"][0])


def results_of(method: str, d: int, n: int, k: int, count: int, density: float = 1.0):
    target, learner = GroupTesting(density=density), GroupTestingDecoder(method=method)
    return run_pack(trials(a_cell(target, learner, d=d, n=n, k=k), count))


# The target


def test_k_items_are_defective_and_a_test_is_positive_when_it_holds_one():
    concept, examples = drawn(GroupTesting(), d=11, k=3, count=50)
    assert concept.sum(1).tolist() == [3, 3, 3]
    held = np.einsum("bnd,bd->bn", examples.x.numpy().astype(int), concept.numpy().astype(int))
    assert np.array_equal(examples.y.numpy(), held > 0)


def test_density_is_the_number_of_defectives_in_a_test():
    """A band of 5 standard deviations: a sound sampler fails with chance 6e-7."""
    concept, examples = drawn(GroupTesting(density=0.8), d=9, k=4, count=20_000)
    held = (examples.x & concept[:, None, :]).sum(2, dtype=torch.float64).mean()
    assert abs(float(held) - 0.8) < 5 * math.sqrt(0.8 * 0.8 / 60_000)


# Decoders on single trials


def sets_that_agree(x: np.ndarray, y: np.ndarray) -> list[set[int]]:
    """Every set of items that gives all outcomes, by trying all 2^d."""
    d = x.shape[1]
    every = itertools.chain.from_iterable(itertools.combinations(range(d), k) for k in range(d + 1))
    return [set(s) for s in every if np.array_equal(x[:, list(s)].any(1), y.astype(bool))]


def scomp_by_hand(x: np.ndarray, y: np.ndarray) -> set[int]:
    """The sequential decoder of Aldridge, Baldassini & Johnson, with sets of Python."""
    tests = [set(row.nonzero()[0].tolist()) for row in x]
    cleared = set().union(*[test for test, out in zip(tests, y, strict=True) if not out])
    pools = [test - cleared for test, out in zip(tests, y, strict=True) if out]
    found = set().union(*[pool for pool in pools if len(pool) == 1])
    while left := [pool for pool in pools if not pool & found and pool]:
        counts = {item: sum(item in pool for pool in left) for item in set().union(*left)}
        found.add(max(sorted(counts), key=lambda item: counts[item]))
    return found


@pytest.mark.parametrize(("d", "n", "k"), [(7, 1, 1), (7, 4, 2), (8, 9, 2), (8, 14, 3)])
def test_comp_is_the_union_and_dd_the_intersection_of_all_sets_that_agree(d, n, k):
    for trial in trials(a_cell(GroupTesting(), GroupTestingDecoder(), d=d, n=n, k=k), 12):
        examples, truth = training_examples(trial)
        x, y = examples.x.numpy(), examples.y.numpy()
        agreeing = sets_that_agree(x, y)
        assert set(truth.nonzero()[:, 0].tolist()) in agreeing
        assert decoded(x, y, "comp") == (set.union(*agreeing), 1.0)
        dd = decoded(x, y, "dd")
        assert dd == (set.intersection(*agreeing), float(dd[0] in agreeing))
        scomp = decoded(x, y, "scomp")
        assert scomp == (scomp_by_hand(x, y), 1.0)
        assert scomp[0] in agreeing


@pytest.mark.parametrize("method", METHODS)
def test_only_one_k_subset_agrees_wherever_a_decoder_recovers_a_set_of_k(method):
    pack = trials(a_cell(GroupTesting(), GroupTestingDecoder(method=method), d=9, n=15, k=2), 40)
    recovered = 0
    for trial, result in zip(pack, run_pack(pack), strict=True):
        examples, truth = training_examples(trial)
        x, y = examples.x.numpy(), examples.y.numpy()
        pairs = [
            set(pair)
            for pair in itertools.combinations(range(9), 2)
            if np.array_equal(x[:, list(pair)].any(1), y.astype(bool))
        ]
        right = decoded(x, y, method)[0] == set(truth.nonzero()[:, 0].tolist())
        assert result.measures["exact_recovery"] == right
        if right and method != "scomp":  # which guesses
            assert len(pairs) == 1
        recovered += right
    assert 5 < recovered < 40


@pytest.mark.parametrize("method", METHODS)
def test_contradictory_tests_are_decoded_as_well_as_can_be(method):
    x = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
    items, consistent = decoded(x, np.array([1, 0, 1], dtype=np.uint8), method)
    assert (items, consistent) == ({2}, 0.0)


def test_a_recovered_set_predicts_every_test():
    results = results_of("dd", d=30, n=40, k=3, count=40)
    assert sum(result.measures["exact_recovery"] for result in results) > 10
    for result in results:
        if result.measures["exact_recovery"]:
            assert result.measures["test_error"] == 0.0


# Chances


def comp_chance(d: int, n: int, k: int, density: float) -> float:
    """Exact: each item that is not defective escapes every one of the negative tests."""
    p = density / k
    negative = np.arange(n + 1)
    weight = stats.binom.pmf(negative, n, (1 - p) ** k)
    return float((weight * (1 - (1 - p) ** negative) ** (d - k)).sum())


def dd_chance(d: int, n: int, k: int, density: float) -> float:
    """Exact: every defective is, in some positive test, the only one of the possible items.

    Sums over how many tests are negative and how many others escape them; the chance that k cells
    are all hit is by inclusion and exclusion.
    """
    p, others, missed = density / k, np.arange(d - k + 1), np.arange(k + 1)
    clear = (1 - p) ** k
    chance = 0.0
    for negative, weight in enumerate(stats.binom.pmf(np.arange(n + 1), n, clear)):
        escaping = stats.binom.pmf(others, d - k, (1 - p) ** negative)
        alone = p * (1 - p) ** (k - 1) * (1 - p) ** others / (1 - clear)
        cells = np.clip(1 - missed * alone[:, None], 0, None) ** (n - negative)
        hit = ((-1.0) ** missed * special.comb(k, missed) * cells).sum(1)
        chance += weight * float((escaping * hit).sum())
    return chance


@pytest.mark.parametrize("density", [1.0, math.log(2.0)])
@pytest.mark.parametrize(("d", "n", "k"), [(64, 40, 4), (64, 55, 4), (40, 18, 2)])
@pytest.mark.parametrize(("method", "chance"), [("comp", comp_chance), ("dd", dd_chance)])
def test_recovery_is_as_frequent_as_the_formula_says(method, chance, d, n, k, density):
    """Bands of 5 standard deviations at 12 points: a sound decoder fails with chance 7e-6."""
    count = 600
    results = results_of(method, d, n, k, count, density)
    share = sum(result.measures["exact_recovery"] for result in results) / count
    right = chance(d, n, k, density)
    assert abs(share - right) <= 5 * math.sqrt(right * (1 - right) / count)


def test_scomp_recovers_whatever_dd_recovers_and_more():
    """Trial by trial, and in shares of 600: the chances of COMP and DD at 36 tests are 0.07 and
    0.50, and SCOMP's is near 0.8, so that chance changes the order less than once in 1e20.
    """
    share = {
        method: sum(r.measures["exact_recovery"] for r in results_of(method, 64, 36, 4, 600)) / 600
        for method in METHODS
    }
    assert share["comp"] < share["dd"] < share["scomp"]
    for trial in trials(a_cell(GroupTesting(), GroupTestingDecoder(), d=30, n=25, k=3), 30):
        examples, truth = training_examples(trial)
        x, y = examples.x.numpy(), examples.y.numpy()
        right = set(truth.nonzero()[:, 0].tolist())
        assert decoded(x, y, "dd")[0] <= right <= decoded(x, y, "comp")[0]
        assert decoded(x, y, "dd")[0] != right or decoded(x, y, "scomp")[0] == right
