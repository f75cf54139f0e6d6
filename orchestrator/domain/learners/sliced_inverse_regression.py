"""Sliced inverse regression: the direction in which inputs of similar labels differ most."""

import itertools
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels


class SlicedInverseRegression(LoopedLearner):
    """The b that maximises b^T M b / b^T S b, S the covariance of x and M that of its slice means.

    The examples are ordered by y and cut into `slices` of sizes that differ by at most one; each
    slice counts by its size. The maximum, between 0 and 1, is `leading_eigenvalue`.

    For a single index, y = g(u) + noise with u = <w, x>, it tends to

        lambda = mean over slices of E[u | y in slice]^2

    as n grows. With gamma = d / n fixed it is least squares of the best scores of the slices on x,
    whose residuals have variance 1 - lambda and are independent of x across w; so, with S^-1 of
    trace d / (1 - gamma), the squared overlap of b and w tends to

        lambda / (lambda + (1 - lambda) gamma / (1 - gamma)),

    which is 1/2 at n = d / lambda. With two slices that holds to a per cent at d = 50. More slices
    have more scores to choose from, which costs about 20 examples more at ten slices, whatever d is
    (measured). For even g lambda is 0 and nothing is found.

    x is (n, d) and y (n,), real; equal labels keep their order. A trial diverges where S has no
    inverse, as for n <= d, or data are not finite. For n little above d several directions separate
    the slices perfectly, and one of them is taken. Nothing is predicted. Ten slices are the default
    by Li's simulations, where five to twenty gave much the same.

    Source: Li (1991), "Sliced inverse regression for dimension reduction", JASA 86, section 5; the
    overlap is ours, from the moments of the inverse Wishart distribution.
    """

    kind: Literal["sliced_inverse_regression"] = "sliced_inverse_regression"
    slices: int = Field(10, ge=2, description="groups of similar labels; at most n are made")

    reads: ClassVar[frozenset[Labels]] = frozenset({"real"})
    reports: ClassVar[tuple[str, ...]] = ("leading_eigenvalue",)
    predicts: ClassVar[bool] = False
    estimates: ClassVar[Estimand | None] = "direction"

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """The direction b (d,) as coefficients, and `leading_eigenvalue` ()."""
        means = self.slice_means(examples.x, examples.y)
        factor = _root_of_covariance(examples.x)
        finite = bool(means.isfinite().all()) and bool(examples.y.isfinite().all())
        if factor is None or not finite:
            nan = torch.full_like(examples.x[0], torch.nan)
            return Fit([Outcome.DIVERGED], {"leading_eigenvalue": nan[0]}, coefficients=nan)
        whitened = torch.linalg.solve_triangular(factor, means.T, upper=False)
        # The slices are fewer than the coordinates: their Gram matrix has the same eigenvalues.
        values, vectors = torch.linalg.eigh(whitened.T @ whitened)
        leading = (whitened @ vectors[:, -1])[:, None]
        direction = torch.linalg.solve_triangular(factor.T, leading, upper=True)[:, 0]
        return Fit(
            outcomes=[Outcome.FITTED],
            measures={"leading_eigenvalue": values[-1]},
            coefficients=direction,
        )

    def slice_means(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean of x - mean(x) of each slice times the root of its share of examples: (H, d)."""
        n, slices = len(y), min(self.slices, len(y))
        ordered = (x - x.mean(0))[y.argsort(stable=True)]
        ends = [cut * n // slices for cut in range(slices + 1)]
        sums = [ordered[low:high].sum(0) for low, high in itertools.pairwise(ends)]
        sizes = torch.tensor(ends, dtype=x.dtype, device=x.device).diff()
        return torch.stack(sums) / (sizes * n).sqrt()[:, None]

    def work(self, point: Point) -> float:
        """2 n d^2 for the covariance, d^3 / 3 for its root."""
        return point.d**2 * (2.0 * point.n + point.d / 3.0) + float(self.slices) ** 3


def _root_of_covariance(x: torch.Tensor) -> torch.Tensor | None:
    """The lower Cholesky factor (d, d) of the covariance of x (n, d); None where there is none."""
    n, d = x.shape
    centred = x - x.mean(0)
    covariance = centred.T @ centred / n
    if n <= d or not bool(covariance.isfinite().all()):
        return None
    factor, broken = torch.linalg.cholesky_ex(covariance)
    return factor if int(broken) == 0 else None
