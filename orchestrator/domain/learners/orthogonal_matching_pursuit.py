"""Orthogonal matching pursuit: the best column joins, least squares again, k times."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.learners.least_squares import minimum_norm
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import sign_errors
from orchestrator.domain.target import Examples, Labels


class OrthogonalMatchingPursuit(Learner):
    """k times: the column of X most correlated with the residual joins, and w is fitted anew.

    The fit is least squares on the columns that have joined; columns compare by |x_j'r| as they
    are, not normalised, as in the source. k is that of the point times `excess`, rounded up, and
    never more than n or d. The algorithm is told k; it needs no more.

    `sign_error` is 0 where w has the signs of the target's coefficients, zeros included, and 1
    elsewhere; it is 1 on every target that is not linear. `train_error` is the mean squared error
    on the n examples.

    x is (n, d) real, y (n,) real or ±1; one trial after another.

    Source: Pati, Rezaiifar & Krishnaprasad (1993), 27th Asilomar Conference; Tropp & Gilbert
    (2007), "Signal recovery from random measurements via orthogonal matching pursuit", IEEE Trans.
    Inf. Theory 53(12), algorithm 3. Our n, d, k are their N, d, m.
    """

    kind: Literal["orthogonal_matching_pursuit"] = "orthogonal_matching_pursuit"
    excess: float = Field(1.0, ge=1.0, description="columns that join, in units of k")

    reads: ClassVar[frozenset[Labels]] = frozenset({"real", "sign"})
    reports: ClassVar[tuple[str, ...]] = ("train_error", "sign_error")
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d), `train_error` (B,) and `sign_error` (B,)."""
        own = [problem.own(trial) for trial in range(len(problem))]
        w = torch.stack([pursued(one, self._columns(problem.point)) for one in own])
        errors = [((one.x * w[b]).sum(1) - one.y).square().mean() for b, one in enumerate(own)]
        finite = w.isfinite().all(1)
        return Fit(
            outcomes=[Outcome.FITTED if bool(one) else Outcome.DIVERGED for one in finite],
            measures={"train_error": torch.stack(errors), "sign_error": sign_errors(w, problem)},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """A product with X at every step, and the least squares of all steps."""
        k = min(self._columns(point), point.n, point.d)
        return 2.0 * k * point.n * point.d + 4.0 * point.n * k**3 / 3.0

    def _columns(self, point: Point) -> int:
        return -int(-self.excess * point.k // 1)


def pursued(examples: Examples, columns: int) -> torch.Tensor:
    """W (d,) of x (n, d), y (n,) with at most `columns` entries; nan where data are not finite.

    Stops early where the residual is orthogonal to every column, to rounding.
    """
    x, y = examples.x, examples.y
    w = torch.zeros_like(x[0])
    if not bool(x.isfinite().all()) or not bool(y.isfinite().all()):
        return torch.full_like(w, torch.nan)
    chosen: list[int] = []
    residual, found = y, w[:0]
    for _ in range(min(columns, *x.shape)):
        match = (x * residual[:, None]).sum(0).abs()
        match[chosen] = 0.0
        best = int(match.argmax())
        if not float(match[best]) > 0.0:
            break
        chosen.append(best)
        found, rank = minimum_norm(x[:, chosen].contiguous(), y)
        if rank is None:
            return torch.full_like(w, torch.nan)
        residual = y - (x[:, chosen] * found).sum(1)
    w[chosen] = found
    return w
