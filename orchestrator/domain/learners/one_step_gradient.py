"""The support of a parity, read off the first gradient of one rectified linear unit."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

import torch

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.one_pass import pieces
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import membership
from orchestrator.domain.target import Estimand, Examples, Labels

ROWS = 1024
"""Examples drawn at once, by hand; it shapes every trial's data, so never a setting."""


class OneStepGradient(Learner):
    """The k coordinates of largest |g_i|, g the gradient of the correlation of relu(<1, x>) with y.

    g_i = mean_j y_j x_ji [<1, x_j> > 0], the first step that a neuron with weights 1 = (1, …, 1)
    takes. For the parity of S, |S| = k even, on uniform signs in odd d, with maj(j) the Fourier
    coefficients of the majority of d signs on j of them,

        E g_i = maj(k - 1) / 2 on S and maj(k + 1) / 2 off S, each with variance
        (1/2 - (E g_i)^2) / n and hardly correlated;

    maj(k - 1) is of order d^(-(k-1)/2) and larger than maj(k + 1) by a factor of order d, so that
    n ~ d^(k-1) ln d examples rank S first. For odd k all of these means vanish, the majority being
    odd: use even k, and odd d, for which <1, x> is never 0. There the unit counts as off.

    The estimate is that set; predictions are the product of the signs of its coordinates. Of equal
    |g_i| the lower coordinate comes first. x is (B, n, d), y (B, n) of signs. No hyper-parameters;
    k is that of the point. Trials whose g is not finite diverge.

    Source: Barak, Edelman, Goel, Kakade, Malach & Zhang (2022), "Hidden progress in deep learning:
    SGD learns parities near the computational limit", arXiv:2207.08799, whose Fourier gap this is.
    """

    kind: Literal["one_step_gradient"] = "one_step_gradient"

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    estimates: ClassVar[Estimand | None] = "set"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """The set as coefficients, uint8 (B, d)."""
        gradient = summed_gradient(problem)
        finite = gradient.isfinite().all(1)
        order = torch.argsort(gradient.abs().nan_to_num(), dim=1, descending=True, stable=True)
        chosen = order[:, : problem.point.k]
        return Fit(
            outcomes=[Outcome.FITTED if one else Outcome.DIVERGED for one in finite.tolist()],
            predict=lambda x: _signs(x, chosen).prod(2),
            coefficients=membership(chosen, problem.point.d),
        )

    def work(self, point: Point) -> float:
        """Six operations on every number of x."""
        return 6.0 * point.n * point.d

    def memory_bytes(self, point: Point) -> float:
        """Three copies of the examples drawn at once, and the test examples."""
        return 24.0 * (ROWS + 1000.0) * (point.d + 1)

    def shape(self, point: Point) -> Hashable:
        """Nothing is padded to n."""
        return 0

    def padded_n(self, points: Sequence[Point]) -> int:
        """One: examples are streamed."""
        return 1


def summed_gradient(problem: Problem) -> torch.Tensor:
    """sum_j y_j x_j [<1, x_j> > 0] over each trial's n fresh examples: (B, d), exact for signs."""
    total = torch.zeros(len(problem), problem.point.d, dtype=problem.dtype, device=problem.n.device)
    for piece in pieces(problem, ROWS):
        own = piece.between(piece.n * 0, piece.n)
        total[piece.trials] = total[piece.trials] + _gradient(Examples(piece.x, piece.y * own))
    return total


def _gradient(examples: Examples) -> torch.Tensor:
    active = (examples.x.sum(2) > 0).to(examples.x.dtype)
    return torch.bmm((examples.y * active)[:, None, :], examples.x)[:, 0]


def _signs(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Signs of the chosen coordinates (B, k) of x (B, m, d): (B, m, k)."""
    return x.gather(2, chosen[:, None, :].expand(-1, x.shape[1], -1)).sign()
