"""Laws fitted to losses: they find the power and the rate of losses that have one."""

import math

import numpy as np
import pytest

from orchestrator.domain.convergence import decay_rate, loss_curve, loss_slope


@pytest.mark.parametrize("power", [-1.0, -2.0, 0.5])
def test_the_slope_of_a_power_of_the_steps_is_its_exponent(power):
    losses = (7.0 * np.arange(1, 5001.0) ** power).tolist()
    assert loss_slope(losses) == pytest.approx(power, rel=1e-9)


def test_the_slope_is_that_of_the_last_decade_alone():
    steps = np.arange(1, 10_001.0)
    losses = np.where(steps < 1000, 5.0, 5.0 * (steps / 1000) ** -2.0).tolist()
    assert loss_slope(losses) == pytest.approx(-2.0, rel=1e-9)


def test_the_rate_of_an_exponential_is_its_rate_after_a_plateau_too():
    falling = np.exp(-0.03 * np.arange(1000))
    assert decay_rate(falling.tolist()) == pytest.approx(0.03, rel=1e-9)
    assert decay_rate([1.0] * 500 + falling.tolist()) == pytest.approx(0.03, rel=1e-9)


def test_losses_that_have_no_logarithm_give_no_number():
    assert math.isnan(loss_slope([1.0] * 20 + [math.nan] * 20))
    assert math.isnan(loss_slope([1.0] * 9))
    assert math.isnan(decay_rate([1.0, 0.5, math.inf]))
    assert math.isnan(decay_rate([0.0] * 20))


def test_a_curve_has_the_losses_before_steps_at_powers_of_two_and_the_last():
    assert loss_curve([5.0, 4.0, 3.0, 2.0, math.inf, 1.0]) == (
        (1, 5.0),
        (2, 4.0),
        (4, 2.0),
        (6, 1.0),
    )
