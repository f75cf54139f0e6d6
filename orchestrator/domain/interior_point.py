"""Linear programs of a whole pack, by Mehrotra's predictor-corrector interior point.

Each trial has its own program in standard form and its own dual,

    minimise c'x  subject to  A x = b, x >= 0        maximise b'p  subject to  A'p + s = c, s >= 0.

There is no count of steps after which an answer is believed: the caller says which iterates prove
their own answer, and a trial that is proved is frozen there. A trial whose next iterate would not
be finite is frozen at its last one, without proof. No trial's numbers depend on another's.

Source: Mehrotra (1992), "On the implementation of a primal-dual interior point method", SIAM J.
Optim. 2(4); Wright (1997), "Primal-Dual Interior-Point Methods", chapter 10.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

RIDGE = 1e-14
"""Added to the normal matrix, relative to its largest diagonal entry: lets Cholesky pass when A has
dependent rows. Residuals are corrected at every step, so it moves no solution. Chosen by hand."""

TO_BOUNDARY = 0.995
"""Share of the way to the boundary that a step goes. Chosen by hand, within Wright's 0.9 to 1."""


class Constraints(Protocol):
    """The matrices A (B, m, N) of a pack, as what is done with them."""

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """A x: (B, N) -> (B, m)."""
        ...

    def transposed(self, p: torch.Tensor) -> torch.Tensor:
        """A'p: (B, m) -> (B, N)."""
        ...

    def normal(self, weights: torch.Tensor) -> torch.Tensor:
        """A diag(weights) A': (B, N) -> (B, m, m), fresh."""
        ...


@dataclass(frozen=True)
class Programs:
    """One program per trial, padded to a common shape.

    b is (B, m) and c is (B, N). A variable that only pads has a zero column and cost 1: it is a
    variable like any other, whose best value is 0. A constraint that only pads has a zero row and
    b = 0, and `rows` (B, m) is False there.
    """

    constraints: Constraints
    b: torch.Tensor
    c: torch.Tensor
    rows: torch.Tensor

    def repaired(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest x with A x = b, to rounding; it may dip below 0.

        Near the optimum the normal matrix is so badly conditioned that steps lose A x = b to 1e-8
        or so; a proof that rests on it looks at the repaired x.
        """
        missing = self.b - self.constraints.times(x)
        return x + self.constraints.transposed(_solved(self._plain_factor, missing))

    @cached_property
    def _plain_factor(self) -> torch.Tensor:
        return _factor(self.constraints.normal(torch.ones_like(self.c)), self.rows)[0]


@dataclass(frozen=True)
class Iterate:
    """x > 0 and s > 0, both (B, N), and p (B, m)."""

    x: torch.Tensor
    p: torch.Tensor
    s: torch.Tensor

    def where(self, keep: torch.Tensor, other: "Iterate") -> "Iterate":
        """A mixture: this iterate for the trials in `keep` (B,), the other one for the rest."""
        mine = keep[:, None]
        return Iterate(
            torch.where(mine, self.x, other.x),
            torch.where(mine, self.p, other.p),
            torch.where(mine, self.s, other.s),
        )

    def is_inside(self) -> torch.Tensor:
        """Which trials have finite numbers only, and x and s above 0: bool (B,)."""
        least, most = torch.minimum(self.x, self.s).amin(1), torch.maximum(self.x, self.s).amax(1)
        return (least > 0) & (most < torch.inf) & self.p.isfinite().all(1)


def solve(
    programs: Programs,
    start: Iterate,
    proves: Callable[[Iterate], torch.Tensor],
    steps: int,
) -> tuple[Iterate, torch.Tensor]:
    """Step every trial until its iterate proves its answer; the iterates, and which are proved.

    `proves` maps an iterate to bool (B,), each entry from that trial's numbers alone. A trial that
    is not proved after `steps` steps, or cannot step on, comes back as it is and is not proved.
    """
    now, proved = start, proves(start)
    active = start.is_inside() & ~proved
    for _ in range(steps):
        if not bool(active.any()):
            break
        after, is_sound = _stepped(programs, now)
        active = active & is_sound
        now = after.where(active, now)
        proved = torch.where(active, proves(now), proved)
        active = active & ~proved
    return now, proved


def _stepped(programs: Programs, now: Iterate) -> tuple[Iterate, torch.Tensor]:
    """One predictor-corrector step, and which trials it is sound for."""
    newton = _Newton.at(programs, now)
    products = now.x * now.s
    mu = products.mean(1, keepdim=True)
    guess = newton.direction(-products)
    ahead_x = now.x + _room(now.x, guess.x).clamp(max=1.0) * guess.x
    ahead_s = now.s + _room(now.s, guess.s).clamp(max=1.0) * guess.s
    centred = mu * ((ahead_x * ahead_s).mean(1, keepdim=True) / mu) ** 3
    step = newton.direction(centred - products - guess.x * guess.s)
    long_x = (TO_BOUNDARY * _room(now.x, step.x)).clamp(max=1.0)
    long_s = (TO_BOUNDARY * _room(now.s, step.s)).clamp(max=1.0)
    after = Iterate(now.x + long_x * step.x, now.p + long_s * step.p, now.s + long_s * step.s)
    return after, after.is_inside() & newton.exists


@dataclass(frozen=True)
class _Newton:
    """Newton's system at an iterate, reduced to the normal equations and factored."""

    programs: Programs
    now: Iterate
    weights: torch.Tensor
    factor: torch.Tensor
    exists: torch.Tensor
    missing_s: torch.Tensor
    right: torch.Tensor

    @classmethod
    def at(cls, programs: Programs, now: Iterate) -> "_Newton":
        A = programs.constraints
        weights = now.x / now.s
        factor, exists = _factor(A.normal(weights), programs.rows)
        missing_s = programs.c - A.transposed(now.p) - now.s
        right = programs.b - A.times(now.x - weights * missing_s)
        return cls(programs, now, weights, factor, exists, missing_s, right)

    def direction(self, target: torch.Tensor) -> Iterate:
        """The way towards A x = b, A'p + s = c and x * s increased by `target`."""
        A = self.programs.constraints
        wanted = target / self.now.s
        p = _solved(self.factor, self.right - A.times(wanted))
        s = self.missing_s - A.transposed(p)
        return Iterate(x=wanted - self.weights * s, p=p, s=s)


def _factor(matrix: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cholesky factors of normal matrices, which are overwritten, and which trials have one."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    largest = diagonal.amax(1, keepdim=True)
    diagonal.add_(torch.where(rows, RIDGE * largest, 1.0))
    factor, info = torch.linalg.cholesky_ex(matrix)
    return factor, info == 0


def _solved(factor: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]


def _room(value: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Largest step that keeps value + step * change >= 0 for value > 0: (B, 1), may be infinite."""
    steepest = (-change / value).amax(1, keepdim=True)
    return torch.where(steepest > 0, 1.0 / steepest, torch.inf)
