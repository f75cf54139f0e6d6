"""Learners: algorithms that fit all trials of a pack at once."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Literal

import torch

from orchestrator.domain.checkpoints import Checkpointer
from orchestrator.domain.curves import Curves
from orchestrator.domain.plugin import Plugin
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Estimand, Examples, Labels, Target

Estimate = Estimand | Literal["weights"]
"""What learners give: an estimand itself, or weights of coordinates, from which a set follows."""


class Outcome(StrEnum):
    """How a trial ended, as an answer. A trial without an answer is a gap and has no outcome."""

    FITTED = "fitted"
    DIVERGED = "diverged"
    OUT_OF_BUDGET = "out_of_budget"


@dataclass(frozen=True)
class Problem:
    """What the trials of a pack are to learn: equal d and k, each with its own n.

    x is (B, N, …) and y (B, N, …) with N the largest padded size of the pack; the rows from n[b] on
    are not trial b's and must not reach its result. n is int64 (B,). A learner that is
    `resumable` asks `checkpointer` where to begin. `lesson` is what the trials' teachers taught,
    as they gave it in `Fit.lesson`; nothing for learners without a teacher.
    """

    target: Target
    point: Point
    n: torch.Tensor
    concept: torch.Tensor
    streams: Streams
    dtype: torch.dtype
    padded_n: int
    checkpointer: Checkpointer = field(default_factory=Checkpointer)
    lesson: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @cached_property
    def train(self) -> Examples:
        """The examples given for learning, drawn when first asked for."""
        return self.target.examples(
            self.concept, self.point, self.padded_n, self.streams.at("train")
        )

    @cached_property
    def test(self) -> Examples:
        """The examples on which hypotheses are judged, the same for every n."""
        return self.target.held_out(self.concept, self.point, self.streams.at("test"))

    def fresh(self, chunk: int, count: int) -> Examples:
        """Chunk number `chunk` of an endless stream of examples, `count` of them."""
        return self.target.examples(
            self.concept, self.point, count, self.streams.at(f"stream/{chunk}")
        )

    @property
    def x(self) -> torch.Tensor:
        """Inputs of `train`."""
        return self.train.x

    @property
    def y(self) -> torch.Tensor:
        """Labels of `train`."""
        return self.train.y

    def given(self) -> torch.Tensor:
        """Which rows of x and y are each trial's own: bool (B, N)."""
        return torch.arange(self.padded_n, device=self.n.device) < self.n[:, None]

    def own(self, trial: int) -> Examples:
        """The n examples of one trial as fresh contiguous tensors (n, …), unpadded."""
        n = int(self.n[trial])
        return Examples(self.x[trial, :n].clone(), self.y[trial, :n].clone())

    def __len__(self) -> int:
        return len(self.n)


@dataclass(frozen=True)
class Fit:
    """What a learner found for each trial of a pack.

    `predict` maps inputs (B, m, …) to predictions (B, m): real scores for real and sign labels,
    bits for bit labels; (B, m, C), a score for each class, where labels are classes.
    `coefficients` is (B, d) where the learner estimates a linear function, or what its `estimates`
    says.
    `measures` holds tensors (B,), whatever the learner itself can say; `curves` are each trial's
    learning curves, or nothing. `smoother` maps inputs (B, m, …) to the matrix (m, n[b]) of each
    trial that turns its n labels into its predictions, where the learner `smooths`. `lesson` is
    what other trials can learn from these where the learner `teaches`: tensors with leading axis B,
    on the CPU.
    """

    outcomes: Sequence[Outcome]
    measures: dict[str, torch.Tensor] = field(default_factory=dict)
    predict: Callable[[torch.Tensor], torch.Tensor] | None = None
    coefficients: torch.Tensor | None = None
    curves: Sequence[Curves] = ()
    smoother: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None = None
    lesson: Mapping[str, torch.Tensor] = field(default_factory=dict)


