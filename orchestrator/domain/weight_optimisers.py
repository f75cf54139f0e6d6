"""Gradient descent and Adam where every weight of a pack has a learning rate of its own.

Not torch.optim: its first step imports the compiler, which takes seconds in every new process.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from orchestrator.domain.optimisers import ADAM_BETAS, ADAM_EPS
from orchestrator.domain.parametrised_net import Weight


class WeightOptimiser(Protocol):
    """Moves weights along gradients."""

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """Change every leaf in place, given one gradient for each."""


class WeightSgd:
    """theta <- (1 - rate decay) theta - rate gradient, with rate = eta times the weight's own."""

    def __init__(self, weights: Sequence[Weight], eta: float, decay: float) -> None:
        self._weights, self._eta, self._decay = weights, eta, decay

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """See `WeightOptimiser`."""
        with torch.no_grad():
            for weight, gradient in zip(self._weights, gradients, strict=True):
                rate = self._eta * weight.rate
                if weight.decays and self._decay > 0.0:
                    weight.leaf.mul_(1.0 - rate * self._decay)
                weight.leaf.add_(gradient, alpha=-rate)


class WeightAdam:
    """Adam with the constants of Kingma & Ba (2015), and decay decoupled as in `WeightSgd`."""

    def __init__(self, weights: Sequence[Weight], eta: float, decay: float) -> None:
        self._weights, self._eta, self._decay = weights, eta, decay
        leaves = [one.leaf.detach() for one in weights]
        self._first = [torch.zeros_like(one) for one in leaves]
        self._second = [torch.zeros_like(one) for one in leaves]
        self._steps = [torch.zeros((), device=one.device) for one in leaves]

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """See `WeightOptimiser`."""
        with torch.no_grad():
            for place, (weight, gradient) in enumerate(zip(self._weights, gradients, strict=True)):
                self._steps[place] += 1
                torch._fused_adamw_(
                    [weight.leaf.detach()],
                    [gradient],
                    [self._first[place]],
                    [self._second[place]],
                    [],
                    [self._steps[place]],
                    lr=self._eta * weight.rate,
                    beta1=ADAM_BETAS[0],
                    beta2=ADAM_BETAS[1],
                    weight_decay=self._decay if weight.decays else 0.0,
                    eps=ADAM_EPS,
                    amsgrad=False,
                    maximize=False,
                )
