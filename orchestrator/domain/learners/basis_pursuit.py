"""Basis pursuit: the linear function with the smallest absolute sum that fits the data."""

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
from orchestrator.domain.target import Labels

FEASIBLE = 1e-9
"""|X w - y| may be this part of |y| in a proof. Far above rounding; chosen by hand."""


class BasisPursuit(Learner):
    """The w of least |w|_1 among those that minimise |X w - y|; predicts <w, x>.

    With n < d that is: minimise |w|_1 subject to X w = y. Each trial goes on until it has its own
    proof: any p with |X'p|_inf <= 1 shows that no w can do better than <y, p>, and the trial ends
    when its relative `duality_gap`, (|w|_1 - <y, p>) / |w|_1, is at most `gap`. Where that is not
    reached, because steps ran out or the equations contradict each other, the trial is out of
    budget; its last finite w and gap are reported as they are. With n >= d and inputs of rank d
    least squares leaves one w, and the gap is 0.

    x is (B, N, d) real, y (B, N) real; d and n are padded to multiples of 16.

    Source: Chen, Donoho & Saunders (1998), "Atomic decomposition by basis pursuit", SIAM J. Sci.
    Comput. 20(1), as the linear program w = u - v with u, v >= 0; Mehrotra (1992) for the solver,
    see `interior_point`. `gap` 1e-7 was measured: the normal equations seldom allow 1e-9.
    """

    kind: Literal["basis_pursuit"] = "basis_pursuit"
    gap: float = Field(1e-7, gt=0.0, lt=1.0, description="relative duality gap that ends a trial")
    steps: int = Field(
        100,
        ge=1,
        description="interior-point steps before a trial is out of budget; 8 to 15 are usual",
    )

    reads: ClassVar[frozenset[Labels]] = frozenset({"real"})
    reports: ClassVar[tuple[str, ...]] = ("duality_gap",)
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d) and `duality_gap` (B,)."""
        overdetermined = bool(problem.n[0] >= problem.point.d)  # the same for all, see `shape`
        w, gap = _unique(problem) if overdetermined else self._shortest(problem)
        return Fit(
            outcomes=[_outcome(float(one), self.gap) for one in gap],
            measures={"duality_gap": gap},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """About ten steps, each a normal matrix n x 2d x n and its Cholesky factor."""
        n = min(point.n, point.d)
        return 10.0 * (2.0 * n**2 * point.d + n**3 / 3.0) + 2.0 * point.d**2 * point.n

    def shape(self, point: Point) -> tuple[bool, int]:
        """N rounded up to 16, and whether least squares alone decides."""
        return point.n >= point.d, rounded_up(point.n)

    def _shortest(self, problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
        split = _Split.of(problem)
        found, _ = solve(split.programs, split.start, split.within(self.gap), self.steps)
        w = split.scale[:, None] * split.solution(found)
        w = w[:, : problem.point.d].contiguous()
        return w, torch.where(w.isfinite().all(1), split.gap(found), torch.nan)


def _outcome(gap: float, wanted: float) -> Outcome:
    if gap <= wanted:
        return Outcome.FITTED
    return Outcome.DIVERGED if gap != gap else Outcome.OUT_OF_BUDGET


def _unique(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Least squares for n >= d: (B, d), and gaps 0 where it is unique, 1 where it is not."""
    solved = [minimum_norm(own.x, own.y) for own in map(problem.own, range(len(problem)))]
    gaps = {None: torch.nan, problem.point.d: 0.0}
    return (
        torch.stack([w for w, _ in solved]),
        torch.tensor([gaps.get(rank, 1.0) for _, rank in solved], dtype=torch.float64),
    )