def rounded_up(size: int, step: int = 16) -> int:
    """The smallest multiple of `step` that is at least `size`."""
    return -(-size // step) * step


class Learner(Plugin):
    """Base of all learners. A subclass gives `fit` and `work`.

    The padded shape a trial is computed at must be a function of its own point alone, because the
    last bits of batched solves depend on it. `run_pack` therefore fits together only trials of
    equal `shape`.
    """

    kinds: ClassVar[dict[str, type[Plugin]]] = {}
    family: ClassVar[str] = "learner"

    reads: ClassVar[frozenset[Labels]] = frozenset({"real", "sign"})
    """Labels it can learn from."""
    reports: ClassVar[tuple[str, ...]] = ()
    """Measures it gives itself, in `Fit.measures`."""
    predicts: ClassVar[bool] = True
    """Whether `Fit.predict` is given, so that it can be judged on test examples."""
    linear: ClassVar[bool] = False
    """Whether `Fit.coefficients` is given."""
    estimates: ClassVar[Estimate | None] = None
    """What `Fit.coefficients` is where it is not a linear function: a direction, a set, or how much
    each coordinate weighs, of which the largest are a set."""
    smooths: ClassVar[bool] = False
    """Whether `Fit.smoother` is given: predictions are linear in the labels."""
    n_counts: ClassVar[str] = "training examples"
    """What n counts, for tables and axes."""
    resumable: ClassVar[bool] = False
    """Whether `fit` begins where `problem.checkpointer` says, and tells it where it stands. What
    comes of a trial must be the same, bit for bit, wherever and in whatever company it goes on."""
    teaches: ClassVar[bool] = False
    """Whether `Fit.lesson` is given. It is kept under the trial's key for those that learn from
    it, and must follow from the key alone, as a result does."""
    dtype: ClassVar[torch.dtype] = torch.float64

    def teacher(self, point: Point) -> "tuple[Learner, Point] | None":
        """Who teaches this learner at that point, and with how much data: a learner that `teaches`,
        at the same d and k; None for a learner that learns from the target alone.

        A trial's teacher is the trial of that learner with the same target, repeat and seed, and
        both learn one concept, the teacher's. The settings here must say which teacher it is, and
        `revision` which of its revisions (see `revision_with`), because they are all that a trial's
        key hashes.
        """
        return None

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Fit every trial of the pack. `streams` are the learner's own randomness."""
        raise NotImplementedError

    def work(self, point: Point) -> float:
        """Nominal operations of one trial, a formula; it prices suggestions."""
        raise NotImplementedError

    def memory_bytes(self, point: Point) -> float:
        """Nominal peak bytes of one trial; by default four copies of its examples."""
        return 4.0 * 8.0 * rounded_up(point.n) * (point.d + 1)

    def shape(self, point: Point) -> Hashable:
        """Trials of equal shape, d and k may be fitted together: by default n rounded up to 16."""
        return rounded_up(point.n)

    def padded_n(self, points: Sequence[Point]) -> int:
        """Rows of x given to a call with these points, all of one shape."""
        return rounded_up(max(point.n for point in points))


def revision_with(own: int, teacher: type[Learner]) -> int:
    """The `revision` of a learner whose own is `own`, and which learns from such a teacher."""
    return 1000 * own + teacher.revision


class LoopedLearner(Learner):
    """A learner without a batched form: `fit_one` sees one trial's own, unpadded examples.

    Fresh contiguous tensors and one thread make each trial's result independent of its company.
    """

    def fit_one(self, examples: Examples, point: Point, streams: Streams) -> Fit:
        """Fit one trial: x (n, …), y (n,); returns a `Fit` whose tensors have no axis B.

        `predict` maps (m, …) to (m,), or to (m, C) for classes; `outcomes` has one entry; measures
        are 0-dimensional; `smoother` gives a list of one matrix.
        """
        raise NotImplementedError

    def fit_trial(self, problem: Problem, trial: int, streams: Streams) -> Fit:
        """`fit_one` of that trial; a learner that must know the target overrides this instead."""
        point = problem.point.model_copy(update={"n": int(problem.n[trial])})
        return self.fit_one(problem.own(trial), point, streams)

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Fit the trials one after another."""
        return _stacked(
            [self.fit_trial(problem, trial, streams.of(trial)) for trial in range(len(problem))]
        )


def _stacked(fits: Sequence[Fit]) -> Fit:
    predicts = [fit.predict for fit in fits]

    def predict(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([one(x[trial].clone()) for trial, one in enumerate(predicts) if one])

    smoothers = [fit.smoother for fit in fits]

    def smoother(x: torch.Tensor) -> list[torch.Tensor]:
        return [one(x[trial].clone())[0] for trial, one in enumerate(smoothers) if one]

    coefficients = [fit.coefficients for fit in fits if fit.coefficients is not None]
    return Fit(
        outcomes=[fit.outcomes[0] for fit in fits],
        measures={
            name: torch.stack([torch.as_tensor(fit.measures[name]) for fit in fits])
            for name in fits[0].measures
        },
        predict=predict if all(one is not None for one in predicts) else None,
        coefficients=torch.stack(coefficients) if coefficients else None,
        curves=[curve for fit in fits for curve in fit.curves],
        smoother=smoother if all(one is not None for one in smoothers) else None,
    )
