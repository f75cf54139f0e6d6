"""Logistic regression: maximum likelihood, and whether there is a maximum at all."""

import math
from collections.abc import Hashable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

DECREASE = 0.25
"""Part of the decrease that Newton's quadratic model promises which a step must bring (the Armijo
constant). Within Boyd & Vandenberghe's 0.01 to 0.3; chosen by hand."""

HALVINGS = 50
"""Halvings of a Newton step before it counts as broken. Chosen by hand: 2^-50 is rounding."""


class LogisticRegression(Learner):
    """The w that minimises sum_i log(1 + exp(-y_i <w, x_i>)), no intercept; predicts <w, x>.

    The minimum exists, at one w, exactly when no w other than 0 has y_i <w, x_i> >= 0 for all i.
    `exists` is 1 where it does and 0 where it does not, each by proof:

    - 0 where `linear_separator` finds a w with y_i <w, x_i> > 0 for all i;
    - 1 where Newton's decrement nu at some w is at most sqrt(rho) / (2 R), rho the least eigenvalue
      of the curvature there and R the largest |x_i|: then a minimum exists, near that w.

    Examples that can only be weakly separated, with some y_i <w, x_i> = 0, have neither; Gaussian
    inputs never are like that, sign inputs may be.

    The separator goes first. Where it proves that there is none, damped Newton steps go from w = 0
    until the proof above holds and nu^2, twice the loss that is left, is at most `tolerance` per
    example; one trial after another. Where it finds one, w is that direction and the trial is
    fitted with `exists` = 0: that the loss has no minimum is an answer. A trial with neither proof
    is out of budget and has no `exists`. `train_error` is the share of y_i <w, x_i> <= 0.

    x is (B, N, d) real, y (B, N) of ±1.

    Source: Albert & Anderson (1984), "On the existence of maximum likelihood estimates in logistic
    regression models", Biometrika 71(1); Bach (2010), "Self-concordant analysis for logistic
    regression", Electronic J. Statistics 4, proposition 2, for the proof by Newton's decrement;
    Boyd & Vandenberghe (2004), "Convex Optimization", section 9.5, for damped Newton. `tolerance`
    is above rounding by 10^4; chosen by hand.
    """

    kind: Literal["logistic_regression"] = "logistic_regression"
    tolerance: float = Field(
        1e-12, gt=0.0, lt=1.0, description="squared Newton decrement per example that ends a trial"
    )
    steps: int = Field(
        100, ge=1, description="Newton steps, and interior-point steps, before out of budget"
    )

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    reports: ClassVar[tuple[str, ...]] = ("exists", "train_error")
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d), `exists` (B,), and `train_error` (B,), the share misclassified."""
        separator = LinearSeparator(steps=self.steps).fit(problem, streams)
        assert separator.coefficients is not None
        w, exists = separator.coefficients.clone(), separator.measures["train_error"].sign()
        outcomes, errors = list(separator.outcomes), torch.full_like(exists, torch.nan)
        for trial, outcome in enumerate(separator.outcomes):
            own = problem.own(trial)
            if outcome is Outcome.FITTED and float(exists[trial]) == 1.0:
                w[trial], is_minimum = most_likely(own, self.tolerance, self.steps)
                if not is_minimum:
                    outcomes[trial], exists[trial] = Outcome.OUT_OF_BUDGET, torch.nan
            wrong = ~((own.x * w[trial]).sum(1) * own.y > 0)
            errors[trial] = wrong.to(torch.float64).mean()
        return Fit(
            outcomes=outcomes,
            measures={"exists": exists, "train_error": errors},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """That of the separator, and ten Newton steps of one Gram matrix each."""
        newton = 10.0 * (2.0 * point.n * point.d**2 + point.d**3 / 3.0)
        return LinearSeparator().work(point) + newton

    def memory_bytes(self, point: Point) -> float:
        """That of the separator."""
        return LinearSeparator().memory_bytes(point)

    def shape(self, point: Point) -> Hashable:
        """That of the separator."""
        return LinearSeparator().shape(point)


def most_likely(examples: Examples, tolerance: float, steps: int) -> tuple[torch.Tensor, bool]:
    """The w (d,) of greatest likelihood for x (n, d), y (n,), and whether it is proved."""
    signed = examples.x * examples.y[:, None]
    w = torch.zeros_like(signed[0])
    loss = len(signed) * math.log(2.0)
    for _ in range(steps):
        doubt = torch.sigmoid(-(signed * w).sum(1))
        curvature = (signed * (doubt * (1.0 - doubt))[:, None]).T @ signed
        slope = (signed * doubt[:, None]).sum(0)
        factor, broken = torch.linalg.cholesky_ex(curvature)
        if int(broken):
            return w, False
        step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
        decrement = float((slope * step).sum())
        if decrement <= tolerance * len(signed) and has_minimum(signed, curvature, decrement):
            return w + step, True
        for halving in range(HALVINGS):
            share = 0.5**halving
            after = float(torch.nn.functional.softplus(-(signed * (w + share * step)).sum(1)).sum())
            if after <= loss - DECREASE * share * decrement:
                break
        else:
            return w, False
        w, loss = w + share * step, after
    return w, False


def has_minimum(signed: torch.Tensor, curvature: torch.Tensor, decrement: float) -> bool:
    """Whether the squared `decrement` proves a minimum: signed (n, d), curvature (d, d)."""
    if not bool(curvature.isfinite().all()):
        return False
    longest = float(signed.square().sum(1).max())
    least = float(torch.linalg.eigvalsh(curvature)[0])
    return 4.0 * longest * decrement <= least
