import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import special

from orchestrator.domain.activations import POINTWISE, activation
from orchestrator.domain.batched_net import LOSS_VALUES, padded
from orchestrator.domain.criticality import CRITICAL
from orchestrator.domain.learner import Outcome, Problem, rounded_up
from orchestrator.domain.learners.parametrised_network import ParametrisedNetwork
from orchestrator.domain.minibatches import CHUNK_STEPS, FiniteBatches
from orchestrator.domain.mixup import mixes
from orchestrator.domain.pack import run_pack
from orchestrator.domain.parametrisation import SCALINGS
from orchestrator.domain.point import Point
from orchestrator.domain.sparsity_masks import kept
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Trial

D = 8


def trial(learner: ParametrisedNetwork, repeat: int = 0, n: int = 50, d: int = D) -> Trial:
    return Trial(Cell(SparseParity(), learner, Point(d=d, n=n, k=2)), repeat)


def problem(ns: list[int], dtype=torch.float64, d: int = D) -> Problem:
    target, point = SparseParity(), Point(d=d, n=1, k=2)
    streams = Streams("abcdefgh"[: len(ns)], dtype=dtype)
    concept = target.draw(point, streams.at("concept"))
    return Problem(target, point, torch.tensor(ns), concept, streams, dtype, max(ns))


class PlainNetwork:
    """One trial by autograd, without packs or padding: weights as they count, not as they are kept.

    The gradient by a weight that counts m times is m times that by what it counts for, and its move
    counts m times: m^2 r in all for plain descent at rate r. Adam is written out from its paper.
    """

    def __init__(self, learner: ParametrisedNetwork, d: int, keys: Streams) -> None:
        net = learner.net(Point(d=d, n=1), keys)
        first, *rest = [one.value.detach()[0].clone() for one in net.weights()]
        deep, rest = rest[: learner.depth - 1], rest[learner.depth - 1 :]
        biases, (outer, offset, *shapes) = rest[: learner.depth - 1], rest[learner.depth - 1 :]
        phi = activation(learner.activation, learner.width, learner.order)
        if phi.start is not None:
            shapes = [one + phi.start for one in shapes]
        self.learner, self.phi, self.d = learner, phi, d
        leaves = [first[:d], first[d], *deep, *biases, outer, offset[:1], *shapes]
        self.leaves = [one.clone().requires_grad_() for one in leaves]
        scales = [(one.multiplier, one.rate) for one in net.weights()]
        self.scales = [scales[0], *scales]
        self.decaying = [0, *range(2, learner.depth + 1), 2 * learner.depth]
        self.moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in leaves]
        self.steps = 0
        self.mask = net.mask()[0] if learner.mask == "fixed" else torch.ones_like(first[:d])
        self.remembered = torch.ones(learner.width, dtype=torch.float64)

    def scores(self, x: torch.Tensor, training: bool = False) -> torch.Tensor:
        depth = self.learner.depth
        first, bias, *rest = self.leaves
        deep, biases = rest[: depth - 1], rest[depth - 1 : 2 * depth - 2]
        outer, offset, *shapes = rest[2 * depth - 2 :]
        z = x @ (first * self.mask) / math.sqrt(self.d) + bias
        for layer in range(depth):
            shape = shapes[layer][None] if shapes else z
            variance = z.var(0, correction=0) if training else self.remembered
            if training:  # of the last layer, which is the only one where batches normalise here
                self.remembered = 0.9 * self.remembered + 0.1 * variance.detach()
            h = self.phi.apply(z[None], shape, variance[None])[0]
            if layer < depth - 1:
                z = h @ deep[layer] + biases[layer]
        return (h @ outer + offset) * self.learner.output_scale

    def step(self, x: torch.Tensor, y: torch.Tensor, share: float, other: torch.Tensor) -> None:
        """On `share` of every example and the rest of the example in row `other`."""
        learner, value = self.learner, LOSS_VALUES[self.learner.loss]
        with torch.enable_grad():
            f = self.scores(share * x + (1 - share) * x[other], True)
            losses = share * value(f, y) + (1 - share) * value(f, y[other])
            loss = losses.mean() / learner.output_scale**2
            found = torch.autograd.grad(loss, self.leaves, allow_unused=True)
        self.steps += 1
        with torch.no_grad():
            for place in self.decaying:
                self.leaves[place] *= 1 - learner.learning_rate * learner.weight_decay
            for place, gradient in enumerate(found):
                if gradient is not None:
                    self.move(place, gradient)

    def move(self, place: int, gradient: torch.Tensor) -> None:
        multiplier, rate = self.scales[place]
        change = multiplier * gradient
        if self.learner.optimiser == "adam":
            first, second = self.moments[place]
            first.copy_(0.9 * first + 0.1 * change)
            second.copy_(0.999 * second + 0.001 * change**2)
            size = (second / (1 - 0.999**self.steps)).sqrt() + 1e-8
            change = first / (1 - 0.9**self.steps) / size
        self.leaves[place] -= self.learner.learning_rate * rate * multiplier * change


