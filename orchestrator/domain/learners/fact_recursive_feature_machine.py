"""Recursive feature machines whose metric obeys the features-at-convergence theorem."""

from typing import Literal

import torch
from pydantic import Field

from orchestrator.domain.feature_machine import FeatureMachine, Machine, symmetric_power


class FactRecursiveFeatureMachine(FeatureMachine):
    """Kernel ridge regression in the metric that a network's first layer would have converged to.

    A layer h -> W h of a network trained with weight decay lambda has, wherever the gradient of its
    loss vanishes,

        W'W = F,   F = -(1 / (n lambda)) sum_i (dl_i/dh) h_i'.

    Here h = x and M stands for W'W. The residuals of kernel ridge regression are -ridge alpha, so
    for the squared loss F is, up to a factor, sum_i sum_c alpha_ic (df_c/dx)(x_i) x_i'. It is
    positive semidefinite at convergence only, hence, starting from M = I, `iterations` times

        M  <-  (F F')^(1/2),   or   M  <-  (F M^2 F')^(1/4)   where `geometric`,

    which both stay where they are at M = F, scaled to trace D, the dimension of x. The second takes
    a geometric mean with the M before it and moves more slowly. All else is as in
    `recursive_feature_machine`: kernels, ridge, n, what is reported, and that the machine is judged
    after its last iteration.

    Defaults are those of `recursive_feature_machine`, so that the two are compared at one setting,
    and the first of the two rules.

    Source: Boix-Adsera, Mallinar, Simon & Belkin (2025), "FACT: a first-principles alternative to
    the Neural Feature Ansatz for how networks learn representations", arXiv:2507.05644, theorem and
    update rules for W. The trace of M is held at D here, so that the bandwidth keeps its meaning.
    """

    kind: Literal["fact_recursive_feature_machine"] = "fact_recursive_feature_machine"
    geometric: bool = Field(False, description="whether M is averaged with the one before")

    def learned(self, machine: Machine) -> torch.Tensor:
        """See `FeatureMachine`."""
        fact = machine.weighted_gradients()
        if not self.geometric:
            return symmetric_power(fact @ fact.T, 0.5)
        mixed = fact @ machine.metric
        return symmetric_power(mixed @ mixed.T, 0.25)
