"""Nuclear norm minimisation: the matrix of least singular values that fits the measurements."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.low_rank import is_finite, singular_values
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

LENGTH = 0.5
"""Step of the splitting, in largest singular values of the shortest solution. Measured: 0.2 and 1
take up to twice the steps at d = 10 and 20, k = 1 and 2, near the threshold."""

RELAXATION = 1.6
"""Over-relaxation, between 1 (none) and 2 (no longer convergent). Measured: saves a third."""

CHECK_EVERY = 10
"""Steps between proofs, which cost as much as two steps. By hand."""


class NuclearNormRecovery(LoopedLearner):
    """The M of least |M|_*, the sum of singular values, with <A_i, M> = y_i for all i.

    Douglas-Rachford splitting between the nuclear norm and the equations, until a trial has its own
    proof: any D = sum_i p_i A_i with largest singular value at most 1 shows that no M can do better
    than <y, p> = <D, M>, and the trial ends when its relative `duality_gap`,
    (|M|_* - <D, M>) / |M|_*, is at most `gap`. Every M that is looked at satisfies the equations to
    rounding. A trial that has no such proof after `steps` steps is out of budget; its last M
    and gap are reported as they are. With n >= d^2 the equations leave one M, or none: M is then
    least squares, and the gap is 0 where the measurements have rank d^2. Below, measurements that
    are not independent are out of budget at once, with the shortest least squares solution.

    x is (n, d * d), A_i row by row. Defaults are by hand.

    Source: Recht, Fazel & Parrilo (2010), "Guaranteed minimum-rank solutions of linear matrix
    equations via nuclear norm minimization", SIAM Review 52(3); Lions & Mercier (1979), "Splitting
    algorithms for the sum of two nonlinear operators", SIAM J. Numer. Anal. 16(6), for the method.
    """

    kind: Literal["nuclear_norm_recovery"] = "nuclear_norm_recovery"
    gap: float = Field(1e-6, gt=0.0, lt=1.0, description="relative duality gap that ends a trial")
    steps: int = Field(
        5000, ge=1, description="before a trial is out of budget; 50 to 500 are usual at d = 20"
    )

    reads: ClassVar[frozenset[Labels]] = frozenset({"measurement"})
    reports: ClassVar[tuple[str, ...]] = ("duality_gap", "steps")
    linear: ClassVar[bool] = True
    n_counts: ClassVar[str] = "measurements"

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Coefficients (d * d,), M row by row, `duality_gap` and `steps`.

        A trial whose data or M are not finite diverges.
        """
        found = self._found(examples, point.d)
        return Fit(
            outcomes=[self._outcome(found)],
            measures={
                "duality_gap": torch.tensor(found.gap, dtype=torch.float64),
                "steps": torch.tensor(float(found.steps)),
            },
            predict=lambda x: (x * found.M).sum(1),
            coefficients=found.M,
        )

    def _found(self, examples: Examples, d: int) -> "_Found":
        """What the splitting ends with; nan for data that are not finite."""
        if len(examples.y) >= d * d:
            return _unique(examples)
        equations = _Equations.of(examples)
        if not equations.are_independent:
            return _Found(minimum_norm(examples.x, examples.y)[0], 1.0, 0)
        for found in _splitting(equations, d):
            # Written so that nan ends the loop.
            if not self.gap < found.gap < torch.inf or found.steps >= self.steps:
                break
        return found

    def _outcome(self, found: "_Found") -> Outcome:
        if found.gap <= self.gap:
            return Outcome.FITTED
        return Outcome.OUT_OF_BUDGET if found.gap < torch.inf else Outcome.DIVERGED

    def work(self, point: Point) -> float:
        """About 200 steps, each two products with n x d^2 and a singular value decomposition."""
        n = min(point.n, point.d**2)
        steps = 200.0 * (4.0 * n * point.d**2 + 25.0 * point.d**3)
        return 4.0 * point.n * n * point.d**2 + steps

    def memory_bytes(self, point: Point) -> float:
        """Six copies of the measurements, d * d numbers each."""
        return 6.0 * 8.0 * (point.n + 16.0) * (point.d**2 + 1.0)


@dataclass(frozen=True)
class _Found:
    """M (d * d,), its relative duality gap, and the steps it took."""

    M: torch.Tensor
    gap: float
    steps: int


def _unique(examples: Examples) -> _Found:
    """Least squares for n >= d^2: gap 0 where it is unique, 1 where it is not."""
    M, rank = minimum_norm(examples.x, examples.y)
    gaps = {None: torch.nan, len(M): 0.0}
    return _Found(M, gaps.get(rank, 1.0), 0)


@dataclass(frozen=True)
class _Equations:
    """A v = y as Q^T v = c with orthonormal columns Q (d * d, n), n < d * d."""

    Q: torch.Tensor
    Qt: torch.Tensor
    c: torch.Tensor
    are_independent: bool

    @classmethod
    def of(cls, examples: Examples) -> "_Equations":
        """Of x (n, d * d) and y (n,). nan stays nan."""
        Q, R = torch.linalg.qr(examples.x.T)
        c = torch.linalg.solve_triangular(R.T, examples.y[:, None], upper=False)[:, 0]
        sizes = R.diagonal().abs()
        least = sizes.max() * max(examples.x.shape) * torch.finfo(sizes.dtype).eps
        return cls(Q.contiguous(), Q.T.contiguous(), c, not bool((sizes <= least).any()))

    @property
    def shortest(self) -> torch.Tensor:
        """The solution of least Euclidean length."""
        return torch.mv(self.Q, self.c)

    def nearest(self, z: torch.Tensor) -> torch.Tensor:
        """The solution nearest to z: (d * d,)."""
        return z - torch.mv(self.Q, torch.mv(self.Qt, z) - self.c)


def _splitting(equations: _Equations, d: int) -> Iterator[_Found]:
    """Where the splitting stands before its first step and every `CHECK_EVERY` steps, for ever."""
    z = equations.shortest
    length = LENGTH * float(singular_values(z.view(d, d))[0])
    steps = 0
    while True:
        M = equations.nearest(z)
        if steps % CHECK_EVERY == 0:
            yield _Found(M, _gap(M, M - z, d), steps)
        U, s, Vt = torch.linalg.svd((2.0 * M - z).view(d, d))
        shrunk = (U * (s - length).clamp(min=0.0)) @ Vt
        z = z + RELAXATION * (shrunk.flatten() - M)
        steps += 1


def _gap(M: torch.Tensor, D: torch.Tensor, d: int) -> float:
    """Relative duality gap of M with the proof D, a multiple of it: both (d * d,)."""
    if not is_finite(M, D):
        return torch.nan
    size = float(singular_values(M.view(d, d)).sum())
    largest = float(singular_values(D.view(d, d))[0])
    if size == 0.0:
        return 0.0
    bound = float(torch.dot(D, M)) / largest if largest > 0.0 else 0.0
    return max(0.0, size - bound) / size