SETTINGS = [
    {},
    {"parametrisation": "standard", "learning_rate": 0.02, "loss": "squared"},
    {"parametrisation": "ntk", "loss": "hinge", "activation": "tanh", "depth": 2},
    {"parametrisation": "mean_field", "output_scale": 3.0, "activation": "gelu"},
    {"activation": "poly_relu", "learning_rate": 0.02, "order": 2},
    {"activation": "poly_norm", "depth": 2, "initialisation": "unit"},
    {"activation": "evonorm_s0", "loss": "correlation", "learning_rate": 0.05},
    {"activation": "evonorm_b0", "parametrisation": "ntk"},
    {"activation": "silu", "initialisation": "critical", "depth": 3, "learning_rate": 0.1},
    {"activation": "quadratic", "loss": "squared", "learning_rate": 0.02},
    {"weight_decay": 0.3, "initialisation": "critical", "depth": 2},
    {"optimiser": "adam", "learning_rate": 0.02, "activation": "silu"},
    {
        "optimiser": "adam", "learning_rate": 0.02, "weight_decay": 3.0, "depth": 3,
        "activation": "gelu", "initialisation": "critical",
    },
    {"mask": "fixed", "mask_kept": 1, "mask_group": 4, "weight_decay": 0.1},
    {"mixup": 1.0, "parametrisation": "ntk"},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_pack_learns_what_plain_autograd_learns_from_the_same_start_and_minibatches(settings):
    learner = ParametrisedNetwork(width=16, steps=12, batch_size=32, **settings)
    given = problem([20, 50, 33])
    streams = given.streams.at("learner")
    plain = [PlainNetwork(learner, D, streams.of(place).at("initial")) for place in range(3)]
    source = FiniteBatches(given, streams, 32, rounded_up(D + 1))
    mixtures = [
        plain_mixtures(learner, streams.of(place), n) for place, n in enumerate([20, 32, 32])
    ]
    for step, batch in enumerate(list_of_steps(source, 12)):
        for place, one in enumerate(plain):
            own = batch[2][place] > 0
            share, other = mixtures[place][step]
            one.step(batch[0][place, own, :D], batch[1][place, own], share, other)
    fit = learner.fit(given, streams)
    expected = torch.stack([one.scores(x) for one, x in zip(plain, given.test.x, strict=True)])
    torch.testing.assert_close(fit.predict(given.test.x), expected.detach(), rtol=1e-7, atol=1e-8)


def plain_mixtures(
    learner: ParametrisedNetwork, streams: Streams, used: int
) -> list[tuple[float, torch.Tensor]]:
    """Share and partners of one trial's steps, whose batches have `used` of 32 rows."""
    if learner.mixup == 0.0:
        return [(1.0, torch.arange(used))] * CHUNK_STEPS
    drawn = mixes(streams.at("mixup/0"), learner.mixup, torch.tensor([used]), 32)
    return [(float(one.share[0, 0]), one.partner[0, :used]) for one in drawn]


def list_of_steps(source: FiniteBatches, steps: int):
    return [(b.x.clone(), b.y.clone(), b.weight) for b in source.chunk(0, [0, 1, 2])][:steps]


@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_mup_and_mean_field_are_one_network_written_in_two_ways(optimiser, weight_decay):
    """In exact arithmetic; Adam's epsilon counts differently in the two, hence the tolerance."""
    given = problem([40, 60])
    rate = 0.5 if optimiser == "sgd" else 0.01
    fits = [
        ParametrisedNetwork(
            parametrisation=name, steps=50, optimiser=optimiser, learning_rate=rate,
            weight_decay=weight_decay,
        ).fit(given, given.streams.at("learner"))
        for name in ("mup", "mean_field")
    ]  # fmt: skip
    one, other = (fit.predict(given.test.x) for fit in fits)
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8 if optimiser == "sgd" else 2e-3)
    assert one.std() > 0.2


