"""A two-layer network trained layer by layer, in one pass over fresh examples."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.hermite import hermite
from orchestrator.domain.learner import Fit, Outcome, Problem
from orchestrator.domain.one_pass import pieces
from orchestrator.domain.point import Point
from orchestrator.domain.readout import Moments, Penalty
from orchestrator.domain.spherical import Walk, on_sphere
from orchestrator.domain.spherical_learner import SphericalLearner
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand


class LayerwiseNetwork(SphericalLearner):
    """f(x) = sum_j a_j psi_j(<w_j, x>) + c, first all w_j, then a and c; n counts fresh examples.

    It has `width` * k neurons, k that of the point: as many for each of k directions at every k.

    First layer: on the first `share` of the n examples, at least one, every neuron goes its own way
    from its own uniform w_j, by the steps of `spherical_sgd` with the settings of the same names:
    online ascent of E[y phi(<w, x>)] on the sphere by `method`. All see the same examples. Where y
    is a sum of ridge functions, each neuron settles on one of their directions.

    Second layer: on the rest, ridge or LASSO (`second`), a minimising sum_i (y_i - f(x_i))^2
    / (2 m) + `penalty` |a|^2 / 2, or + `penalty` |a|_1, over those m examples; c is free. psi_j is
    h_p with p = `degree` (`hermite`), or max(0, u + b_j) with fresh b_j from N(0, 1) (`relu`), in
    which any link can be expanded once the directions are known.

    Judged on test examples, and where a target has several directions by `directions_found`, the
    share of them that some neuron has found. Trials whose numbers are not finite diverge. `width`,
    `share` and `penalty` were chosen by hand.

    Source: Oko, Song, Suzuki & Wu (2024), "Learning sum of diverse features: computational hardness
    and efficient gradient-based training for ridge combinations", arXiv:2406.11828; Lee, Oko,
    Suzuki & Wu (2024), arXiv:2406.01581. Both train the second layer on examples of its own.
    """

    kind: Literal["layerwise_network"] = "layerwise_network"
    width: int = Field(16, ge=1, description="neurons for each of the k directions")
    share: float = Field(0.75, gt=0.0, lt=1.0, description="of n, for the first layer")
    features: Literal["hermite", "relu"] = Field("hermite", description="psi")
    second: Penalty = "ridge"
    penalty: float = Field(1e-3, gt=0.0, description="on the outer weights")

    estimates: ClassVar[Estimand | None] = "directions"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """The first layer as coefficients, (B, width * k, d), and predictions."""
        first = self.first_layer(problem, streams)
        bias = streams.at("bias").normals(first.shape[1])
        outer, offset = self._second_layer(problem, first, bias)
        finite = first.isfinite().flatten(1).all(1) & outer.isfinite().all(1) & offset.isfinite()

        def predict(x: torch.Tensor) -> torch.Tensor:
            return (self.features_of(x, first, bias) * outer[:, None]).sum(2) + offset[:, None]

        return Fit(
            outcomes=[Outcome.FITTED if one else Outcome.DIVERGED for one in finite.tolist()],
            predict=predict,
            coefficients=first,
        )

    def first_layer(self, problem: Problem, streams: Streams) -> torch.Tensor:
        """Directions of all neurons: (B, width * k, d)."""
        d, width = problem.point.d, self.width * problem.point.k
        start = on_sphere(streams.at("initial").normals(width, d))
        walk, until = Walk(start, self.step(d), self.batch_size), self.first_share(problem.n)
        for piece in pieces(problem, self.rows, last=until):
            walk.go(piece, until[piece.trials])
        return walk.directions()

    def _second_layer(
        self, problem: Problem, first: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        moments, since = Moments(bias), self.first_share(problem.n)
        for piece in pieces(problem, self.rows, first=since):
            own = piece.between(since[piece.trials], piece.n)
            z = self.features_of(piece.x, first[piece.trials], bias[piece.trials])
            moments.add(piece.trials, z, piece.y, own)
        return moments.solved(self.second, self.penalty)

    def features_of(self, x: torch.Tensor, first: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """The hidden values psi_j(<w_j, x>) of x (B, m, d): (B, m, width * k)."""
        u = torch.bmm(x, first.mT)
        if self.features == "hermite":
            return hermite(self.degree, u)
        return (u + bias[:, None]).clamp(min=0.0)

    def first_share(self, n: torch.Tensor) -> torch.Tensor:
        """Examples of the first layer: int64, like n."""
        return (n.to(torch.float64) * self.share).floor().to(n.dtype).clamp(min=1)

    def work(self, point: Point) -> float:
        """Four products with the first layer an example, and a step's calls, as much as 1,000."""
        return point.n * (8.0 * self.width * point.k * point.d + 1000.0 / self.batch_size)

    def memory_bytes(self, point: Point) -> float:
        """Examples drawn at once and for tests, features, the moments and six first layers."""
        rows, width = self.rows + 1000.0, self.width * point.k
        return 8.0 * (3.0 * rows * (point.d + width) + 6.0 * width * point.d + 3.0 * width**2)
