"""Block coordinate descent: sparse regression, and how soon its support is identified."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.supports import sign_errors
from orchestrator.domain.target import Examples, Labels

LOOK_EVERY = 16
"""Iterations between two looks at the duality gap, which costs as much as one. By hand."""


class BlockCoordinateDescent(Learner):
    """Minimises mean_i loss(y_i, <w, x_i>) + penalty |w|_1, a block at a time; predicts <w, x>.

    `loss` is `squared`, (y - z)^2 / 2, or `logistic`, log(1 + exp(-y z)), for labels ±1. Every
    iteration takes one proximal gradient step on a block of `block` coordinates, of length 1 / L
    with L the largest absolute row sum of the block's curvature bound, X'X / n or X'X / (4 n): at
    block 1 and squared loss that is the exact minimum over the coordinate. `rule` says which block:

    - `greedy`: the coordinates whose own step, at their own L_j, promises the largest decrease
      L_j (w_j' - w_j)^2 (variable blocks; GS-q with Lipschitz constants);
    - `random`: coordinates drawn uniformly without repetition;
    - `cyclic`: consecutive blocks of a fixed partition, the last one perhaps smaller.

    A trial ends when its `duality_gap`, over the objective at w = 0, is at most `gap`; without that
    after `steps` iterations it is out of budget. `iterations` counts the block updates up to the
    last one that changed which coordinates are zero: the active-set complexity. `epochs` is that
    many times the block's size, over d: how often each coordinate was worked on, on average. Out of
    budget both count every iteration, as if the last one had changed the support. `sign_error` is 0
    where w has the signs of the target's coefficients, zeros included, else 1; it is 1 on every
    target that is not linear.

    x is (n, d) real, y (n,) real or ±1; one trial after another. Penalty, gap and block were chosen
    by hand.

    Source: Nutini, Laradji & Schmidt (2022), "Let's make block coordinate descent converge faster:
    faster greedy rules, message-passing, active-set complexity, and superlinear convergence",
    JMLR 23, arXiv:1712.08859, sections 3 and 5; Ndiaye, Fercoq, Gramfort & Salmon (2017), JMLR
    18(128), for the gaps.
    """

    kind: Literal["block_coordinate_descent"] = "block_coordinate_descent"
    loss: Literal["squared", "logistic"] = "squared"
    rule: Literal["greedy", "random", "cyclic"] = "greedy"
    block: int = Field(1, ge=1, description="coordinates of a block; d at most")
    penalty: float = Field(0.1, gt=0.0, description="weight of |w|_1 beside the mean loss")
    gap: float = Field(1e-6, gt=0.0, lt=1.0, description="relative duality gap that ends a trial")
    steps: int = Field(2_000, ge=1, description="iterations before a trial is out of budget")

    reads: ClassVar[frozenset[Labels]] = frozenset({"real", "sign"})
    reports: ClassVar[tuple[str, ...]] = ("iterations", "epochs", "duality_gap", "sign_error")
    linear: ClassVar[bool] = True

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d) and the four measures, each (B,)."""
        ends = [
            self.descended(problem.own(trial), streams.of(trial)) for trial in range(len(problem))
        ]
        w = torch.stack([end.w for end in ends])
        iterations = torch.tensor(
            [end.identified if end.gap <= self.gap else self.steps for end in ends],
            dtype=torch.float64,
        )
        return Fit(
            outcomes=[self._outcome(end.gap) for end in ends],
            measures={
                "iterations": iterations,
                "epochs": iterations * min(self.block, problem.point.d) / problem.point.d,
                "duality_gap": torch.tensor([end.gap for end in ends], dtype=torch.float64),
                "sign_error": sign_errors(w, problem),
            },
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def work(self, point: Point) -> float:
        """Two products with X at each of twenty epochs' iterations, and its Gram matrix."""
        iterations = 20.0 * point.d / min(self.block, point.d)
        return 2.0 * point.n * point.d * (point.d + 2.0 * iterations)

    def descended(self, own: Examples, streams: Streams) -> "_End":
        """Where one trial ends."""
        objective = _Objective(own, self.loss, self.penalty)
        blocks = _Blocks(self.rule, min(self.block, own.x.shape[1]), own.x.shape[1], streams)
        w, identified = torch.zeros_like(own.x[0]), 0
        for step in range(self.steps):
            slope = objective.slope(w)
            if step % LOOK_EVERY == 0 and not objective.gap(w) > self.gap:
                break
            block = blocks.at(step, objective.promises(w, slope))
            before = w[block]
            w[block] = objective.stepped(block, before, slope[block])
            if not torch.equal(before != 0, w[block] != 0):
                identified = step + 1
        return _End(w, identified, objective.gap(w))

    def _outcome(self, gap: float) -> Outcome:
        if not math.isfinite(gap):
            return Outcome.DIVERGED
        return Outcome.FITTED if gap <= self.gap else Outcome.OUT_OF_BUDGET


@dataclass(frozen=True)
class _End:
    """W (d,), the iterations until its zeros were those of the end, and its relative gap."""

    w: torch.Tensor
    identified: int
    gap: float


@dataclass(frozen=True)
class _Objective:
    """Mean loss of one trial's examples plus penalty |w|_1."""

    examples: Examples
    loss: Literal["squared", "logistic"]
    penalty: float

    @cached_property
    def bound(self) -> torch.Tensor:
        """H (d, d), no less than the curvature of the mean loss anywhere."""
        x = self.examples.x
        return x.T @ x / (len(x) if self.loss == "squared" else 4 * len(x))

    @cached_property
    def own_steps(self) -> torch.Tensor:
        """1 / L_j of every coordinate (d,), 0 for one that is zero in all examples."""
        diagonal = self.bound.diagonal().contiguous()
        return torch.where(diagonal == 0, 0.0, 1.0 / diagonal)

    def dual(self, w: torch.Tensor) -> torch.Tensor:
        """What each example pulls with, minus the derivative of its loss: (n,)."""
        x, y = self.examples.x, self.examples.y
        z = (x * w).sum(1)
        return y - z if self.loss == "squared" else y * torch.sigmoid(-y * z)

    def slope(self, w: torch.Tensor) -> torch.Tensor:
        """Minus the gradient of the mean loss: (d,)."""
        return (self.examples.x * self.dual(w)[:, None]).sum(0) / len(self.examples.y)

    def promises(self, w: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """L_j (w_j' - w_j)^2, twice the decrease that each coordinate's own step promises: (d,)."""
        change = _shrunk(w + slope * self.own_steps, self.penalty * self.own_steps) - w
        return change.square() * self.bound.diagonal()

    def stepped(self, block: torch.Tensor, w: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """The block's coordinates after a proximal gradient step: (block,)."""
        L = float(self.bound[block][:, block].abs().sum(1).max())
        return _shrunk(w + slope / L, self.penalty / L) if L > 0 else w

    def gap(self, w: torch.Tensor) -> float:
        """Duality gap over the objective at w = 0; nan where something is not finite."""
        x, y = self.examples.x, self.examples.y
        pull = self.dual(w)
        steepest = float(((x * pull[:, None]).sum(0) / len(y)).abs().max())
        s = min(1.0, self.penalty / steepest) if steepest > 0 else 1.0
        if self.loss == "squared":
            primal, dual = pull.square().mean() / 2, s * (y * pull - s * pull.square() / 2).mean()
            whole = y.square().mean() / 2
        else:
            primal = torch.nn.functional.softplus(-y * (x * w).sum(1)).mean()
            chance = s * pull / y
            dual = (torch.special.entr(chance) + torch.special.entr(1.0 - chance)).mean()
            whole = torch.full_like(primal, math.log(2.0))
        gap = float(primal - dual) + self.penalty * float(w.abs().sum())
        if not math.isfinite(gap) or not math.isfinite(steepest):
            return math.nan
        return max(gap, 0.0) / (float(whole) or 1.0)


class _Blocks:
    """Which coordinates are updated when."""

    def __init__(self, rule: str, size: int, d: int, streams: Streams) -> None:
        self.rule, self.size, self.d = rule, size, d
        (self.generator,) = streams.generators()

    def at(self, step: int, promises: torch.Tensor) -> torch.Tensor:
        """The block of iteration `step`: int64, distinct coordinates; at most `size` of them."""
        if self.rule == "greedy":
            return promises.topk(self.size).indices
        if self.rule == "random":
            chosen = self.generator.choice(self.d, self.size, replace=False)
            return torch.from_numpy(chosen).to(promises.device)
        first = step % -(-self.d // self.size) * self.size
        return torch.arange(first, min(first + self.size, self.d), device=promises.device)


def _shrunk(value: torch.Tensor, by: torch.Tensor | float) -> torch.Tensor:
    """The soft threshold: `value` moved towards 0 by `by`, and 0 where it is less than that."""
    return value.sign() * (value.abs() - by).clamp(min=0.0)