def test_decay_shrinks_weights_and_neither_biases_nor_offsets_nor_shapes():
    learner = ParametrisedNetwork(
        width=16, depth=2, activation="poly_relu", initialisation="unit", parametrisation="ntk"
    )
    net = learner.net(Point(d=D, n=1), Streams(["a"]))
    for one in net.weights():
        one.leaf.data.fill_(1.0)
    net.decay(0.5)
    first, deep, bias, outer, *others = (one.leaf.detach()[0] for one in net.weights())
    assert all((one == 0.5).all() for one in (first[:D], deep, outer))
    assert all((one == 1.0).all() for one in (first[D:], bias, *others))


def test_standard_and_ntk_start_alike_but_for_the_size_of_what_they_train():
    given = problem([40, 60])
    nets = [
        ParametrisedNetwork(parametrisation=name).net(given.point, given.streams.at("initial"))
        for name in ("standard", "ntk")
    ]
    x = padded(given.test.x, 1008, 16)
    with torch.no_grad():
        torch.testing.assert_close(nets[0].scores(x), nets[1].scores(x))


def first_step(name: str, width: int, optimiser: str) -> tuple[float, float]:
    """By how much one step moves preactivations and outputs, root mean squares over 8 networks."""
    learner = ParametrisedNetwork(
        parametrisation=name, width=width, optimiser=optimiser, learning_rate=0.1, steps=1,
        loss="correlation", batch_size=None,
    )  # fmt: skip
    given = problem([64] * 8)
    streams = given.streams.at("learner")
    start = learner.net(given.point, streams.at("initial"))
    fit = learner.fit(given, streams)
    with torch.no_grad():
        x = padded(given.test.x, 1008, 16)
        moved = fit.predict(given.test.x) - start.scores(x)[:, :1000]
    return float(fit.measures["weight_change"].mean()), float(moved.square().mean().sqrt())


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("name", "weights", "outputs"),
    [("mup", 0.0, 0.0), ("mean_field", 0.0, 0.0), ("ntk", -0.5, 0.0)],
)
def test_one_step_moves_features_and_outputs_by_the_powers_of_width_that_are_claimed(
    name, weights, outputs, optimiser
):
    """Powers between widths 64 and 1,024, over 8 networks. In six other draws they scattered by
    0.012 for weights and 0.01 for outputs at most: 8 and 15 standard deviations, 1e-15."""
    near, far = (first_step(name, width, optimiser) for width in (64, 1024))
    powers = [math.log(b / a) / math.log(16) for a, b in zip(near, far, strict=True)]
    assert abs(powers[0] - weights) < 0.1
    assert abs(powers[1] - outputs) < 0.15


def test_a_step_of_the_standard_parametrisation_grows_with_width():
    """In six other draws the ratio was 16^0.955, the power scattering by 0.027; the nearer end of
    the band is 7 standard deviations away, 1e-12."""
    near, far = (first_step("standard", width, "sgd") for width in (64, 1024))
    assert far[1] / near[1] == pytest.approx(16, rel=0.5)


def best_rate(name: str, width: int, rates: list[float]) -> float:
    """The rate at which the mean loss of two networks after 40 steps is least."""
    losses = []
    for rate in rates:
        learner = ParametrisedNetwork(
            parametrisation=name, width=width, learning_rate=rate, steps=40, loss="squared"
        )
        fit = learner.fit(given := problem([64] * 2, torch.float32), given.streams.at("learner"))
        last = [curve["train_loss"] for curve in fit.curves]
        ends = [one[-1][1] if one and one[-1][0] == 40 else math.inf for one in last]
        losses.append(sum(ends))
    return rates[int(np.argmin(losses))]


def test_the_best_learning_rate_is_the_same_at_any_width_for_mup_and_falls_for_standard():
    """A grid in factors of four, widths 64 and 512: 512 / 64 = 8 is 1.5 of its steps. In 19
    other draws all four best rates were the same: a false alarm below 15% with 95% confidence."""
    grid = [4.0**power for power in range(-5, 3)]
    assert best_rate("mup", 64, grid) == best_rate("mup", 512, grid)
    assert best_rate("standard", 512, grid) <= best_rate("standard", 64, grid) / 4


# Criticality


def gaussian_mean(function, variance: float) -> float:
    """By the trapezoidal rule, exact to rounding for what is smooth on the whole line."""
    u = np.linspace(-12, 12, 2001)
    weights = np.exp(-u * u / 2)
    return float((function(u * math.sqrt(variance)) * weights).sum() / weights.sum())


PHI = {
    "gelu": (lambda z: z * special.ndtr(z),
             lambda z: special.ndtr(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)),
    "silu": (lambda z: z * special.expit(z),
             lambda z: special.expit(z) * (1 + z * special.expit(-z))),
}  # fmt: skip


