import numpy as np
import pytest
import torch

from orchestrator.domain.learners.invariant_kernel_ridge import InvariantKernelRidge
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.pack import run_pack
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.domain.targets.cyclic_polynomial import CyclicPolynomial
from tests.builders import a_cell, a_point, trials
from tests.domain.eigenlearning import necklaces, on_signs, r_squared

KERNELS = ("exp_dot", "rbf", "laplace", "polynomial", "ntk", "nngp")


def some_inputs(n, d=5, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_kernel_is_the_mean_over_shifts_of_both_inputs(kernel):
    x, z = some_inputs(4), some_inputs(3, seed=1)
    plain = KernelRidge(kernel=kernel)
    brute = torch.stack(
        [plain.gram(x.roll(i, 1), z.roll(j, 1)) for i in range(5) for j in range(5)]
    ).mean(0)
    torch.testing.assert_close(InvariantKernelRidge(kernel=kernel).gram(x, z), brute)


def test_hypotheses_do_not_change_when_coordinates_are_shifted():
    x, fresh = some_inputs(20), some_inputs(6, seed=1)
    examples = Examples(x, x[:, 0].exp())
    fit = InvariantKernelRidge().fit_one(examples, a_point(d=5, n=20), Streams(["a"]))
    assert fit.predict is not None
    torch.testing.assert_close(fit.predict(fresh.roll(2, 1)), fit.predict(fresh))


def test_it_is_the_plain_kernel_on_all_shifts_of_the_examples():
    """Augmented data and d times the ridge give the same function: each shift of an example has the
    coefficient of the example, over d."""
    x, fresh = some_inputs(8), some_inputs(6, seed=1)
    y, d = x[:, 0].exp(), 5
    all_x = torch.cat([x.roll(shift, 1) for shift in range(d)])
    found, augmented = (
        learner.fit_one(examples, a_point(d=5), Streams(["a"])).predict
        for learner, examples in (
            (InvariantKernelRidge(kernel="rbf", ridge=0.1), Examples(x, y)),
            (KernelRidge(kernel="rbf", ridge=0.1 * d), Examples(all_x, y.repeat(d))),
        )
    )
    assert found is not None
    assert augmented is not None
    torch.testing.assert_close(found(fresh), augmented(fresh), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("d", "level", "count"), [(6, 2, 3), (6, 3, 4), (4, 2, 2), (7, 3, 5)])
def test_necklaces_are_counted_once(d, level, count):
    assert necklaces(d, level) == count


@pytest.mark.parametrize(("d", "n"), [(13, 40), (17, 60)])
def test_mean_r_squared_is_what_eigenvalues_and_necklaces_predict(d, n):
    """64 trials of cubic polynomials; 5 standard errors, Student's t: chance 5e-6, and
    0.03 for finite d and n."""
    results = run_pack(trials(a_cell(CyclicPolynomial(), InvariantKernelRidge(), d, n, 3), 64))
    scores = np.array([result.measures["r_squared"] for result in results])
    predicted = r_squared(on_signs(d, np.exp, cyclic=True), n, {3: 1.0}, 1e-6)
    assert abs(scores.mean() - predicted) < 5 * scores.std(ddof=1) / 8 + 0.03
