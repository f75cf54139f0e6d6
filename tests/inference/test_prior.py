import numpy as np
import pytest

from orchestrator.inference.prior import SCALES, prior
from orchestrator.inference.threshold import Asked

CELLS = ((10, 2), (20, 2), (20, 4), (40, 4))


def asked(cells, low=5, high=500):
    return [Asked(d, k, low, high) for d, k in cells]


def test_covariances_are_positive_definite_for_every_scale():
    believed = prior(CELLS, asked(CELLS))
    assert believed.covariance.shape == (len(SCALES), 4, 4)
    assert np.linalg.eigvalsh(believed.covariance).min() > 0


def test_off_the_power_law_there_is_what_the_scale_allows():
    """Off the plane spanned by 1, log d and log k the spread is the bend's and the cells' own."""
    cells = tuple((d, 1) for d in (10, 20, 40, 80))
    believed = prior(cells, asked(cells))
    logs = np.log([float(d) for d, _ in cells])
    design = np.column_stack([np.ones(4), logs])
    off = np.eye(4) - design @ np.linalg.pinv(design)
    for number, (bend, own) in enumerate(SCALES):
        left = off @ believed.covariance[number, :4, :4] @ off
        assert 2 * own**2 * (1 - 1e-6) <= np.trace(left) <= 4 * (bend**2 + own**2)


def test_ranges_that_follow_d_place_the_mean():
    cells = ((10, 1), (40, 1))
    believed = prior(cells, [Asked(10, 1, 5, 80), Asked(40, 1, 20, 320)])
    assert np.exp(believed.mean) == pytest.approx([20, 80], rel=1e-6)


def test_a_cell_nobody_asked_for_may_lie_anywhere_in_the_ranges():
    believed = prior(((10, 1), (20, 1)), [Asked(10, 1, 5, 80)])
    assert believed.reach[1] == pytest.approx(believed.reach[0])


def test_d_and_k_that_never_change_leave_a_lone_level():
    believed = prior(((7, 3),), [Asked(7, 3, 2, 200)])
    assert believed.mean == pytest.approx([np.log(20)])
    assert believed.log_d == pytest.approx([0.0])
