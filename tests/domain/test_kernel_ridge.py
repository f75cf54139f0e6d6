import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from sklearn.kernel_ridge import KernelRidge as Reference

from orchestrator.domain import kernels
from orchestrator.domain.harmonics import legendre
from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.targets.spherical_harmonic import SphericalHarmonic
from orchestrator.domain.trial import Cell, Trial
from tests.domain.eigenlearning import n_star, of_kernel, on_signs, on_sphere, r_squared

KERNELS = ("exp_dot", "rbf", "laplace", "polynomial", "ntk", "nngp")


def some_examples(n: int = 30, d: int = 7, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(torch.from_numpy(rng.normal(size=(n, d))), torch.from_numpy(rng.normal(size=n)))


def fitted(learner: KernelRidge, examples: Examples):
    n, d = examples.x.shape
    return learner.fit_one(examples, Point(d=d, n=n), Streams(["key"]))


def trials(learner: KernelRidge, d: int, n: int, k: int, repeats: range) -> list[Trial]:
    cell = Cell(SparseParity(), learner, Point(d=d, n=n, k=k))
    return [Trial(cell, repeat) for repeat in repeats]


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (KernelRidge(kernel="rbf", bandwidth=0.7, ridge=0.1), {"kernel": "rbf", "gamma": "rbf"}),
        (
            KernelRidge(kernel="polynomial", degree=2, offset=0.5, ridge=0.01),
            {"kernel": "polynomial", "degree": 2, "coef0": 0.5, "gamma": "dot"},
        ),
        (KernelRidge(kernel="exp_dot", ridge=1e-3), {"kernel": "precomputed"}),
    ],
)
def test_predictions_agree_with_scikit_learn(learner, settings):
    given, fresh = some_examples(), some_examples(seed=1)
    d = given.x.shape[1]
    gammas = {"rbf": 1 / (2 * d * 0.7**2), "dot": 1 / d}
    settings = {name: gammas.get(value, value) if name == "gamma" else value
                for name, value in settings.items()}  # fmt: skip
    x, z = given.x.numpy(), fresh.x.numpy()
    if settings["kernel"] == "precomputed":
        x, z = np.exp(x @ x.T / d), np.exp(z @ x.T / d)
    reference = Reference(alpha=learner.ridge, **settings).fit(x, given.y.numpy())
    predict = fitted(learner, given).predict
    assert predict is not None
    np.testing.assert_allclose(predict(fresh.x).numpy(), reference.predict(z), rtol=1e-8, atol=1e-9)


def test_the_laplace_kernel_decays_with_euclidean_distance():
    x, z = some_examples(n=4).x, some_examples(n=5, seed=1).x
    distance = torch.linalg.vector_norm(x[:, None] - z, dim=2)
    expected = torch.exp(-distance / (math.sqrt(7) * 1.5))
    torch.testing.assert_close(kernels.laplace(x, z, 1.5), expected)


def test_the_ntk_is_the_gradient_product_of_a_wide_network():
    """2 E[relu relu] + 2 E[step step] x.z/d, the expectations integrated over the angle."""
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    z = torch.tensor([[-1.0, 1.5]], dtype=torch.float64)
    angles = [math.atan2(2.0, 1.0), math.atan2(1.5, -1.0)]
    sizes = [math.hypot(1.0, 2.0), math.hypot(-1.0, 1.5)]

    def both(direction, radial):
        # A Gaussian weight has uniform direction and mean squared length 2, here over d = 2.
        first, second = (size * math.cos(direction - angle)
                         for size, angle in zip(sizes, angles, strict=True))  # fmt: skip
        return radial(first, second) / (2 * math.pi)

    breaks = [angle + turn for angle in angles for turn in (-math.pi / 2, math.pi / 2)]
    inside = sorted(b % (2 * math.pi) for b in breaks)
    relu, _ = quad(both, 0, 2 * math.pi, points=inside,
                   args=(lambda a, b: max(a, 0) * max(b, 0),))  # fmt: skip
    step, _ = quad(both, 0, 2 * math.pi, points=inside, args=(lambda a, b: (a > 0) * (b > 0),))
    dot = float((x * z).sum()) / 2
    expected = 2 * relu * 2 / 2 + 2 * step * dot
    assert kernels.ntk(x, z, depth=1).item() == pytest.approx(expected, rel=1e-7)


