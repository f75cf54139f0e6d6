"""Linear separator: a hyperplane through the origin, or a proof that none separates."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.interior_point import Iterate, Programs, solve
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Labels

TOLERANCE = 1e-9
"""Margins are told from 0 down to this part of their mean. Far above rounding (1e-13 at d = 100)
and far below what chance makes: Gaussian points come this close once in 10^8. Chosen by hand."""


class LinearSeparator(Learner):
    """w with y_i <w, x_i> > 0 for all i, or a proof that there is none; predicts <w, x>.

    With z_i = y_i x_i / max_j |x_ij|, whoever separates has mean(Z) w > 0, so w is sought on the
    slice mean(Z) w = 1, where the smallest margin is bounded: maximise t subject to Z w >= t there.
    The interior point stops as soon as either holds:

    - min Z w > 0: w separates, and `train_error` is 0;
    - the dual has lambda >= 0, adding up to n, with Z' lambda = v n mean(Z) and v < 0: then
      lambda - v is strictly positive and annihilates Z, so no w separates (Gordan's theorem).

    `train_error` is the share of the n examples with y_i <w, x_i> <= 0, and above 0 exactly when
    the examples are not separable; it is that of the w found, not the least possible one. Margins
    below 1e-9 of their mean count as 0, so examples that can only be weakly separated count as not
    separable. A trial without proof after `steps` steps is out of budget and has no `train_error`.

    x is (B, N, d) real, y (B, N) of ±1; d and n are padded to multiples of 16.

    Source: Cover (1965), IEEE Trans. Electronic Computers EC-14, for what is counted; Gordan (1873)
    for the alternative; Mehrotra (1992) for the solver, see `interior_point`.
    """

    kind: Literal["linear_separator"] = "linear_separator"
    steps: int = Field(
        200,
        ge=1,
        description="interior-point steps before a trial is out of budget; 5 to 15 are usual",
    )

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d) and `train_error` (B,), nan where nothing is proved."""
        sliced = _Slice(_signed(problem), problem.given())
        found, proved = solve(sliced.programs, sliced.start, sliced.proves, self.steps)
        proved = proved | ~sliced.has_slice
        w = torch.where(sliced.has_slice[:, None], sliced.direction(found), 0.0)
        error = sliced.error(w, separates=sliced.separates(found) & sliced.has_slice)
        finite = sliced.Z.isfinite().flatten(1).all(1)
        w = w[:, : problem.point.d].contiguous()
        return Fit(
            outcomes=[_outcome(*trial) for trial in zip(finite, proved, strict=True)],
            measures={"train_error": torch.where(finite & proved, error, torch.nan)},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """About ten steps, each a normal matrix d x n x d and its Cholesky factor."""
        return 10.0 * (2.0 * point.n * point.d**2 + point.d**3 / 3.0)


def _outcome(is_finite: torch.Tensor, is_proved: torch.Tensor) -> Outcome:
    if not bool(is_finite):
        return Outcome.DIVERGED
    return Outcome.FITTED if bool(is_proved) else Outcome.OUT_OF_BUDGET


def _signed(problem: Problem) -> torch.Tensor:
    """Z (B, N, D): rows y_i x_i of largest entry 1, zero beyond a trial's n; zero beyond d."""
    own = torch.where(problem.given()[:, :, None], problem.x * problem.y[:, :, None], 0.0)
    largest = own.abs().amax(2, keepdim=True)
    own = own / torch.where(largest > 0, largest, 1.0)
    d = problem.point.d
    return torch.nn.functional.pad(own, (0, rounded_up(d) - d))


@dataclass(frozen=True)
class _Slice:
    """The linear program on the slice mean(Z) w = 1.

    H is the reflection that takes mean(Z) to the first axis, so w = H a has a_0 fixed by the slice
    and u = a_1.. free. In standard form p = (t, u), the rows of A are 1 and -(Z H)_1.., c is
    Z H a at u = 0, and x is lambda, scaled to add up to n.
    """

    Z: torch.Tensor
    given: torch.Tensor

    @cached_property
    def n(self) -> torch.Tensor:
        return self.given.sum(1)

    @cached_property
    def mean(self) -> torch.Tensor:
        return self.Z.transpose(1, 2).contiguous().sum(2) / self.n[:, None]

    @cached_property
    def has_slice(self) -> torch.Tensor:
        """Whether mean(Z) is not 0; if it is, nothing separates."""
        return self.mean.abs().amax(1) > TOLERANCE

    @cached_property
    def normal(self) -> torch.Tensor:
        """mean(Z), or the first axis where that is 0: (B, D)."""
        first = torch.zeros_like(self.mean)
        first[:, 0] = 1.0
        return torch.where(self.has_slice[:, None], self.mean, first)

    @cached_property
    def mirror(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit v (B, D) with H = 1 - 2 v v', and a_0 (B,)."""
        length = self.normal.square().sum(1).sqrt()
        sign = torch.where(self.normal[:, 0] < 0, -1.0, 1.0)
        v = self.normal.clone()
        v[:, 0] += sign * length
        return v / v.square().sum(1, keepdim=True).sqrt(), -sign / length

    def reflected(self, a: torch.Tensor) -> torch.Tensor:
        """H a: (B, D)."""
        v, _ = self.mirror
        return a - 2.0 * v * (a * v).sum(1, keepdim=True)

    @cached_property
    def programs(self) -> Programs:
        v, first = self.mirror
        ZH = self.Z - 2.0 * (self.Z * v[:, None, :]).sum(2, keepdim=True) * v[:, None, :]
        c = torch.where(self.given, ZH[:, :, 0] * first[:, None], 1.0)
        At = -ZH
        At[:, :, 0] = self.given.to(At.dtype)
        b = torch.zeros_like(self.mean)
        b[:, 0] = self.n.to(b.dtype)
        rows = At.abs().amax(1) > 0
        return Programs(_Dense(At), b=b, c=c, rows=rows)

    @cached_property
    def start(self) -> Iterate:
        """Feasible on both sides: lambda = 1, u = 0, t one below the smallest margin."""
        c = self.programs.c
        t = torch.where(self.given, c, torch.inf).amin(1) - 1.0
        p = torch.zeros_like(self.mean)
        p[:, 0] = t
        s = torch.where(self.given, c - t[:, None], 1.0)
        return Iterate(x=torch.ones_like(c), p=p, s=s)

    def direction(self, iterate: Iterate) -> torch.Tensor:
        """W of an iterate: (B, D)."""
        a = iterate.p.clone()
        a[:, 0] = self.mirror[1]
        return self.reflected(a)

    def margins(self, w: torch.Tensor) -> torch.Tensor:
        """Z w: (B, N)."""
        return (self.Z * w[:, None, :]).sum(2)

    def separates(self, iterate: Iterate) -> torch.Tensor:
        """Whether w has every margin above 0: bool (B,)."""
        margins = self.margins(self.direction(iterate))
        return (margins > TOLERANCE).logical_or(~self.given).all(1)

    def proves(self, iterate: Iterate) -> torch.Tensor:
        """Whether an iterate settles separability, either way: bool (B,)."""
        programs = self.programs
        dual = torch.where(self.given, programs.repaired(iterate.x), 0.0)
        bound = (programs.c * dual).sum(1) / self.n
        missing = (programs.b - programs.constraints.times(dual)).abs().amax(1)
        least = torch.where(self.given, dual - bound[:, None], torch.inf).amin(1)
        annihilates = missing <= 1e-3 * TOLERANCE * self.n
        excluded = annihilates & (least > -TOLERANCE) & (bound < TOLERANCE)
        return excluded | self.separates(iterate)

    def error(self, w: torch.Tensor, separates: torch.Tensor) -> torch.Tensor:
        """Share of the examples with a margin of 0 or below; at least 1/n unless w separates."""
        wrong = (self.given & (self.margins(w) <= 0)).sum(1).clamp(min=1)
        return torch.where(separates, 0.0, wrong.to(torch.float64) / self.n)


class _Dense:
    """A given by its transpose (B, N, m)."""

    def __init__(self, At: torch.Tensor) -> None:
        self.At = At
        # A row times a matrix is four times faster than a matrix times a column, hence both.
        self.A = At.transpose(1, 2).contiguous()

    def times(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x[:, None, :], self.At)[:, 0]

    def transposed(self, p: torch.Tensor) -> torch.Tensor:
        return torch.bmm(p[:, None, :], self.A)[:, 0]

    def normal(self, weights: torch.Tensor) -> torch.Tensor:
        return torch.bmm(self.A * weights[:, None, :], self.At)
