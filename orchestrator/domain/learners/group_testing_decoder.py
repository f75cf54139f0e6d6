"""Decoders of group tests: COMP, DD and SCOMP."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Labels


class GroupTestingDecoder(Learner):
    """A set of items that explains tests of which any defective item makes the outcome positive.

    - `comp`: the possible items, which are in no negative test. It is the largest set that agrees
      with all tests, the union of all such sets.
    - `dd`: the definite items, the only possible one of some positive test. They are in every set
      that agrees with all tests.
    - `scomp`: the definite items, then again and again the possible item that is in most positive
      tests not yet explained, the first of equals, until none is left that it can explain.

    Where tests are right COMP clears no defective item, DD accuses no other, and whenever DD finds
    all of them so does SCOMP. `consistent` is 1 where the set gives the outcome of every test.
    Predicts whether a test holds an item of the set.

    x is (B, N, d) and y (B, N) of 0 and 1. All trials of a pack are decoded together; counts are
    exact, so trials with different n share a pack: rows beyond a trial's n are no tests.

    Source: Aldridge, Baldassini & Johnson (2014), "Group testing algorithms: bounds and
    simulations", IEEE Trans. Information Theory 60(6), section II. DD, the default, needs neither
    the search of SCOMP nor the tests of COMP.
    """

    kind: Literal["group_testing_decoder"] = "group_testing_decoder"
    method: Literal["comp", "dd", "scomp"] = Field("dd", description="which items are accused")

    reads: ClassVar[frozenset[Labels]] = frozenset({"bit"})
    reports: ClassVar[tuple[str, ...]] = ("consistent",)
    estimates: ClassVar[Estimand | None] = "set"
    n_counts: ClassVar[str] = "tests"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """The set as coefficients, uint8 (B, d), and `consistent` (B,)."""
        given, x = problem.given(), problem.x.bool()
        positive = problem.y.bool() & given
        found = self.decoded(x, positive, given & ~positive)
        wrong = (_holds(x, found) != positive) & given
        return Fit(
            outcomes=[Outcome.FITTED] * len(problem),
            measures={"consistent": (~wrong.any(1)).to(torch.float64)},
            predict=lambda x: _holds(x.bool(), found).to(torch.uint8),
            coefficients=found.to(torch.uint8),
        )

    def decoded(
        self, x: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> torch.Tensor:
        """The accused items, bool (B, d), of tests x (B, N, d) and outcomes (B, N), all bool."""
        possible = ~_members(x, negative)
        if self.method == "comp":
            return possible
        pools = x & possible[:, None, :]
        found = _members(pools, positive & (pools.sum(2) == 1))
        return _covered(pools, positive, found) if self.method == "scomp" else found

    def work(self, point: Point) -> float:
        """Items of all tests, gone through four times and in `scomp` once for each defective."""
        rounds = 4.0 + (point.k if self.method == "scomp" else 0.0)
        return rounds * point.n * point.d

    def shape(self, point: Point) -> int:
        """All n together; counts of integers are exact, so padding changes nothing."""
        return 0


def _holds(x: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Which tests (B, N, d) hold one of the items (B, d): bool (B, N)."""
    return (x & items[:, None, :]).any(2)


def _members(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Which items are in one of the chosen tests: (B, N, d), (B, N) -> bool (B, d)."""
    return (x & chosen[:, :, None]).any(1)


def _covered(pools: torch.Tensor, positive: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """`found` (B, d) and, greedily, items of the pools (B, N, d) until no more can be explained."""
    found = found.clone()
    while True:
        unexplained = positive & ~_holds(pools, found)
        counts = (pools & unexplained[:, :, None]).sum(1)
        most = counts.amax(1, keepdim=True)
        if not bool((most > 0).any()):
            return found
        first = (counts == most).to(torch.int64).cumsum(1) == 1  # argmax may name any of equals
        item = first.to(torch.uint8).argmax(1, keepdim=True)
        found |= torch.zeros_like(found).scatter_(1, item, most > 0)
