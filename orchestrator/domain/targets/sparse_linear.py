"""Sparse linear functions: a k-sparse signal seen through Gaussian measurements."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target


class SparseLinear(Target):
    """y = <w, x> + noise with x ~ N(0, I_d) and w zero outside k coordinates, drawn uniformly.

    k counts the coordinates that are not zero; k = d is the dense linear target. On them w is
    N(0, 1) (`signal: gaussian`), a fair sign (`signal: signs`) or the absolute value of N(0, 1)
    (`signal: nonnegative`). The noise is N(0, noise^2).

    Without noise least squares needs n = d. Basis pursuit succeeds with probability about 1/2 at
    n = d psi(k / d), whatever the law of the values on the support, with

        psi(r) = min over t of r (1 + t^2) + 2 (1 - r) int_t^inf (u - t)^2 phi(u) du.

    Source: Donoho & Tanner (2009), "Counting faces of randomly projected polytopes when the
    projection radically lowers dimension", J. AMS 22(1); psi as in Amelunxen, Lotz, McCoy & Tropp
    (2014), "Living on the edge: phase transitions in convex programs with random data", Information
    and Inference 3(3), proposition 4.5. Our n, d, k are their m, d, s.
    """

    kind: Literal["sparse_linear"] = "sparse_linear"
    signal: Literal["gaussian", "signs", "nonnegative"] = Field(
        "gaussian", description="values of w on its support: N(0, 1), fair signs or |N(0, 1)|"
    )
    noise: float = Field(0.0, ge=0.0, description="standard deviation of the noise in y")

    linear: ClassVar[bool] = True

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """W of each trial: (B, d) with k entries that are not zero."""
        support = streams.subsets(point.d, point.k)
        if self.signal == "signs":
            values = streams.signs(1, point.k)[:, 0]
        else:
            values = streams.normals(point.k)
        if self.signal == "nonnegative":
            values = values.abs()
        w = torch.zeros(len(streams), point.d, dtype=streams.dtype, device=streams.device)
        return w.scatter(1, support, values)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count)."""
        x = streams.normals(count, point.d)
        y = (x * concept[:, None, :]).sum(2)
        return Examples(x=x, y=y + self.noise * streams.normals(count))
