"""Gaussian elimination over GF(2): solves a parity from its examples."""

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Labels


class GaussianElimination(Learner):
    """A w in {0, 1}^d with <w, x_i> = y_i mod 2 for all i; predicts <w, x> mod 2.

    Coordinates that the examples leave open are 0. `identified` is 1 when the n x d matrix of
    inputs has full column rank, so that w is the only solution, else 0. If the labels contradict
    each other, w solves a largest consistent set of equations found on the way.

    x is (B, N, d) and y (B, N) of 0 and 1. Rows are packed into 64-bit words, and all trials of the
    pack are eliminated together, one column at a time (Gauss-Jordan). Integers are exact, so trials
    with different n share a pack: rows beyond a trial's n are 0 and never become pivots. No
    hyper-parameters.

    Source: Gauss-Jordan elimination; Albrecht, Bard & Hart (2010), "Efficient multiplication of
    dense matrices over GF(2)", ACM Trans. Math. Softw. 37(1), for rows as words.
    """

    kind: Literal["gaussian_elimination"] = "gaussian_elimination"

    reads: ClassVar[frozenset[Labels]] = frozenset({"bit"})
    reports: ClassVar[tuple[str, ...]] = ("identified",)

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """`identified` (B,), and predictions that are bits."""
        given = problem.given()[:, :, None]
        equations = torch.cat([problem.x, problem.y[:, :, None]], dim=2) * given
        solution, rank = solve(equations.cpu().numpy().astype(np.uint8))
        w = torch.from_numpy(solution).to(problem.x.device)
        identified = torch.from_numpy(rank == problem.point.d)
        return Fit(
            outcomes=[Outcome.FITTED] * len(problem),
            measures={"identified": identified.to(torch.float64)},
            predict=lambda x: (x & w[:, None, :]).sum(2) & 1,
        )

    def work(self, point: Point) -> float:
        """Words changed: each of d columns touches all n rows of d / 64 words."""
        return point.n * point.d * (1.0 + point.d / 64.0)

    def shape(self, point: Point) -> int:
        """All n together; nothing is rounded, so padding changes nothing."""
        return 0


def solve(equations: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A solution (B, d) of each system (B, N, d + 1), right-hand side last, and the rank (B,).

    The rank is that of the left-hand sides. Everything is 0 or 1.
    """
    trials, rows, columns = equations.shape
    words = _packed(equations)
    everyone = np.arange(trials)
    is_open = np.ones((trials, rows), dtype=np.bool_)
    pivots = np.full((trials, columns - 1), -1, dtype=np.int64)
    for column in range(columns - 1):
        ones = _column(words, column)
        candidates = ones & is_open
        pivot = candidates.argmax(1)
        found = candidates[everyone, pivot]
        pivots[found, column] = pivot[found]
        is_open[everyone[found], pivot[found]] = False
        ones[everyone, pivot] = False
        ones &= found[:, None]
        # A pivot row has no ones left of its pivot, so words before that one stay as they are.
        for word in words[column // 64 :]:
            word ^= word[everyone, pivot][:, None] * ones
    right = _column(words, columns - 1)
    solution = right[everyone[:, None], pivots] & (pivots >= 0)
    return solution.astype(np.uint8), (pivots >= 0).sum(1)


def _packed(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(B, N, C) of 0 and 1 as words (C / 64, B, N); column c is bit c % 64 of word c // 64."""
    packed = np.packbits(bits, axis=2, bitorder="little")
    packed = np.pad(packed, ((0, 0), (0, 0), (0, -packed.shape[2] % 8)))
    return np.ascontiguousarray(packed.view("<u8").transpose(2, 0, 1))


def _column(words: NDArray[np.uint64], column: int) -> NDArray[np.bool_]:
    """One column of the packed bits: bool (B, N)."""
    word, bit = divmod(column, 64)
    ones: NDArray[np.bool_] = (words[word] & np.uint64(1 << bit)) != 0
    return ones
