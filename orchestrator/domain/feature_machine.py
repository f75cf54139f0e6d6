"""Kernel ridge regression in a metric that it learns itself: what feature machines share.

The kernel is K_M(x, z) = exp(-r / L), or exp(-r^2 / (2 L^2)), with r^2 = (x - z)' M (x - z). A
machine is solved at some metric M; a rule turns its gradients into the next M; and so on. Both
kernels have the gradient  d/dx K_M(x, z) = s M (x - z)  with a number s per pair, their slope, so
that nothing here needs automatic differentiation.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.gram_solve import ridge_solver
from orchestrator.domain.learner import Estimate, Fit, LoopedLearner, Outcome
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels

Profile = Literal["laplace", "rbf"]
"""How a kernel falls with distance: exp(-r / L), or exp(-r^2 / (2 L^2))."""

NEAREST = 1e-12
"""Squared distances below this share of the squared norms are rounding, whose root would matter:
float64 keeps 16 digits of the norms that they are differences of."""


@dataclass(frozen=True)
class Machine:
    """A kernel machine solved at one metric: f(z) = sum_j alpha_j K_M(z, x_j).

    x is (n, D), alpha (n,) or (n, C) for C outputs, metric M (D, D), `length` is L; `squared` r^2
    and `gram` K_M between the training points, (n, n).
    """

    x: torch.Tensor
    alpha: torch.Tensor
    metric: torch.Tensor
    squared: torch.Tensor
    gram: torch.Tensor
    profile: Profile
    length: float

    @classmethod
    def solved(
        cls, given: Examples, metric: torch.Tensor, profile: Profile, length: float, ridge: float
    ) -> "Machine":
        """The machine of kernel ridge regression on those examples, the ridge added as it is."""
        squared = squared_distances(given.x, given.x, metric)
        gram = values(squared, profile, length)
        alpha = ridge_solver(gram, ridge)(given.y)
        return cls(given.x, alpha, metric, squared, gram, profile, length)

    def at(self, z: torch.Tensor) -> torch.Tensor:
        """The function at z (m, D): (m,) or (m, C)."""
        kernel = values(squared_distances(z, self.x, self.metric), self.profile, self.length)
        return kernel @ self.alpha

    @cached_property
    def slopes(self) -> torch.Tensor:
        """Slopes s (n, n) between training points, 0 where two coincide: the Laplace kernel has a
        kink there, whose slopes in all directions average to 0.
        """
        if self.profile == "rbf":
            return self.gram / -(self.length**2)
        return torch.where(
            self.squared > 0.0, self.gram / (self.squared.sqrt() * -self.length), 0.0
        )

    def gradients(self) -> Iterator[torch.Tensor]:
        """Of each output in turn, its gradients at the training points: (n, D)."""
        for alpha in self.alpha.reshape(len(self.x), -1).unbind(1):
            pull = self.slopes * alpha
            yield (self.x * pull.sum(1)[:, None] - pull @ self.x) @ self.metric

    def weighted_gradients(self) -> torch.Tensor:
        """sum_i g_i x_i' with g_i = sum_c alpha_ic df_c/dx(x_i): (D, D)."""
        alpha = self.alpha.reshape(len(self.x), -1)
        pull = self.slopes * (alpha @ alpha.T)
        return self.metric @ ((self.x * pull.sum(1)[:, None]).T @ self.x - self.x.T @ pull @ self.x)