@pytest.mark.parametrize("name", PHI)
def test_at_the_fixed_point_variance_stays_and_both_susceptibilities_are_one(name):
    phi, slope = PHI[name]
    weight, bias, at = CRITICAL[name]
    assert bias + weight * gaussian_mean(lambda z: phi(z) ** 2, at) == pytest.approx(at, rel=1e-6)
    parallel = weight * gaussian_mean(lambda z: z * phi(z) * slope(z), at) / at
    assert parallel == pytest.approx(1.0, abs=1e-6)
    assert weight * gaussian_mean(lambda z: slope(z) ** 2, at) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "parametrisation"), [*((one, "mup") for one in CRITICAL), ("relu", "ntk")]
)
def test_preactivations_of_critical_networks_have_the_variances_of_the_closed_form(
    name, parametrisation
):
    """Four layers of 256 units, 32 networks, inputs with |x|^2 = d. In ten other draws the layers
    scattered by 0.5%, 1%, 1.9% and 3.4% at most; 5 standard deviations: 1e-6."""
    learner = ParametrisedNetwork(
        width=256, depth=4, activation=name, initialisation="critical",
        parametrisation=parametrisation,
    )  # fmt: skip
    streams = Streams([str(one) for one in range(32)])
    net = learner.net(Point(d=15, n=1), streams)
    with torch.no_grad():
        layers = net.hidden(padded(streams.at("x").signs(16, 15), 16, 16))[:-1]
    weight, bias, _ = CRITICAL[name]
    phi = POINTWISE[name]
    expected = bias + weight
    for z, band in zip(layers, (0.025, 0.05, 0.1, 0.17), strict=True):
        assert float(z.square().mean()) == pytest.approx(expected, rel=band)
        expected = bias + weight * gaussian_mean(
            lambda z: phi(torch.from_numpy(z)).numpy() ** 2, expected
        )


def test_relu_keeps_its_variance_when_critical_and_halves_it_at_every_layer_when_not():
    """In ten other draws of 32 networks the ratios scattered by 2.5%, together; 10% is 4 standard
    deviations: 6e-5."""
    streams = Streams([str(one) for one in range(32)])
    found = {}
    for start in ("critical", "unit"):
        learner = ParametrisedNetwork(
            width=256, depth=4, initialisation=start, parametrisation="ntk"
        )
        with torch.no_grad():
            x = padded(streams.at("x").signs(16, 15), 16, 16)
            layers = learner.net(Point(d=15, n=1), streams.at("net")).hidden(x)[:-1]
        found[start] = float(layers[3].square().mean() / layers[0].square().mean())
    assert found["critical"] == pytest.approx(1.0, abs=0.1)
    assert found["unit"] == pytest.approx(1 / 8, rel=0.1)


# Mixup and masks


def test_mixup_with_alpha_towards_zero_is_training_without_to_the_last_bit():
    none, tiny, much = (fitted(ParametrisedNetwork(steps=40, mixup=a)) for a in (0.0, 1e-5, 1.0))
    assert torch.equal(none, tiny)
    assert not torch.equal(none, much)


def fitted(learner: ParametrisedNetwork) -> torch.Tensor:
    given = problem([30, 80, 20, 64], torch.float32)
    return learner.fit(given, given.streams.at("learner")).predict(given.test.x)


def test_shares_of_mixup_follow_the_folded_beta_law_and_partners_are_permutations():
    """2,560 shares; the mean of max(s, 1 - s) for Beta(1/2, 1/2) is 1/2 + 1/pi, deviation 0.154.
    6 standard deviations: 2e-9."""
    used = torch.tensor([5, 16])
    drawn = [
        mix
        for chunk in range(40)
        for mix in mixes(Streams(["a", "b"]).at(str(chunk)), 0.5, used, 16)
    ]
    shares = torch.stack([mix.share for mix in drawn])
    assert abs(float(shares.mean()) - (0.5 + 1 / math.pi)) < 6 * 0.154 / math.sqrt(2560)
    for mix in drawn[:CHUNK_STEPS]:
        assert sorted(mix.partner[0, :5].tolist()) == list(range(5))
        assert sorted(mix.partner[1].tolist()) == list(range(16))


