"""Gradient descent, noisy or not, and Adam, for the parameters of a whole pack."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from orchestrator.domain.batched_net import Parameters

ADAM_BETAS = (0.9, 0.999)
ADAM_EPS = 1e-8
"""Kingma & Ba (2015), arXiv:1412.6980, section 2."""


class Optimiser(Protocol):
    """Moves tensors along gradients, each at a rate of its own."""

    def step(self, tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]) -> None:
        """Change every tensor in place, given one gradient for each, which is left as it was.

        Tensors do not require gradients: of leaves that do, these are the detached views.
        """


class Sgd:
    """theta <- theta - rate * gradient, with one rate for each tensor."""

    def __init__(self, rates: Sequence[float]) -> None:
        self._rates = rates

    def step(self, tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]) -> None:
        """See `Optimiser`."""
        for tensor, gradient, rate in zip(tensors, gradients, self._rates, strict=True):
            tensor.add_(gradient, alpha=-rate)


class Adam:
    """Adam with the constants of the paper, one fused pass over every tensor.

    `first` and `second`, the moving averages of gradients and of their squares, are shaped like the
    tensors, change in place, and have seen `steps` steps.

    `torch._fused_adamw_` is what `torch.optim.AdamW(fused=True)` calls; called directly because
    the optimiser object costs half as much again at these sizes, and because the first step of any
    imports the compiler, which takes seconds in every new process. Decay is not left to it: it
    would shrink biases too, and by each tensor's rate.
    """

    def __init__(
        self,
        rates: Sequence[float],
        first: Sequence[torch.Tensor],
        second: Sequence[torch.Tensor],
        steps: int = 0,
    ) -> None:
        self._rates, self._first, self._second = rates, first, second
        self._steps = torch.full((), float(steps), device=first[0].device)

    def step(self, tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]) -> None:
        """See `Optimiser`."""
        self._steps += 1
        parts = zip(tensors, gradients, self._first, self._second, self._rates, strict=True)
        for tensor, gradient, first, second, rate in parts:
            torch._fused_adamw_(
                [tensor],
                [gradient],
                [first],
                [second],
                [],
                [self._steps],
                lr=rate,
                beta1=ADAM_BETAS[0],
                beta2=ADAM_BETAS[1],
                weight_decay=0.0,
                eps=ADAM_EPS,
                amsgrad=False,
                maximize=False,
            )


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
        self._descent, self._noise = Sgd([rate]), noise
        self._scale = math.sqrt(2.0 * temperature * rate)

    def step(self, net: Parameters, gradient: Parameters) -> None:
        """Change `net` in place. `gradient` is left as it was."""
        self._descent.step([net.flat], [gradient.flat])
        if self._scale > 0.0:
            net.flat.add_(self._noise().flat, alpha=self._scale)
