"""Exhaustive parity: the k coordinates whose product agrees with most labels."""

import itertools
import math
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from orchestrator.domain.learner import Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.sign_words import disagreements, packed_signs
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

CHUNK = 1 << 16
"""Subsets compared with the labels at once; chosen by hand, for 1 to 10 MB of words."""


class ExhaustiveParity(LoopedLearner):
    """The k-subset of largest empirical correlation, the first in lexicographic order of equals.

    k is that of the point. `agreement` is the share of the n labels that the product of those
    coordinates gives, (1 + correlation) / 2; predictions are the product. Where labels are right
    with chance 1 - eta this is maximum likelihood, and no learner of a uniform k-subset from signs
    succeeds more often. With C = C(d, k) and wrong subsets taken as independent, it succeeds with
    chance

        sum over a of b(a; n, 1 - eta) (F(a)^C - F(a-1)^C) / (C f(a)),

    with b the binomial probability, f and F those of n fair coins; at eta = 0 that is
    (1 - exp(-m)) / m, m = C / 2^n, and 1/2 at n = log2 C - 0.67.

    Reads the signs of x (n, d) and y (n,), whatever their size. Subsets are gone through with one
    exclusive or and one count of bits per coordinate and 64 examples. After `most_subsets` of them
    a trial is out of budget and keeps the best so far; the default, chosen by hand, takes 0.1 s a
    trial. Data that are not finite diverge.

    Source: Blum, Kalai & Wasserman (2003), "Noise-tolerant learning, the parity problem, and the
    statistical query model", J. ACM 50(4), section 1, for the search; the sum is ours.
    """

    kind: Literal["exhaustive_parity"] = "exhaustive_parity"
    most_subsets: int = Field(1_000_000, ge=1, le=10**8, description="subsets tried at most")

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    reports: ClassVar[tuple[str, ...]] = ("agreement",)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """`agreement` (), and predictions ±1."""
        if not bool(examples.x.isfinite().all() and examples.y.isfinite().all()):
            return no_parity(examples)
        columns, labels = packed_signs(examples.x, examples.y)
        best, chosen = len(examples.y) + 1, np.zeros(point.k, dtype=np.int64)
        for subsets in self._chunks(point):
            wrong = labels.copy()[None, :]
            for place in range(point.k):
                wrong = wrong ^ columns[subsets[:, place]]
            counts = disagreements(wrong)
            first = int(counts.argmin())
            if counts[first] < best:
                best, chosen = int(counts[first]), subsets[first].astype(np.int64)
        is_whole = math.comb(point.d, point.k) <= self.most_subsets
        outcome = Outcome.FITTED if is_whole else Outcome.OUT_OF_BUDGET
        return parity_fit(examples, torch.from_numpy(chosen), best, outcome)

    def _chunks(self, point: Point) -> list[NDArray[np.uint16]]:
        subsets = first_subsets(
            point.d, point.k, min(math.comb(point.d, point.k), self.most_subsets)
        )
        return [subsets[start : start + CHUNK] for start in range(0, len(subsets), CHUNK)]

    def work(self, point: Point) -> float:
        """Words gone through: k of n / 64 for every subset."""
        subsets = min(math.comb(point.d, point.k), self.most_subsets)
        return float(subsets) * point.k * (1.0 + point.n / 64.0)

    def memory_bytes(self, point: Point) -> float:
        """The examples, and the list of subsets, which trials share."""
        subsets = min(math.comb(point.d, point.k), self.most_subsets)
        return super().memory_bytes(point) + 2.0 * point.k * subsets


@lru_cache(maxsize=2)
def first_subsets(d: int, k: int, count: int) -> NDArray[np.uint16]:
    """The first `count` k-subsets of range(d) in lexicographic order: uint16 (count, k)."""
    some = itertools.islice(itertools.combinations(range(d), k), count)
    flat = np.fromiter(itertools.chain.from_iterable(some), dtype=np.uint16, count=count * k)
    return flat.reshape(count, k)


def parity_fit(
    examples: Examples, chosen: torch.Tensor, wrong: int, outcome: Outcome = Outcome.FITTED
) -> Fit:
    """The fit of one trial that predicts the product of the chosen coordinates, int64 (k,)."""
    chosen = chosen.to(examples.x.device)
    share = (len(examples.y) - wrong) / len(examples.y)
    return Fit(
        outcomes=[outcome],
        measures={"agreement": torch.tensor(share, dtype=torch.float64)},
        predict=lambda x: x[:, chosen].sign().prod(1),
    )


def no_parity(examples: Examples) -> Fit:
    """The fit of one trial whose data are not finite: diverged, predicting nothing."""
    return Fit(
        outcomes=[Outcome.DIVERGED],
        measures={"agreement": torch.tensor(math.nan, dtype=torch.float64)},
        predict=lambda x: torch.zeros_like(x[:, 0]),
    )