def test_the_ntk_of_depth_l_is_l_plus_one_on_the_diagonal():
    x = SparseParity().examples(
        torch.tensor([[0]]), Point(d=12, n=1), 6, Streams(["key"])
    ).x[0]  # fmt: skip
    for depth in (1, 2, 5):
        diagonal = kernels.ntk(x, x, depth).diagonal()
        torch.testing.assert_close(
            diagonal, torch.full_like(diagonal, depth + 1), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("kernel", KERNELS)
def test_gram_matrices_are_symmetric_and_nonnegative(kernel):
    x = some_examples(n=25).x
    gram = KernelRidge(kernel=kernel).gram(x, x)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-7 * gram.diagonal().max()


def test_an_input_of_norm_zero_has_a_finite_ntk():
    x = torch.zeros(1, 3, dtype=torch.float64)
    z = torch.ones(2, 3, dtype=torch.float64)
    assert kernels.ntk(x, z, depth=3).abs().max() == 0.0


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_a_ridge_distinct_examples_are_interpolated(kernel):
    learner = KernelRidge(kernel=kernel, ridge=0.0, degree=6)
    fit = fitted(learner, some_examples(n=12))
    assert fit.outcomes == [Outcome.FITTED]
    assert float(fit.measures["train_error"]) < 1e-9


def test_without_a_ridge_repeated_examples_get_the_mean_of_their_labels():
    once = some_examples(n=6)
    twice = Examples(torch.cat([once.x, once.x]), torch.cat([once.y, once.y + 1.0]))
    predict = fitted(KernelRidge(kernel="rbf", ridge=0.0), twice).predict
    assert predict is not None
    torch.testing.assert_close(predict(once.x), once.y + 0.5, rtol=0, atol=1e-6)


def test_a_ridge_lost_in_rounding_still_gives_an_answer():
    once = some_examples(n=6)
    twice = Examples(torch.cat([once.x, once.x]), torch.cat([once.y, once.y]))
    predict = fitted(KernelRidge(ridge=1e-30), twice).predict
    assert predict is not None
    torch.testing.assert_close(predict(once.x), once.y, rtol=0, atol=1e-6)


def test_a_gram_matrix_that_overflows_is_a_diverged_trial():
    examples = some_examples(n=5)
    huge = Examples(examples.x * 1e6, examples.y)
    assert fitted(KernelRidge(kernel="exp_dot"), huge).outcomes == [Outcome.DIVERGED]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_trial_gives_the_same_bits_alone_and_in_any_company(kernel):
    learner = KernelRidge(kernel=kernel)
    mixed = [
        *trials(learner, d=9, n=37, k=2, repeats=range(3)),
        *trials(learner, d=9, n=61, k=2, repeats=range(2)),
        *trials(learner, d=9, n=33, k=2, repeats=range(2)),
        *trials(learner, d=5, n=20, k=2, repeats=range(2)),
    ]
    alone = {trial.key: run_pack([trial])[0] for trial in mixed}
    for company in (mixed, mixed[::-1], mixed[2:5]):
        assert all(result.same_as(alone[result.key]) for result in run_pack(company))


@pytest.mark.parametrize(
    ("d", "k", "known"),
    [(10, 2, 44.1), (15, 2, 91.6), (20, 2, 155.5), (20, 1, 16.55), (15, 3, 449)],
)
def test_the_closed_form_gives_the_thresholds_it_is_known_for(d, k, known):
    curve = lambda n: r_squared(on_signs(d, np.exp), n, {k: 1.0}, 1e-6)
    assert n_star(curve, 0.5, 2.0, 4 * math.comb(d, k)) == pytest.approx(known, rel=2e-3)


def test_eigenvalues_on_signs_are_the_products_they_are_known_to_be():
    spectrum = on_signs(12, np.exp)
    for level, (count, value) in enumerate(spectrum.levels):
        known = math.cosh(1 / 12) ** (12 - level) * math.sinh(1 / 12) ** level
        assert (count, value) == (math.comb(12, level), pytest.approx(known, rel=1e-6, abs=1e-16))


def test_eigenvalues_on_the_sphere_make_the_kernel_up():
    """The ntk of depth 2, by Gauss-Jacobi quadrature, summed over harmonics at given cosines."""
    shape = of_kernel(lambda x, z: kernels.ntk(x, z, 2))
    cosine = torch.tensor([-0.3, 0.1, 0.4], dtype=torch.float64)
    levels = enumerate(on_sphere(12, shape, deepest=40).levels)
    total = sum(count * value * legendre(12, level, cosine) for level, (count, value) in levels)
    np.testing.assert_allclose(total.numpy(), shape(cosine.numpy()), rtol=1e-6)


@pytest.mark.parametrize(("d", "n", "k"), [(15, 60, 2), (15, 92, 2), (15, 150, 2), (20, 24, 1)])
def test_mean_r_squared_on_parities_is_what_the_eigenvalues_predict(d, n, k):
    """96 trials with seed 0; the band is 5 standard errors plus 0.015 for finite d and n. A mean on
    its middle would leave 5 standard errors with chance 3e-6, by Student's t."""
    results = run_pack(trials(KernelRidge(), d=d, n=n, k=k, repeats=range(96)))
    scores = np.array([result.measures["r_squared"] for result in results])
    error = scores.std(ddof=1) / math.sqrt(len(scores))
    predicted = r_squared(on_signs(d, np.exp), n, {k: 1.0}, 1e-6)
    assert abs(scores.mean() - predicted) < 5 * error + 0.015


@pytest.mark.parametrize(("d", "n", "k"), [(20, 30, 1), (15, 136, 2), (15, 250, 2)])
def test_mean_r_squared_of_the_ntk_on_harmonics_is_what_its_eigenvalues_predict(d, n, k):
    """64 trials; the band is 5 standard errors plus 0.02 for finite d and n, as above: 5e-6."""
    cell = Cell(SphericalHarmonic(), KernelRidge(kernel="ntk", depth=2), Point(d=d, n=n, k=k))
    results = run_pack([Trial(cell, repeat) for repeat in range(64)])
    scores = np.array([result.measures["r_squared"] for result in results])
    shape = of_kernel(lambda x, z: kernels.ntk(x, z, 2))
    predicted = r_squared(on_sphere(d, shape), n, {k: 1.0}, 1e-6)
    assert abs(scores.mean() - predicted) < 5 * scores.std(ddof=1) / 8 + 0.02
