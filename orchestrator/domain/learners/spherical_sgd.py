"""One neuron on the unit sphere, by one pass of stochastic gradient ascent on its correlation."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.directions import uniform_direction
from orchestrator.domain.hermite import hermite
from orchestrator.domain.learner import Fit, Outcome, Problem
from orchestrator.domain.one_pass import pieces
from orchestrator.domain.point import Point
from orchestrator.domain.spherical import Walk
from orchestrator.domain.spherical_learner import SphericalLearner
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand


class SphericalSgd(SphericalLearner):
    """A direction w by online ascent of E[y phi(<w, x>)], |w| = 1; n counts fresh examples.

    From a uniform w, each batch of fresh examples moves it by

        w <- v / |v|,  v = w + step sum_i y_i phi'(<w~, x_i>) (x_i - <w, x_i> w),

    and the estimate is the mean of w over the second half of the examples, because w itself keeps
    moving at a constant step. c is `learning_rate` and p is `degree`, the information exponent that
    the target is expected to have; phi is h_p = He_p / sqrt(p!) (`hermite`), the link of the
    simplest such target, or the arc tangent, whose slope is bounded.

    - `plain`: w~ = w, step c d^(-max(p/2, 1)). d, d ln d, d^(p-1) examples for p = 1, 2 and more.
    - `reuse`: every batch is used twice: w~ is where it would move w with the step reach / d. Then
      the second gradient is not linear in y, and sees what the labels say, not only what their
      correlation does: about d examples for every polynomial. step c / d. A step ahead of that size
      moves <w, x_i> by an amount that does not shrink with d. With phi = h_p moments of y^p appear
      and drown the signal at reachable d; take `arctan`. A negative reach looks back instead of
      ahead; for the arc tangent and h_3 the reused part then points where the plain part does.
    - `smooth`: h_p is averaged over the sphere of radius lambda = d^(1/4) around w, tangent to it,
      exactly; the step is c d^(-max(p/2, 1)) (1 + lambda^2)^(p-1). About d^(p/2) examples for
      p >= 2; for p <= 2 it changes nothing but the step.

    For odd p > 1 theory wants a start on the target's side, where half of all starts are.
    `antipodal` starts two neurons at w and -w, which see the same examples, and keeps the one whose
    h_p has the larger correlation with the labels, in size, on the second half of them. That half
    is read twice: neurons are judged on examples that they have seen, and n counts those once.

    c, that is to say the step, is to be tuned for every d. Its default, and reach, at which signal
    over noise at the start is largest for the arc tangent and h_3 (by quadrature), are by hand. The
    sum runs over `batch_size` examples, so c hardly depends on it; batches of more than one are
    fewer steps to compute. `steps` is how many were taken. Trials whose w is not finite diverge.

    Source: Ben Arous, Gheissari & Jagannath (2021), "Online stochastic gradient descent on
    non-convex losses from high-dimensional inference", JMLR 22 (`plain`); Damian, Nichani, Ge & Lee
    (2023), arXiv:2305.10633 (`smooth`); Lee, Oko, Suzuki & Wu (2024), arXiv:2406.01581, and
    Arnaboldi, Dandi, Krzakala, Pesce & Stephan (2024), "Repetita iuvant: data repetition allows SGD
    to learn high-dimensional multi-index functions", arXiv:2405.15459 (`reuse`).
    """

    kind: Literal["spherical_sgd"] = "spherical_sgd"
    antipodal: bool = Field(False, description="two neurons, at w and -w, of which one is kept")

    reports: ClassVar[tuple[str, ...]] = ("steps",)
    predicts: ClassVar[bool] = False
    estimates: ClassVar[Estimand | None] = "direction"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """The direction (B, d) and `steps` (B,)."""
        start = uniform_direction(problem.point.d, streams.at("initial"))[:, None, :]
        if self.antipodal:
            start = torch.cat([start, -start], 1)
        walk = Walk(start, self.step(problem.point.d), self.batch_size)
        for piece in pieces(problem, self.rows):
            walk.go(piece, piece.n)
        w = self._better(problem, walk.directions()) if self.antipodal else walk.directions()[:, 0]
        return Fit(
            outcomes=[
                Outcome.FITTED if one else Outcome.DIVERGED for one in w.isfinite().all(1).tolist()
            ],
            measures={"steps": (problem.n + self.batch_size - 1) // self.batch_size},
            coefficients=w,
        )

    def _better(self, problem: Problem, w: torch.Tensor) -> torch.Tensor:
        """Of each trial's neurons (B, 2, d) the one that tells more of the labels: (B, d)."""
        said, half = w.new_zeros(w.shape[:2]), problem.n // 2
        for piece in pieces(problem, self.rows, first=half):
            y = piece.y * piece.between(half[piece.trials], piece.n)
            h = hermite(self.degree, torch.bmm(w[piece.trials], piece.x.mT))
            said[piece.trials] = said[piece.trials] + (h * y[:, None, :]).sum(2)
        return w[torch.arange(len(w), device=w.device), said.abs().nan_to_num(-1.0).argmax(1)]

    def work(self, point: Point) -> float:
        """Ten operations on d numbers an example, and the calls of a step, as much as 1,000.

        Choosing between antipodal neurons draws half of the examples again: ten more on each.
        """
        neurons, choice = (2.0, 5.0) if self.antipodal else (1.0, 0.0)
        walk = 10.0 * neurons * point.d + 1000.0 / self.batch_size
        return point.n * (walk + choice * point.d)

    def memory_bytes(self, point: Point) -> float:
        """Three copies of the examples drawn at once."""
        return 24.0 * self.rows * (point.d + 1)
