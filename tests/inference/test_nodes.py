import numpy as np
import pytest

from orchestrator.inference.nodes import coarseness, distribution, evenly, refined, seeded


def gaussian(nodes, mean, sd):
    logs = -0.5 * ((nodes.x - mean) / sd) ** 2
    masses = np.exp(logs - logs.max(1, keepdims=True)) * nodes.weights
    return masses / masses.sum(1, keepdims=True)


@pytest.mark.parametrize("sd", [1.0, 0.05, 0.002])
def test_nodes_move_until_a_gaussian_is_integrated_exactly(sd):
    nodes = evenly(np.array([-8.0]), np.array([8.0]), 64)
    for _ in range(5):
        nodes = refined(nodes, gaussian(nodes, 0.123, sd))
    masses = gaussian(nodes, 0.123, sd)
    mean = float((masses * nodes.x).sum())
    assert mean == pytest.approx(0.123, abs=0.01 * sd)
    assert float((masses * (nodes.x - mean) ** 2).sum()) == pytest.approx(sd**2, rel=0.01)
    assert coarseness(nodes, masses)[0] < 0.4


def test_two_distant_peaks_both_keep_their_nodes():
    nodes = evenly(np.array([-8.0]), np.array([8.0]), 64)
    for _ in range(6):
        masses = 0.5 * gaussian(nodes, -3.0, 0.02) + 0.5 * gaussian(nodes, 4.0, 0.02)
        nodes = refined(nodes, masses)
    near = [np.abs(nodes.x[0] - centre) < 0.06 for centre in (-3.0, 4.0)]
    assert min(mask.sum() for mask in near) >= 8


def test_the_reach_is_always_kept():
    nodes = evenly(np.array([-8.0, 0.0]), np.array([8.0, 1.0]), 64)
    moved = refined(nodes, gaussian(nodes, 0.3, 0.01))
    np.testing.assert_allclose(moved.x[:, [0, -1]], [[-8, 8], [0, 1]])
    assert (np.diff(moved.x) >= 0).all()


def test_seeds_are_nodes_and_the_count_is_kept():
    nodes = seeded(np.array([0.0]), np.array([1.0]), 20, [np.array([0.31, 0.32, 7.0])])
    assert nodes.x.shape == (1, 20)
    assert {0.31, 0.32} <= set(nodes.x[0].tolist())
    assert nodes.weights.sum() == pytest.approx(1.0)


def test_the_distribution_runs_from_zero_to_one():
    nodes = evenly(np.array([0.0]), np.array([1.0]), 11)
    total = distribution(nodes, nodes.weights)
    np.testing.assert_allclose(total[0], nodes.x[0], atol=1e-12)