@dataclass(frozen=True)
class _Split:
    """The linear program of x = (u, v), A = (X, -X), b = y / scale and c = 1.

    X is (B, N, D), zero beyond a trial's n and beyond d; y is scaled so that the shortest solution
    of X w = y has mean absolute entry 1, which makes u, v = 1 a fair start.
    """

    X: torch.Tensor
    y: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor

    @classmethod
    def of(cls, problem: Problem) -> "_Split":
        rows, d = problem.given(), problem.point.d
        X = torch.where(rows[:, :, None], problem.x, 0.0)
        X = torch.nn.functional.pad(X, (0, rounded_up(d) - d))
        columns = (torch.arange(X.shape[2], device=X.device) < d).expand(len(problem), -1)
        return cls(X, torch.where(rows, problem.y, 0.0), columns, rows)

    @cached_property
    def shortest(self) -> torch.Tensor:
        """The Euclidean shortest solution of X w = y: (B, D)."""
        return _difference(self._program(self.y).repaired(torch.zeros_like(self._costs)))

    @cached_property
    def scale(self) -> torch.Tensor:
        mean = self.shortest.abs().sum(1) / self.columns.sum(1)
        return torch.where(mean > 0, mean, 1.0)

    @cached_property
    def programs(self) -> Programs:
        return self._program(self.y / self.scale[:, None])

    @cached_property
    def start(self) -> Iterate:
        """Feasible on both sides: u - v the shortest solution, p = 0."""
        w = self.shortest / self.scale[:, None]
        x = torch.cat([w.clamp(min=0.0), (-w).clamp(min=0.0)], dim=1) + 1.0
        return Iterate(x=x, p=torch.zeros_like(self.y), s=torch.ones_like(x))

    def solution(self, iterate: Iterate) -> torch.Tensor:
        """W of an iterate, with X w = y restored: (B, D)."""
        return _difference(self.programs.repaired(iterate.x)) * self.columns

    def within(self, wanted: float) -> Callable[[Iterate], torch.Tensor]:
        """Whether an iterate's gap is at most `wanted`."""
        return lambda iterate: self.gap(iterate) <= wanted

    def gap(self, iterate: Iterate) -> torch.Tensor:
        """Relative duality gap (B,) of w and p scaled to be feasible; infinite where w is not."""
        b, w = self.programs.b, self.solution(iterate)
        highest = self.programs.constraints.transposed(iterate.p).amax(1).clamp(min=1.0)
        bound = (b * iterate.p).sum(1) / highest
        size = w.abs().sum(1)
        missing = (b - self._constraints.differing(w)).square().sum(1).sqrt()
        is_feasible = ~(missing > FEASIBLE * b.square().sum(1).sqrt())
        gap = torch.where(size > 0, (size - bound).clamp(min=0.0) / size, 0.0)
        return torch.where(is_feasible, gap, torch.inf)

    @cached_property
    def _costs(self) -> torch.Tensor:
        return self.X.new_ones(len(self.X), 2 * self.X.shape[2])

    @cached_property
    def _constraints(self) -> "_Signed":
        return _Signed(self.X)

    def _program(self, b: torch.Tensor) -> Programs:
        return Programs(self._constraints, b=b, c=self._costs, rows=self.rows)


class _Signed:
    """A = (X, -X), without forming it; X is (B, N, D)."""

    def __init__(self, X: torch.Tensor) -> None:
        self.X = X
        # A row times a matrix is four times faster than a matrix times a column, hence both.
        self.Xt = X.transpose(1, 2).contiguous()

    def times(self, x: torch.Tensor) -> torch.Tensor:
        return self.differing(_difference(x))

    def differing(self, w: torch.Tensor) -> torch.Tensor:
        """X w: (B, D) -> (B, N)."""
        return torch.bmm(w[:, None, :], self.Xt)[:, 0]

    def transposed(self, p: torch.Tensor) -> torch.Tensor:
        half = torch.bmm(p[:, None, :], self.X)[:, 0]
        return torch.cat([half, -half], dim=1)

    def normal(self, weights: torch.Tensor) -> torch.Tensor:
        u, v = weights.chunk(2, dim=1)
        return torch.bmm(self.X * (u + v)[:, None, :], self.Xt)


def _difference(x: torch.Tensor) -> torch.Tensor:
    """W = u - v: (B, 2 D) -> (B, D)."""
    u, v = x.chunk(2, dim=1)
    return u - v
