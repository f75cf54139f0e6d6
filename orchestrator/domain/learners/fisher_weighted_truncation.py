"""Truncation of a trained layer's singular values, weighted by what each input matters."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.layer_moments import least_squares_layer
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.low_rank import is_finite, truncated
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

LEAST = 1e-6
"""No weight is below this part of the largest, so that all can be divided by. By hand."""


class FisherWeightedTruncation(Learner):
    """A layer trained by least squares, cut to n singular values after weighting its inputs.

    **n counts the singular values kept**, the rank budget; n above d keeps all. The layer W,
    y = W x, is trained on `samples` examples, the same at every n. With weight I_j of input j,

        I_j^2 = sum over outputs i of mean (dloss / dW_ij)^2,  dloss / dW_ij = -(y - W x)_i x_j,

    the diagonal of the Fisher information summed over the entries that belong to an input, what is
    cut is W diag(I), and diag(I)^-1 undoes the weighting: W_n = truncated(W diag(I), n) diag(I)^-1.
    `weights: equal` is the plain truncated singular value decomposition of W.

    Residuals that do not depend on x give I_j in proportion to the deviation of x_j. Where the
    inputs are uncorrelated that is the best map of rank n for the squared error on new examples.

    x is (B, samples, d), y (B, samples, d); one trial after another. A trial with data that are not
    finite diverges. The default number of samples is by hand.

    Source: Hsu, Hua, Chang, Lou, Shen & Jin (2022), "Language model compression with weighted
    low-rank factorization", ICLR, arXiv:2207.00112; the rows of their weight are inputs, columns of
    ours.
    """

    kind: Literal["fisher_weighted_truncation"] = "fisher_weighted_truncation"
    weights: Literal["fisher", "equal"] = "fisher"
    samples: int = Field(512, ge=1, description="examples that train and weigh the layer")

    reads: ClassVar[frozenset[Labels]] = frozenset({"vector"})
    n_counts: ClassVar[str] = "singular values kept"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """The truncated layers, as predictions."""
        given = problem.fresh(0, self.samples)
        layers = [
            self.truncated_layer(Examples(given.x[trial].clone(), given.y[trial].clone()), int(n))
            for trial, n in enumerate(problem.n)
        ]
        return Fit(
            outcomes=[Outcome.FITTED if is_finite(W) else Outcome.DIVERGED for W in layers],
            predict=lambda x: torch.stack(
                [one.clone() @ W.T for one, W in zip(x, layers, strict=True)]
            ),
        )

    def truncated_layer(self, examples: Examples, rank: int) -> torch.Tensor:
        """The W (d, d) that is left of one trial's samples; nan for data that are not finite."""
        W = least_squares_layer(examples)
        if not is_finite(W):
            return W
        weight = importances(examples, W) if self.weights == "fisher" else torch.ones_like(W[0])
        return truncated(W * weight, min(rank, len(W))) / weight

    def work(self, point: Point) -> float:
        """Least squares on the samples, and a singular value decomposition."""
        rank = min(point.n, point.d)
        return point.d**2 * (6.0 * self.samples + 25.0 * point.d + 2.0 * rank)

    def memory_bytes(self, point: Point) -> float:
        """Six copies of the samples and of 1,000 test examples, inputs and labels."""
        return 6.0 * 8.0 * 2.0 * (self.samples + 1000.0) * point.d + 8.0 * point.n

    def shape(self, point: Point) -> int:
        """Trials of any n have the same examples."""
        return 0

    def padded_n(self, points: Sequence[Point]) -> int:
        """No examples but the samples are read."""
        return 1


def importances(examples: Examples, W: torch.Tensor) -> torch.Tensor:
    """I_j of each input, over the largest and at least `LEAST`: (d,)."""
    missing = (examples.y - examples.x @ W.T).square().sum(1)
    weight = (missing[:, None] * examples.x.square()).mean(0).sqrt()
    return (weight / weight.max()).nan_to_num(1.0).clamp(min=LEAST)
