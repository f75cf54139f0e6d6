"""A network trained layer by layer: its second layer by scikit-learn, its first by its neurons."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from sklearn.linear_model import Lasso, Ridge

from orchestrator.domain.learner import Outcome
from orchestrator.domain.learners.layerwise_network import LayerwiseNetwork
from orchestrator.domain.measures import directions_found, reported
from orchestrator.domain.pack import run_pack
from orchestrator.domain.readout import Moments
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.hermite_index import HermiteIndex
from orchestrator.domain.targets.ridge_sum import RidgeSum
from tests.builders import a_cell, a_problem, a_trial, trials


def moments_of(z, y, own):
    moments = Moments(torch.zeros(2, z.shape[2], dtype=torch.float64))
    for rows in (slice(0, 70), slice(70, None)):  # in two pieces
        moments.add([0, 1], z[:, rows], y[:, rows], own[:, rows])
    return moments


@pytest.mark.parametrize("penalty", ["ridge", "lasso"])
def test_the_second_layer_is_that_of_scikit_learn(penalty):
    streams = Streams(["a", "b"])
    z, noise = streams.normals(100, 6) + 0.5, streams.normals(100)
    y = z[:, :, 0] - 0.3 * z[:, :, 2] + 2.0 + 0.1 * noise
    own = torch.ones(2, 100, dtype=torch.float64)
    own[1, 80:] = 0.0
    outer, offset = moments_of(z, y, own).solved(penalty, 0.05)
    for trial, n in ((0, 100), (1, 80)):
        peer = Ridge(alpha=0.05 * n) if penalty == "ridge" else Lasso(alpha=0.05, tol=1e-12)
        peer.fit(z[trial, :n].numpy(), y[trial, :n].numpy())
        assert np.allclose(outer[trial].numpy(), peer.coef_, atol=1e-5)
        assert float(offset[trial]) == pytest.approx(peer.intercept_, abs=1e-5)


def test_without_examples_the_second_layer_is_zero():
    none = torch.zeros(2, 100, dtype=torch.float64)
    streams = Streams(["a", "b"])
    for penalty in ("ridge", "lasso"):
        moments = moments_of(streams.normals(100, 6), streams.normals(100), none)
        outer, offset = moments.solved(penalty, 0.05)
        assert not outer.any()
        assert not offset.any()


@pytest.mark.parametrize("features", ["hermite", "relu"])
@pytest.mark.parametrize("second", ["ridge", "lasso"])
def test_predictions_are_a_second_layer_on_what_the_first_layer_left_over(features, second):
    """The last quarter of 800 examples, redrawn here, with scikit-learn on numpy's features."""
    learner = LayerwiseNetwork(width=3, features=features, second=second, penalty=0.02)
    trial = a_trial(RidgeSum(), learner, d=6, n=800, k=2)
    target, point, streams = trial.cell.target, trial.cell.point, Streams([trial.key] * 2)
    concept = target.draw(point, streams.at("concept"))
    problem = a_problem(
        torch.zeros(2, 1, 6).double(), torch.zeros(2, 1).double(), [800] * 2, target
    )
    problem = type(problem)(target, point, problem.n, concept, streams, torch.float64, 1)
    fit = learner.fit(problem, streams.at("learner"))
    drawn = [problem.fresh(number, learner.rows) for number in range(4)]
    x = np.concatenate([one.x[0].numpy() for one in drawn])[600:800]
    y = np.concatenate([one.y[0].numpy() for one in drawn])[600:800]
    bias = streams.at("learner").at("bias").normals(6)[0].numpy()

    def hidden(x):
        u = x @ fit.coefficients[0].numpy().T
        if features == "relu":
            return np.maximum(u + bias, 0)
        return special.eval_hermitenorm(3, u) / math.sqrt(6)

    peer = Ridge(alpha=0.02 * 200) if second == "ridge" else Lasso(alpha=0.02, tol=1e-12)
    peer.fit(hidden(x), y)
    found = fit.predict(problem.test.x)[0].numpy()
    assert np.allclose(found, peer.predict(hidden(problem.test.x[0].numpy())), atol=1e-4)
    assert run_pack([trial])[0].measures["test_error"] == pytest.approx(
        float(((found - problem.test.y[0].numpy()) ** 2).mean())
    )


def test_neurons_find_all_directions_of_a_sum_and_the_second_layer_adds_them_up():
    """6 trials at eight times the threshold: all directions in at least five, R^2 above 0.5 on
    average. Of 120 other trials one missed a direction, so that two of six do with chance 1e-3;
    their R^2 of 0.80 (deviation 0.11) puts 0.5 at 7 standard deviations of the mean."""
    learner = LayerwiseNetwork(learning_rate=0.2, batch_size=8)
    results = run_pack(trials(a_cell(RidgeSum(), learner, d=16, n=3000, k=2), 6))
    assert sum(one.measures["directions_found"] == 1.0 for one in results) >= 5
    assert np.mean([one.measures["r_squared"] for one in results]) > 0.5


def test_relu_features_learn_a_link_that_the_first_layer_s_is_not():
    """A polynomial of exponent 1, degree 3, whose linear part has R^2 = 0.49: 6 trials above 0.7.
    120 other trials had 0.90 (deviation 0.037), at least 0.776: 5 standard deviations, 1e-6."""
    target = HermiteIndex(link="polynomial", coefficients=(0.0, 0.7, 0.5, 0.5))
    learner = LayerwiseNetwork(degree=1, features="relu", learning_rate=0.5, width=32)
    results = run_pack(trials(a_cell(target, learner, d=16, n=2000), 6))
    assert all(one.measures["r_squared"] > 0.7 for one in results)


def test_directions_are_found_up_to_sign_and_length_when_the_cosine_is_large():
    truth = torch.eye(4, dtype=torch.float64)[None, :3]
    estimates = torch.tensor([[[-5.0, 0, 0, 0], [0, 1, 0, 0.9], [0, 0, 1, 1.1]]]).double()
    assert directions_found(estimates, truth).tolist() == [pytest.approx(2 / 3)]


def test_only_targets_with_several_directions_are_asked_how_many_were_found():
    assert "directions_found" in reported(RidgeSum(), LayerwiseNetwork())
    assert "directions_found" not in reported(HermiteIndex(), LayerwiseNetwork())


def test_trials_of_other_n_that_outlive_their_mates_are_what_they_are_alone():
    learner = LayerwiseNetwork(width=2)
    together = [a_trial(RidgeSum(), learner, d=6, n=n, k=2) for n in (1, 900, 300, 1030)]
    for trial, packed in zip(together, run_pack(together), strict=True):
        assert packed.same_as(run_pack([trial])[0])


def test_a_step_without_bound_diverges_and_it_is_said():
    learner = LayerwiseNetwork(degree=10, learning_rate=1e300)
    results = run_pack(trials(a_cell(RidgeSum(degree=10), learner, d=6, n=60, k=2), 2))
    assert {one.outcome for one in results} == {Outcome.DIVERGED}
