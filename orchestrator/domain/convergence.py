"""How fast a loss fell: laws fitted to the losses of all steps of a descent."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.curves import DIGITS, Curve, logged_steps

POINTS = 50
"""Steps of a decade at which a power is fitted, evenly spaced in the logarithm. By hand."""


def loss_slope(losses: Sequence[float]) -> float:
    """The power of the step count by which the loss fell over its last decade of steps.

    Slope of the least squares line through log loss against log step at `POINTS` steps, evenly
    spaced in log step, from a tenth of the last step to the last; the first loss is that of
    step 1. -2 is a loss that falls like 1 / T^2. nan where fewer than ten steps were taken or a
    loss on the way is not positive and finite.
    """
    last = len(losses)
    if last < 10:
        return math.nan
    steps = np.unique(np.geomspace(last / 10, last, POINTS).round().astype(np.int64))
    return _slope(np.log(steps), _logs(np.asarray(losses)[steps - 1]))


def decay_rate(losses: Sequence[float]) -> float:
    """How much the logarithm of the loss fell per step, over the second half of its fall.

    Minus the slope of the least squares line through log loss against the step, over the steps
    after the last one at which the loss was above the geometric mean of its first and last values.
    That leaves out how a descent comes away from a small start. A loss that falls like exp(-r T)
    has rate r. nan where fewer than three steps are left or a loss is not positive and finite.
    """
    logs = _logs(np.asarray(losses, dtype=np.float64))
    above = np.flatnonzero(~(logs <= (logs[0] + logs[-1]) / 2.0)) if len(logs) else logs
    late = logs[int(above[-1]) + 1 :] if len(above) else logs
    return -_slope(np.arange(len(late), dtype=np.float64), late) if len(late) > 2 else math.nan


def loss_curve(losses: Sequence[float]) -> Curve:
    """The losses at steps 1, 2, 4, … and the last, as far as they are finite."""
    return tuple(
        (step, float(f"{losses[step - 1]:.{DIGITS}g}"))
        for step in logged_steps(len(losses))
        if math.isfinite(losses[step - 1])
    )


def _logs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms; nan for what has none."""
    return np.log(np.where((values > 0.0) & np.isfinite(values), values, np.nan))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))
