"""Greedy parity: coordinates multiplied in one at a time, each the best given those before."""

from typing import ClassVar, Literal

import numpy as np
import torch

from orchestrator.domain.learner import Fit, LoopedLearner
from orchestrator.domain.learners.exhaustive_parity import no_parity, parity_fit
from orchestrator.domain.point import Point
from orchestrator.domain.sign_words import disagreements, packed_signs
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels


class GreedyParity(LoopedLearner):
    """k coordinates, each chosen so that the product so far correlates most with the labels.

    k is that of the point. Correlations count by their absolute value up to the last coordinate,
    which has to have the largest one; the first of equals is taken. `agreement` is the share of the
    n labels that the product gives; predictions are the product.

    At k = 1 it is the exhaustive search. Beyond that it shows what a parity hides: as long as a
    coordinate is missing, every product correlates with the labels by chance alone, so the first
    k - 1 are drawn blindly and lie in the hidden subset with chance k / C(d, k - 1), however many
    examples there are.

    Reads the signs of x (n, d) and y (n,), whatever their size. Data that are not finite diverge.
    No hyper-parameters.

    Source: Blum, Furst, Jackson, Kearns, Mansour & Rudich (1994), "Weakly learning DNF and
    characterizing statistical query learning using Fourier analysis", STOC 26, for why products of
    fewer coordinates tell nothing.
    """

    kind: Literal["greedy_parity"] = "greedy_parity"

    reads: ClassVar[frozenset[Labels]] = frozenset({"sign"})
    reports: ClassVar[tuple[str, ...]] = ("agreement",)

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """`agreement` (), and predictions ±1."""
        if not bool(examples.x.isfinite().all() and examples.y.isfinite().all()):
            return no_parity(examples)
        columns, wrong = packed_signs(examples.x, examples.y)
        n, chosen = len(examples.y), list[int]()
        for place in range(point.k):
            agreeing = n - 2 * disagreements(wrong ^ columns)  # n times the correlation
            score = np.abs(agreeing) if place < point.k - 1 else agreeing
            score[chosen] = -n - 1
            chosen.append(int(score.argmax()))
            wrong = wrong ^ columns[chosen[-1]]
        return parity_fit(examples, torch.tensor(chosen), int(disagreements(wrong)))

    def work(self, point: Point) -> float:
        """Words gone through: n / 64 of every coordinate, k times."""
        return point.k * point.d * (1.0 + point.n / 64.0)
