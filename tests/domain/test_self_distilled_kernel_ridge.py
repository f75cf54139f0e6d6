import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge as Reference

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.kernel_ridge import KernelRidge
from orchestrator.domain.learners.self_distilled_kernel_ridge import SelfDistilledKernelRidge
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples
from orchestrator.errors import PluginError
from tests.builders import a_point


def some_examples(n=25, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return Examples(torch.from_numpy(rng.normal(size=(n, d))), torch.from_numpy(rng.normal(size=n)))


def predictions(learner, given, fresh):
    fit = learner.fit_one(given, a_point(d=5, n=25), Streams(["a"]))
    assert fit.outcomes == [Outcome.FITTED]
    assert fit.predict is not None
    return fit.predict(fresh)


@pytest.mark.parametrize(("steps", "mixing"), [(1, 0.3), (2, 0.3), (5, 0.3), (4, 0.0), (3, 1.0)])
def test_steps_are_fits_of_scikit_learn_to_labels_and_their_last_answers(steps, mixing):
    given, fresh = some_examples(), some_examples(seed=1).x
    x, y, labels = given.x.numpy(), given.y.numpy(), given.y.numpy()
    for _ in range(steps):
        reference = Reference(alpha=0.2, kernel="rbf", gamma=1 / 10).fit(x, labels)
        labels = mixing * y + (1 - mixing) * reference.predict(x)
    learner = SelfDistilledKernelRidge(kernel="rbf", ridge=0.2, steps=steps, mixing=mixing)
    found = predictions(learner, given, fresh).numpy()
    assert np.allclose(found, reference.predict(fresh.numpy()), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("mixing", [0.1, 0.5, 1.0])
def test_many_steps_tend_to_a_ridge_amplified_by_the_mixing(mixing):
    """Answers along an eigenvector miss the limit by a factor below (1 - mixing)^steps."""
    given, fresh = some_examples(), some_examples(seed=1).x
    settings = {"kernel": "rbf", "ridge": 0.2, "mixing": mixing}
    many = predictions(SelfDistilledKernelRidge(steps=400, **settings), given, fresh)
    limit = predictions(SelfDistilledKernelRidge(steps="infinite", **settings), given, fresh)
    amplified = predictions(KernelRidge(kernel="rbf", ridge=0.2 / mixing), given, fresh)
    torch.testing.assert_close(many, amplified, rtol=1e-10, atol=1e-12)
    assert torch.equal(limit, amplified)


def test_one_step_is_kernel_ridge_regression_bit_for_bit():
    given, fresh = some_examples(), some_examples(seed=1).x
    once = predictions(SelfDistilledKernelRidge(steps=1, ridge=0.3), given, fresh)
    assert torch.equal(once, predictions(KernelRidge(ridge=0.3), given, fresh))


def test_without_labels_answers_shrink_to_nothing():
    given, fresh = some_examples(), some_examples(seed=1).x
    sizes = [
        float(predictions(SelfDistilledKernelRidge(steps=s, mixing=0.0), given, fresh).norm())
        for s in (1, 3, 10, "infinite")
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0.0


def test_without_a_ridge_distillation_changes_nothing():
    given, fresh = some_examples(), some_examples(seed=1).x
    settings = {"kernel": "laplace", "ridge": 0.0}
    plain = predictions(KernelRidge(**settings), given, fresh)
    for steps, mixing in ((6, 0.5), ("infinite", 0.5), ("infinite", 0.0)):
        learner = SelfDistilledKernelRidge(steps=steps, mixing=mixing, **settings)
        torch.testing.assert_close(predictions(learner, given, fresh), plain)


def test_labels_that_are_not_finite_diverge_in_the_limit_too():
    given = some_examples()
    spoilt = Examples(given.x, given.y * float("nan"))
    for mixing in (0.0, 0.5):
        learner = SelfDistilledKernelRidge(steps="infinite", mixing=mixing)
        fit = learner.fit_one(spoilt, a_point(d=5, n=25), Streams(["a"]))
        assert fit.outcomes == [Outcome.DIVERGED]


def test_no_step_at_all_is_refused():
    with pytest.raises(PluginError, match="steps"):
        SelfDistilledKernelRidge.from_settings({"kind": "self_distilled_kernel_ridge", "steps": 0})
