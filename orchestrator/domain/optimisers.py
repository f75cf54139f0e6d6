"""Gradient descent, noisy or not, and Adam on the flat parameters of a pack."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch

from orchestrator.domain.batched_net import Parameters

ADAM_BETAS = (0.9, 0.999)
ADAM_EPS = 1e-8
"""Kingma & Ba (2015), arXiv:1412.6980, section 2."""


class Optimiser(Protocol):
    """Moves parameters along a gradient; holds whatever it remembers of earlier ones."""

    def step(self, net: Parameters, gradient: Parameters) -> None:
        """Change `net` in place. `gradient` is left as it was."""

    def taken(self, trials: Sequence[int]) -> "Optimiser":
        """The same optimiser for some of the trials."""

    @property
    def moments(self) -> Mapping[str, Parameters]:
        """What it remembers of each trial, by name, beside the number of steps."""


class Sgd:
    """theta <- theta - rate * gradient."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def step(self, net: Parameters, gradient: Parameters) -> None:
        """See `Optimiser`."""
        net.flat.add_(gradient.flat, alpha=-self.rate)

    def taken(self, trials: Sequence[int]) -> "Sgd":
        """It remembers nothing."""
        return self

    @property
    def moments(self) -> Mapping[str, Parameters]:
        """None."""
        return {}


class Adam:
    """Adam with the constants of the paper, one fused pass over all numbers of the pack.

    `torch._fused_adamw_` is what `torch.optim.AdamW(fused=True)` calls; called directly because
    the optimiser object costs half as much again at these sizes. Decay is not left to it: it
    would shrink the biases too.
    """

    def __init__(self, rate: float, first: Parameters, second: Parameters, steps: int = 0) -> None:
        self.rate = rate
        self._first, self._second = first, second
        self._steps = torch.full((), float(steps), device=first.flat.device)

    def step(self, net: Parameters, gradient: Parameters) -> None:
        """See `Optimiser`."""
        self._steps += 1
        torch._fused_adamw_(
            [net.flat],
            [gradient.flat],
            [self._first.flat],
            [self._second.flat],
            [],
            [self._steps],
            lr=self.rate,
            beta1=ADAM_BETAS[0],
            beta2=ADAM_BETAS[1],
            weight_decay=0.0,
            eps=ADAM_EPS,
            amsgrad=False,
            maximize=False,
        )

    def taken(self, trials: Sequence[int]) -> "Adam":
        """With the moments of those trials; all have taken the same number of steps."""
        return Adam(
            self.rate,
            self._first.taken(trials),
            self._second.taken(trials),
            int(self._steps.item()),
        )

    @property
    def moments(self) -> Mapping[str, Parameters]:
        """The moving averages of the gradient and of its square."""
        return {"first moment": self._first, "second moment": self._second}


def decay(net: Parameters, d: int, factor: float) -> None:
    """Multiply both weight matrices, and neither biases nor offsets, by `factor`."""
    net.first[:, :d].mul_(factor)
    net.outer.mul_(factor)


class Langevin:
    """theta <- theta - rate * gradient + sqrt(2 temperature rate) xi, xi standard normal.

    `noise` gives a fresh xi at every step. At temperature 0 it is not asked, and the step is that
    of `Sgd` to the last bit.
    """

    def __init__(self, rate: float, temperature: float, noise: Callable[[], Parameters]) -> None:
        self._descent, self._noise = Sgd(rate), noise
        self._scale = math.sqrt(2.0 * temperature * rate)

    def step(self, net: Parameters, gradient: Parameters) -> None:
        """Change `net` in place. `gradient` is left as it was."""
        self._descent.step(net, gradient)
        if self._scale > 0.0:
            net.flat.add_(self._noise().flat, alpha=self._scale)