def test_a_mixture_is_the_convex_combination_of_examples_and_of_their_losses():
    mix = mixes(Streams(["a", "b"]), 1.0, torch.tensor([4, 4]), 4)[0]
    x = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    share, partner = float(mix.share[1, 0]), mix.partner[1]
    torch.testing.assert_close(mix.inputs(x)[1], share * x[1] + (1 - share) * x[1, partner])
    losses = mix.loss(x[..., 0], x[..., 1])
    torch.testing.assert_close(losses[1], share * x[1, :, 0] + (1 - share) * x[1, :, 1])


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (3, 3), (1, 8)])
def test_of_every_m_consecutive_weights_exactly_the_n_largest_are_kept(n, m):
    scores = torch.randn(3, 4 * m, 5, generator=torch.Generator().manual_seed(1)).abs()
    mask = kept(scores, n, m)
    groups, values = mask.view(3, 4, m, 5), scores.view(3, 4, m, 5)
    assert (groups.sum(2) == n).all()
    largest_left_out = torch.where(groups, -1.0, values).amax(2)
    assert (torch.where(groups, values, 9.0).amin(2) >= largest_left_out).all()


@pytest.mark.parametrize(("rest", "stay"), [(1, 1), (2, 2), (3, 2)])
def test_of_fewer_than_m_weights_at_the_end_all_are_kept_up_to_n(rest, stay):
    mask = kept(torch.rand(2, 8 + rest, 3, generator=torch.Generator().manual_seed(0)), 2, 4)
    assert (mask[:, 8:].sum(1) == stay).all()


@pytest.mark.parametrize("mask", ["fixed", "magnitude"])
def test_masked_networks_end_with_n_of_m_weights_that_are_not_zero(mask):
    learner = ParametrisedNetwork(steps=30, mask=mask, mask_kept=1, mask_group=4)
    net = learner.net(Point(d=D, n=1), Streams(["a", "b"], dtype=torch.float32))
    assert ((net.first_weights() != 0).view(2, 2, 4, 64).sum(2) == 1).all()
    one, other = fitted(learner), fitted(ParametrisedNetwork(steps=30))
    assert not torch.equal(one, other)


def test_a_mask_that_keeps_all_is_none():
    whole = {"mask_kept": 4, "mask_group": 4, "steps": 30}
    plain = fitted(ParametrisedNetwork(steps=30))
    assert torch.equal(fitted(ParametrisedNetwork(mask="magnitude", **whole)), plain)


@pytest.mark.parametrize(("mask", "stays"), [("fixed", True), ("magnitude", False)])
def test_a_mask_by_magnitude_follows_the_weights_and_a_fixed_one_does_not(mask, stays):
    net = ParametrisedNetwork(mask=mask).net(Point(d=D, n=1), Streams(["a", "b"]))
    before = net.mask().clone()
    net.weights()[0].leaf.data.neg_().add_(1.0)
    assert torch.equal(net.mask(), before) is stays


# Packs


COMPANY = [
    {},
    {"optimiser": "adam", "learning_rate": 0.01, "weight_decay": 0.1},
    {"activation": "evonorm_b0", "depth": 2},
    {"activation": "poly_norm", "mixup": 0.4},
    {"activation": "evonorm_s0", "mask": "magnitude", "batch_size": 16},
    {"activation": "silu", "initialisation": "critical", "depth": 3, "batch_size": None},
]


@pytest.mark.parametrize("settings", COMPANY, ids=str)
def test_a_trial_gives_the_same_bits_alone_and_in_any_company(settings):
    learner = ParametrisedNetwork(width=16, steps=20, **settings)
    mixed = [trial(learner, repeat, n=n, d=9) for n in (7, 40, 64, 300) for repeat in (0, 1)]
    alone = {one.key: run_pack([one])[0] for one in mixed}
    for company in (mixed, mixed[::-1], mixed[1:4], mixed[3:] + mixed[:2]):
        for result in run_pack(company):
            assert result.same_as(alone[result.key])


def test_a_rate_that_is_too_large_is_an_outcome():
    learner = ParametrisedNetwork(
        parametrisation="standard", learning_rate=100.0, activation="quadratic", loss="squared",
        steps=30,
    )  # fmt: skip
    assert run_pack([trial(learner)])[0].outcome is Outcome.DIVERGED


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"parametrisation": "mean_field", "depth": 2}, "mean_field"),
        ({"initialisation": "critical", "activation": "quadratic"}, "critical"),
        ({"mask": "fixed", "mask_kept": 5}, "mask_kept"),
        ({"width": 40}, "multiple"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_in_words(settings, word):
    with pytest.raises(ValidationError, match=word):
        ParametrisedNetwork(**settings)


def test_biases_start_at_zero_and_every_parametrisation_has_three_scalings():
    net = ParametrisedNetwork().net(Point(d=D, n=1), Streams(["a"]))
    assert net.weights()[0].leaf[:, D].count_nonzero() == 0
    assert set(SCALINGS) == {"standard", "ntk", "mup", "mean_field"}
