"""A linear function by descent with a constant step, on fresh batches of n examples."""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.learner import Fit, Learner, Outcome, Problem
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples

FEWEST_STEPS = 50
"""Steps of a trial whose batches are so large that `passes` would be over sooner. By hand."""

ADAM_EPS = 1e-8
"""Kingma & Ba (2015), arXiv:1412.6980, section 2."""

CHUNK_ROWS = 1024
"""Examples drawn at once, at least; measured to make the cost of a call small beside the draw."""


class MinibatchDescent(Learner):
    """w after descent on |X w - y|^2 / (2 n) from 0; n counts the examples in a batch, all fresh.

    **k divides the learning rate**, whatever else it counts: the step is learning_rate / k. The
    least n that is stable at each k then has the law of the batch size in the learning rate turned
    over, n_star ~ k^-1 where the largest stable rate is linear in the batch size, k^-2 where it
    grows with its square root.

    Every trial sees `passes` * d examples in ceil(passes d / n) steps, but takes 50 at least. A
    rate is stable for a batch size when w ends no further from the truth than 0 is, that is with
    `relative_error` below 1 on linear targets. A trial whose w is not finite diverges.

    - `sgd`: w <- w - rate g. With inputs N(0, S), noise sigma and small steps of all eigenvalues,
      the error settles at sigma^2 u / (2 - u), u = rate tr(S) / n: it explodes at u = 2, so that
      the stable rate is linear in n while n is well below tr(S) / |S|.
    - `adam`: g divided by the root of its running mean square, which is tr(S)-noise of size
      1 / sqrt(n), so that the same u belongs to a rate in sqrt(n). It never explodes, it only
      settles too far away. `beta1` and `beta2` are its memory, 0.9 and 0.999 in the source; the
      mean square starts unbiased.

    x is (B, n, d) real, y (B, n). Defaults were chosen by hand: 20 d examples are ten relaxation
    times at half the stable rate.

    Source: Granziol, Zohren & Roberts (2022), "Learning rates as a function of batch size: a random
    matrix theory approach to neural network training", JMLR 23; Kingma & Ba (2015),
    arXiv:1412.6980, algorithm 1.
    """

    kind: Literal["minibatch_descent"] = "minibatch_descent"
    optimiser: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(0.1, gt=0.0, description="the step at k = 1; k divides it")
    passes: float = Field(20.0, gt=0.0, description="examples seen, in units of d")
    beta1: float = Field(0.9, ge=0.0, lt=1.0, description="memory of the gradient, for adam")
    beta2: float = Field(0.999, ge=0.0, lt=1.0, description="memory of its square, for adam")

    reports: ClassVar[tuple[str, ...]] = ("steps",)
    linear: ClassVar[bool] = True
    n_counts: ClassVar[str] = "examples in a batch"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients (B, d) and `steps`, the number taken. All trials of a pack share n."""
        n, steps = int(problem.n[0]), self.steps_at(problem.point.d, int(problem.n[0]))
        w = torch.zeros(len(problem), problem.point.d, dtype=problem.dtype, device=problem.n.device)
        rate, mean, square = self.learning_rate / problem.point.k, w, w
        for step, batch in enumerate(_batches(problem, n, steps), start=1):
            gradient = _gradient(w, batch)
            # No fused multiply-add anywhere: it would make the last bits follow a trial's place.
            if self.optimiser == "adam":
                mean = mean * self.beta1 + gradient * (1.0 - self.beta1)
                square = square * self.beta2 + gradient.square() * (1.0 - self.beta2)
                scale = (square / (1.0 - self.beta2**step)).sqrt() + ADAM_EPS
                gradient = mean / (1.0 - self.beta1**step) / scale
            w = w - gradient * rate
        finite = w.isfinite().all(1).tolist()
        return Fit(
            outcomes=[Outcome.FITTED if one else Outcome.DIVERGED for one in finite],
            measures={"steps": torch.full((len(problem),), float(steps))},
            predict=lambda x: (x * w[:, None, :]).sum(2),
            coefficients=w,
        )

    def steps_at(self, d: int, n: int) -> int:
        """Steps of a trial."""
        return max(FEWEST_STEPS, int(-(-self.passes * d // n)))

    def work(self, point: Point) -> float:
        """Two matrix products with every batch, at two operations each."""
        return 4.0 * point.d * max(self.passes * point.d, float(FEWEST_STEPS * point.n))

    def memory_bytes(self, point: Point) -> float:
        """Three copies of the examples drawn at once, in float64."""
        return 24.0 * (CHUNK_ROWS + point.n + 1000.0) * (point.d + 1)

    def shape(self, point: Point) -> Hashable:
        """Trials of one batch size take their steps together."""
        return point.n

    def padded_n(self, points: Sequence[Point]) -> int:
        """One: the examples given for learning are not drawn, batches are."""
        return 1


def _batches(problem: Problem, n: int, steps: int) -> Iterator[Examples]:
    """`steps` batches of n fresh examples, drawn some at a time."""
    together = min(steps, -(-CHUNK_ROWS // n))
    for step in range(steps):
        place = step % together
        if place == 0:
            chunk = problem.fresh(step // together, together * n)
        rows = slice(place * n, (place + 1) * n)
        yield Examples(chunk.x[:, rows], chunk.y[:, rows])


def _gradient(w: torch.Tensor, batch: Examples) -> torch.Tensor:
    """X'(X w - y) / n of each trial: (B, d)."""
    missing = (batch.x * w[:, None, :]).sum(2) - batch.y
    return (batch.x * missing[:, :, None]).sum(1) / batch.y.shape[1]
