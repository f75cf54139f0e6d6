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
        """A diag(weights) A': (B, N) -> (B, m, m)."""
        ...


@dataclass(frozen=True)
class Programs:
    """One program per trial, padded to a common shape.

    b is (B, m) and c is (B, N). `live` (B, N) marks the variables that exist, `rows` (B, m) the
    constraints that exist; elsewhere A, b and c must be zero.
    """

    constraints: Constraints
    b: torch.Tensor
    c: torch.Tensor
    live: torch.Tensor
    rows: torch.Tensor

    def repaired(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest x with A x = b, to rounding; it may dip below 0.

        Near the optimum the normal matrix is so badly conditioned that steps lose A x = b to 1e-8
        or so; a proof that rests on it looks at the repaired x.
        """
        missing = self.b - self.constraints.times(x)
        solved = torch.cholesky_solve(missing[:, :, None], self._plain_factor)[:, :, 0]
        return torch.where(self.live, x + self.constraints.transposed(solved), 0.0)

    @cached_property
    def _plain_factor(self) -> torch.Tensor:
        matrix = self.constraints.normal(self.live.to(self.c.dtype))
        return _factor(matrix, self.rows)[0]


@dataclass(frozen=True)
class Iterate:
    """x > 0 and s > 0, both (B, N) and 1 where no variable exists, and p (B, m)."""

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

    def is_finite(self) -> torch.Tensor:
        """Which trials have finite numbers only: bool (B,)."""
        return torch.stack([t.isfinite().all(1) for t in (self.x, self.p, self.s)]).all(0)


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
    active = start.is_finite() & ~proved
    for _ in range(steps):
        if not bool(active.any()):
            break
        after, is_sound = _stepped(programs, now)
        active = active & is_sound
        now = after.where(active, now)
        proved = torch.where(active, proves(now), proved)
        active = active & ~proved
    return now, proved


@dataclass(frozen=True)
class _Direction:
    x: torch.Tensor
    p: torch.Tensor
    s: torch.Tensor


def _stepped(programs: Programs, now: Iterate) -> tuple[Iterate, torch.Tensor]:
    """One predictor-corrector step, and which trials it is sound for."""
    live = programs.live
    weights = torch.where(live, now.x / now.s, 0.0)
    factor, failed = _factor(programs.constraints.normal(weights), programs.rows)
    products = now.x * now.s
    predictor = _direction(programs, now, factor, -products)
    long_x, long_s = _room(now.x, predictor.x, live), _room(now.s, predictor.s, live)
    count = live.sum(1, keepdim=True)
    mu = _total(products, live) / count
    reached = (now.x + long_x * predictor.x) * (now.s + long_s * predictor.s)
    centring = (_total(reached, live) / count / mu) ** 3
    corrector = _direction(
        programs, now, factor, centring * mu - products - predictor.x * predictor.s
    )
    long_x = (TO_BOUNDARY * _room(now.x, corrector.x, live)).clamp(max=1.0)
    long_s = (TO_BOUNDARY * _room(now.s, corrector.s, live)).clamp(max=1.0)
    after = Iterate(
        now.x + long_x * corrector.x, now.p + long_s * corrector.p, now.s + long_s * corrector.s
    )
    positive = (after.x > 0).all(1) & (after.s > 0).all(1)
    return after, after.is_finite() & positive & ~failed


def _factor(matrix: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cholesky factors of normal matrices, which are overwritten, and the trials without one."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    largest = diagonal.amax(1, keepdim=True)
    diagonal.add_(torch.where(rows, RIDGE * largest, 1.0))
    factor, info = torch.linalg.cholesky_ex(matrix)
    return factor, info != 0


def _direction(
    programs: Programs, now: Iterate, factor: torch.Tensor, target: torch.Tensor
) -> _Direction:
    """Newton's direction towards A x = b, A'p + s = c and x * s increased by `target`."""
    A = programs.constraints
    live = programs.live
    weights = torch.where(live, now.x / now.s, 0.0)
    wanted = torch.where(live, target / now.s, 0.0)
    missing_s = torch.where(live, programs.c - A.transposed(now.p) - now.s, 0.0)
    right = programs.b - A.times(torch.where(live, now.x, 0.0))
    right = right + A.times(weights * missing_s - wanted)
    p = torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]
    s = torch.where(live, missing_s - A.transposed(p), 0.0)
    return _Direction(x=wanted - weights * s, p=p, s=s)


def _room(value: torch.Tensor, change: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
    """Largest step in [0, 1 / TO_BOUNDARY] that keeps value + step * change >= 0: (B, 1)."""
    ratio = torch.where(live & (change < 0), -value / change, 1.0 / TO_BOUNDARY)
    return ratio.amin(1, keepdim=True).clamp(max=1.0 / TO_BOUNDARY)


def _total(value: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
    return torch.where(live, value, 0.0).sum(1, keepdim=True)