class FeatureMachine(LoopedLearner):
    """Base of machines that learn their metric. A subclass gives `learned`, the next one.

    It starts from M = I; after each of `iterations` solutions M becomes what `learned` makes of the
    machine, scaled to trace D, the dimension of x, and the last machine is solved at the last M.
    With 0 iterations it is kernel ridge regression. Where nothing can be learned, because all
    gradients are 0, M stays as it is; where M is not finite the trial has diverged.

    x is (n, D); y is (n,), or (n, C) for classes, one output each and one metric for all. Reports
    the mean squared `train_error`; the diagonal of M says how much each coordinate weighs.
    """

    kernel: Profile = "laplace"
    bandwidth: float = Field(1.0, gt=0.0, description="L in units of sqrt(D), D the length of x")
    ridge: float = Field(1e-3, ge=0.0, description="added to the diagonal of the Gram matrix")
    iterations: int = Field(5, ge=0, description="how often the metric is learned anew")

    reads: ClassVar[frozenset[Labels]] = frozenset({"real", "sign", "class"})
    reports: ClassVar[tuple[str, ...]] = ("train_error",)
    estimates: ClassVar[Estimate | None] = "weights"

    def learned(self, machine: Machine) -> torch.Tensor:
        """The metric (D, D) that follows from a machine, up to a factor."""
        raise NotImplementedError

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Learn the metric of one trial, and its machine."""
        machine = self.machine(examples)
        finite = bool(machine.alpha.isfinite().all())
        return Fit(
            outcomes=[Outcome.FITTED if finite else Outcome.DIVERGED],
            measures={"train_error": (machine.gram @ machine.alpha - examples.y).square().mean()},
            predict=machine.at,
            coefficients=machine.metric.diagonal().clone(),
        )

    def machine(self, examples: Examples) -> Machine:
        """The machine after the last iteration."""
        dimension = examples.x.shape[1]
        length = self.bandwidth * math.sqrt(dimension)
        metric = torch.eye(dimension, dtype=examples.x.dtype, device=examples.x.device)
        machine = Machine.solved(examples, metric, self.kernel, length, self.ridge)
        for _ in range(self.iterations):
            found = self.learned(machine)
            size = found.trace()
            if bool(size == 0.0):  # nothing to learn from
                break
            metric = (found + found.T) * (0.5 * dimension / size)
            if not bool(size.isfinite()):  # over an infinite size all else would be 0
                metric = torch.full_like(metric, torch.nan)
            machine = Machine.solved(examples, metric, self.kernel, length, self.ridge)
        return machine

    def work(self, point: Point) -> float:
        """Each solution: n^3 / 3 for Cholesky, two products of n x n with x and one more for each
        output, 20 D^3 for roots of D x D; and the Gram matrix of 1,000 test examples.

        What the target is is not known here: D is 2 d and there are d outputs, as in
        modular_addition, which is too much where labels are numbers.
        """
        n, classes, size = float(point.n), float(point.d), 2.0 * point.d
        once = n**3 / 3.0 + (4.0 + 2.0 * classes) * n * n * size + 20.0 * size**3
        return (self.iterations + 1.0) * once + 2000.0 * n * (size + classes)

    def memory_bytes(self, point: Point) -> float:
        """The examples of a trial, x of length 2 d and d classes as in `work`, twice; six float64
        Gram matrices, of training and of test; and six metrics.
        """
        n, size = float(point.n), 2.0 * point.d
        examples = 2.0 * (n + 1000.0) * (size + point.d)
        return 8.0 * (examples + 6.0 * n * (n + 1000.0) + 6.0 * size**2)


def squared_distances(x: torch.Tensor, z: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """(x - z)' M (x - z), exactly 0 where points coincide, for x (m, D) and z (n, D): (m, n)."""
    image, other = x @ metric, z @ metric
    norms = (image * x).sum(1)[:, None] + (other * z).sum(1)
    rounding = NEAREST * norms.max()
    squared = norms.sub_(image @ z.T, alpha=2.0)
    return squared.masked_fill_(squared <= rounding, 0.0)  # nan stays


def values(squared: torch.Tensor, profile: Profile, length: float) -> torch.Tensor:
    """The kernel at those squared distances."""
    if profile == "rbf":
        return torch.exp(squared / (-2.0 * length**2))
    return torch.exp(squared.sqrt() / -length)


def symmetric_power(matrix: torch.Tensor, power: float) -> torch.Tensor:
    """That power of a positive semidefinite matrix (D, D); nan where it is not finite."""
    if not bool(matrix.isfinite().all()):
        return torch.full_like(matrix, torch.nan)
    roots, vectors = torch.linalg.eigh((matrix + matrix.T) / 2.0)
    powers: torch.Tensor = (vectors * roots.clamp_min(0.0).pow(power)) @ vectors.T
    return powers
