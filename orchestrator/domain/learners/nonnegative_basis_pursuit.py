"""Non-negative basis pursuit: the non-negative solution with the smallest sum."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.interior_point import Iterate, Programs, solve
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

FEASIBLE = 1e-9
"""|X w - y| may be this part of |y| in a proof. Far above rounding; chosen by hand."""

BELOW = 1e-9
"""An entry of w may be below 0 by this part of the largest. Far above rounding; chosen by hand."""


class NonnegativeBasisPursuit(Learner):
    """The w >= 0 of least sum with X w = y; predicts <w, x>.

    Each trial goes on until it has its own proof: any p with X'p <= 1 shows that no w >= 0 can do
    better than <y, p>, and the trial ends when its relative `duality_gap`, (sum w - <y, p>) over
    sum w, is at most `gap`. Equations that have no non-negative solution, as noise or a signal with
    signs makes them, have no such proof: the trial is out of budget, and the gap is not reported.
    With n >= d and inputs of rank d least squares leaves one w, and the gap is 0 if that solves the
    equations and is not negative.

    x is (B, N, d) real, y (B, N) real; d and n are padded to multiples of 16.

    Source: Donoho & Tanner (2005), "Sparse nonnegative solution of underdetermined linear equations
    by linear programming", PNAS 102(27); Mehrotra (1992) for the solver, see `interior_point`.
    `gap` is that of `basis_pursuit`, where it was measured.
    """

    kind: Literal["nonnegative_basis_pursuit"] = "nonnegative_basis_pursuit"
    gap: float = Field(1e-7, gt=0.0, lt=1.0, description="relative duality gap that ends a trial")
    steps: int = Field(
        60,
        ge=1,
        description="interior-point steps before a trial is out of budget; 8 to 15 are usual",
    )

    reads: ClassVar[frozenset[Labels]] = frozenset({"real"})
    reports: ClassVar[tuple[str, ...]] = ("duality_gap",)
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d) and `duality_gap` (B,)."""
        overdetermined = bool(problem.n[0] >= problem.point.d)  # the same for all, see `shape`
        w, gap = _unique(problem) if overdetermined else self._least(problem)
        return Fit(
            outcomes=[_outcome(*trial, self.gap) for trial in zip(w, gap, strict=True)],
            measures={"duality_gap": gap},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """About ten steps, each a normal matrix n x d x n and its Cholesky factor."""
        n = min(point.n, point.d)
        return 10.0 * (2.0 * n**2 * point.d + n**3 / 3.0) + 2.0 * point.d**2 * point.n

    def shape(self, point: Point) -> tuple[bool, int]:
        """N rounded up to 16, and whether least squares alone decides."""
        return point.n >= point.d, rounded_up(point.n)

    def _least(self, problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
        standard = _Standard.of(problem)
        found, _ = solve(standard.programs, standard.start, standard.within(self.gap), self.steps)
        w = standard.scale[:, None] * standard.solution(found)
        return w[:, : problem.point.d].contiguous(), standard.gap(found)


def _outcome(w: torch.Tensor, gap: torch.Tensor, wanted: float) -> Outcome:
    if not bool(w.isfinite().all()):
        return Outcome.DIVERGED
    return Outcome.FITTED if float(gap) <= wanted else Outcome.OUT_OF_BUDGET


def _unique(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Least squares for n >= d: (B, d), and gaps 0 where it is the solution, infinite elsewhere."""
    solved = [_solved_exactly(problem.own(trial)) for trial in range(len(problem))]
    gaps = [0.0 if is_solution else torch.inf for _, is_solution in solved]
    return torch.stack([w for w, _ in solved]), torch.tensor(gaps, dtype=torch.float64)


def _solved_exactly(own: Examples) -> tuple[torch.Tensor, bool]:
    w, rank = minimum_norm(own.x, own.y)
    missing = own.y - (own.x * w).sum(1)
    solves = missing.square().sum().sqrt() <= FEASIBLE * own.y.square().sum().sqrt()
    return w, rank == own.x.shape[1] and bool(solves) and bool(w.min() >= -BELOW * w.abs().max())


@dataclass(frozen=True)
class _Standard:
    """The linear program of x = w, A = X, b = y / scale and c = 1.

    X is (B, N, D), zero beyond a trial's n and beyond d; y is scaled so that the shortest solution
    of X w = y has mean absolute entry 1, which makes w = 1 a fair start.
    """

    X: torch.Tensor
    y: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor

    @classmethod
    def of(cls, problem: Problem) -> "_Standard":
        rows, d = problem.given(), problem.point.d
        X = torch.where(rows[:, :, None], problem.x, 0.0)
        X = torch.nn.functional.pad(X, (0, rounded_up(d) - d))
        columns = (torch.arange(X.shape[2], device=X.device) < d).expand(len(problem), -1)
        return cls(X, torch.where(rows, problem.y, 0.0), columns, rows)

    @cached_property
    def scale(self) -> torch.Tensor:
        shortest = self._program(self.y).repaired(torch.zeros_like(self._costs))
        mean = shortest.abs().sum(1) / self.columns.sum(1)
        return torch.where(mean > 0, mean, 1.0)

    @cached_property
    def programs(self) -> Programs:
        return self._program(self.y / self.scale[:, None])

    @cached_property
    def start(self) -> Iterate:
        """W = 1, which need not solve the equations; p = 0, which is feasible."""
        ones = self._costs
        return Iterate(x=ones, p=torch.zeros_like(self.y), s=ones)

    def solution(self, iterate: Iterate) -> torch.Tensor:
        """W of an iterate, with X w = y restored: (B, D); it may dip below 0."""
        return self.programs.repaired(iterate.x) * self.columns

    def within(self, wanted: float) -> Callable[[Iterate], torch.Tensor]:
        """Whether an iterate's gap is at most `wanted`."""
        return lambda iterate: self.gap(iterate) <= wanted

    def gap(self, iterate: Iterate) -> torch.Tensor:
        """Relative duality gap (B,) of w and p scaled to be feasible; infinite where w is not."""
        b, w = self.programs.b, self.solution(iterate)
        highest = self._constraints.transposed(iterate.p).amax(1).clamp(min=1.0)
        bound = (b * iterate.p).sum(1) / highest
        size = w.abs().sum(1)
        missing = (b - self._constraints.times(w)).square().sum(1).sqrt()
        solves = ~(missing > FEASIBLE * b.square().sum(1).sqrt())
        solves &= w.isfinite().all(1)
        is_feasible = solves & ~(w.amin(1) < -BELOW * w.abs().amax(1))
        gap = torch.where(size > 0, (size - bound).clamp(min=0.0) / size, 0.0)
        return torch.where(is_feasible, gap, torch.inf)

    @cached_property
    def _costs(self) -> torch.Tensor:
        return self.X.new_ones(len(self.X), self.X.shape[2])

    @cached_property
    def _constraints(self) -> "_Dense":
        return _Dense(self.X)

    def _program(self, b: torch.Tensor) -> Programs:
        return Programs(self._constraints, b=b, c=self._costs, rows=self.rows)


class _Dense:
    """A = X, (B, N, D)."""

    def __init__(self, X: torch.Tensor) -> None:
        self.X = X
        # A row times a matrix is four times faster than a matrix times a column, hence both.
        self.Xt = X.transpose(1, 2).contiguous()

    def times(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x[:, None, :], self.Xt)[:, 0]

    def transposed(self, p: torch.Tensor) -> torch.Tensor:
        return torch.bmm(p[:, None, :], self.X)[:, 0]

    def normal(self, weights: torch.Tensor) -> torch.Tensor:
        return torch.bmm(self.X * weights[:, None, :], self.Xt)
