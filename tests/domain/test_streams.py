import math

import numpy as np
import pytest
import torch
from scipy import stats

from orchestrator.domain.streams import Streams

KEYS = ("a", "b", "c")

DRAWS = {
    "normals": lambda streams, count: streams.normals(count, 5),
    "uniforms": lambda streams, count: streams.uniforms(count, 5),
    "bits": lambda streams, count: streams.bits(count, 13),
    "signs": lambda streams, count: streams.signs(count, 13),
    "flips": lambda streams, count: streams.flips(0.3, count),
    "indices": lambda streams, count: streams.indices(torch.tensor([3, 70, 9]), count, 2),
}  # fmt: skip
ROWS = [pytest.param(draw, id=name) for name, draw in DRAWS.items()]


@pytest.mark.parametrize("draw", ROWS)
def test_the_first_rows_do_not_depend_on_the_count(draw):
    few, many = draw(Streams(KEYS, "x"), 4), draw(Streams(KEYS, "x"), 33)
    assert torch.equal(few, many[:, :4])


@pytest.mark.parametrize("draw", ROWS)
def test_keys_purposes_and_draws_have_streams_of_their_own(draw):
    streams = Streams(KEYS, "x")
    drawn = [draw(streams, 40)[0], draw(streams, 40)[0], draw(Streams(KEYS, "y"), 40)[0]]
    drawn += [draw(Streams(("other", "b", "c"), "x"), 40)[0]]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_drawing_more_of_one_thing_leaves_the_next_draw_as_it_was():
    once, again = Streams(KEYS), Streams(KEYS)
    once.normals(3)
    again.normals(3000)
    assert torch.equal(once.uniforms(5), again.uniforms(5))


def test_asking_twice_for_one_purpose_gives_equal_draws():
    streams = Streams(KEYS)
    assert torch.equal(streams.at("test").normals(6), streams.at("test").normals(6))
    assert not torch.equal(streams.at("test").normals(6), streams.at("train").normals(6))


def test_one_trial_of_a_pack_draws_what_it_draws_within_it():
    streams = Streams(KEYS, "x")
    alone = streams.of(1)
    assert torch.equal(alone.normals(4), Streams(KEYS, "x").normals(4)[1:2])


def test_single_precision_is_double_precision_rounded():
    double = Streams(KEYS).normals(100)
    single = Streams(KEYS, dtype=torch.float32).normals(100)
    assert torch.equal(single, double.to(torch.float32))


def test_draws_are_the_same_today_as_when_the_first_results_were_stored():
    """Change these numbers only together with every plug-in's revision."""
    streams = Streams(("0" * 32,), "golden")
    bits = "".join(str(bit) for bit in streams.bits(1, 24).flatten().tolist())
    assert bits == "000000101101101011010101"
    assert streams.uniforms(2).flatten().tolist() == [0.5133243470008132, 0.4250049097453953]
    assert streams.normals(2).flatten().tolist() == [0.9155893479414817, 1.250219658705798]


def test_normals_and_uniforms_have_the_law_they_are_named_after():
    """Kolmogorov-Smirnov at fixed keys: a sound generator fails with chance 2e-6."""
    normals = Streams(KEYS).normals(5000).flatten().numpy()
    uniforms = Streams(KEYS).uniforms(5000).flatten().numpy()
    assert stats.kstest(normals, "norm").pvalue > 1e-6
    assert stats.kstest(uniforms, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_flips_come_at_their_rate(rate):
    """The band is 5 standard deviations: a sound sampler fails with chance 6e-7."""
    count = 30_000
    share = float((Streams(KEYS).flips(rate, count // 3) == -1).to(torch.float64).mean())
    assert abs(share - rate) <= 5 * math.sqrt(rate * (1 - rate) / count)


def test_signs_are_fair_and_unrelated_between_columns():
    """Bands of 5 standard deviations on 10 columns and 45 pairs: fails with chance 4e-5."""
    count = 20_000
    signs = Streams(("a", "b")).signs(count // 2, 10).flatten(0, 1).numpy()
    assert set(np.unique(signs)) == {-1.0, 1.0}
    moments = signs.T @ signs / count
    np.fill_diagonal(moments, signs.mean(0))
    assert np.abs(moments).max() < 5 / math.sqrt(count)


def test_subsets_are_distinct_ascending_and_every_one_as_likely():
    """Chi-squared over the 10 pairs of 5: a sound sampler fails with chance 1e-6."""
    chosen = Streams([str(key) for key in range(5000)]).subsets(5, 2).numpy()
    assert (chosen[:, 0] < chosen[:, 1]).all()
    _, counts = np.unique(chosen, axis=0, return_counts=True)
    assert len(counts) == 10
    assert stats.chisquare(counts).pvalue > 1e-6


def test_indices_stay_below_their_trials_own_bound_and_reach_all_of_it():
    drawn = Streams(KEYS).indices(torch.tensor([1, 4, 9]), 500)
    assert [sorted(set(row.tolist())) for row in drawn] == [[0], list(range(4)), list(range(9))]


def test_more_coordinates_than_a_byte_holds_are_all_drawn():
    assert Streams(KEYS).bits(200, 21).to(torch.float64).mean((0, 1)).min() > 0.3


def test_a_permutation_holds_every_number_once_and_is_its_keys_own():
    orders = Streams(KEYS).permutations(9)
    assert orders.sort(1).values.tolist() == [list(range(9))] * 3
    assert torch.equal(orders[1:2], Streams(KEYS[1:2]).permutations(9))


def test_every_number_comes_first_equally_often():
    """Chi-squared over 5 numbers of 4,000 orders: a sound sampler fails with chance 1e-6."""
    first = Streams([str(key) for key in range(4000)]).permutations(5)[:, 0]
    assert stats.chisquare(np.bincount(first.numpy(), minlength=5)).pvalue > 1e-6
