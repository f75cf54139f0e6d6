"""A two-layer network that learns what a larger one knows, at once or along a curriculum."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from orchestrator.domain.batched_net import ACTIVATIONS, Parameters, Sizes, scores, scores_of_padded
from orchestrator.domain.learner import Learner, Problem, revision_with
from orchestrator.domain.learners.two_layer_teacher import TwoLayerTeacher
from orchestrator.domain.minibatches import CHUNK_STEPS, Batch, FreshBatches, Minibatches
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.two_layer_network import TwoLayerNetwork

SCALED_ON = 1024
"""Examples on which a random projection is brought to mean 0 and variance 1. Chosen by hand."""


class DistilledStudent(TwoLayerNetwork):
    """A two-layer network of `width` that regresses on the scores of a larger one, its teacher.

    n counts fresh examples streamed, each seen once, in ceil(n / batch_size) steps. The student
    never sees a label: with g the network that it learns from at a step, its loss there is the mean
    of (f - g)^2 / 2. Which network that is goes by `method`, in shares of the trial's own steps:

    - `one_shot`: the trained teacher throughout;
    - `progressive`: the teacher's `teacher_stages` networks along its training, for equally many
      steps each, the last of them the trained one;
    - `curriculum`: for the first `first_share` of the steps a random projection of the trained
      teacher's hidden layer, then the teacher. The projection is sum_j v_j phi(w_j . x + b_j) with
      v of independent N(0, 1), one per trial, brought to mean 0 and variance 1 on 1024 examples; on
      a sparse parity it leans on the few coordinates that the teacher found, one by one, as the
      parity itself does not. It needs nothing but the trained teacher.

    The teacher is a `two_layer_teacher` of `teacher_width`, trained on `teacher_n` fresh examples
    with the student's activation, with Adam and batches of 64; one of each (d, k, repeat) serves
    every n and all three methods. Teacher and student learn one concept, from data and from weights
    of their own. Outcomes, `stop_at` and the learning curve (here of the loss against g) are those
    of `two_layer`.

    Defaults were chosen by hand where 3- and 4-parities in tens of dimensions take the student
    minutes at most. Differences from the papers, chosen by hand: they minimise a divergence of
    predicted probabilities, we squared errors of scores; they tune when to change teachers, we
    give each its share; a student of one output learns one projection where they may use several.

    Source: Gupta & Karmalkar (2025), arXiv:2503.17494, for the curriculum; Panigrahi et al. (2024),
    arXiv:2410.05464, for progressive distillation.
    """

    kind: Literal["distilled_student"] = "distilled_student"
    method: Literal["one_shot", "progressive", "curriculum"] = "curriculum"
    first_share: float = Field(0.5, gt=0.0, lt=1.0, description="of the steps, on the projection")
    teacher_width: int = Field(256, ge=1, description="hidden units of the teacher")
    teacher_n: int = Field(100_000, ge=1, description="fresh examples that the teacher sees")
    teacher_learning_rate: float = Field(0.01, gt=0.0)
    teacher_weight_decay: float = Field(0.1, ge=0.0)
    teacher_stages: int = Field(16, ge=1, le=64, description="networks that the teacher keeps")
    loss: Literal["squared"] = "squared"
    weight_decay: float = Field(0.0, ge=0.0, description="decoupled, of both weight matrices")
    samples: Literal["fresh"] = "fresh"

    revision: ClassVar[int] = revision_with(1, TwoLayerTeacher)
    n_counts: ClassVar[str] = "fresh examples"

    def teacher(self, point: Point) -> tuple[Learner, Point]:
        """One for all methods and all n."""
        learner = TwoLayerTeacher(
            width=self.teacher_width,
            activation=self.activation,
            learning_rate=self.teacher_learning_rate,
            weight_decay=self.teacher_weight_decay,
            stages=self.teacher_stages,
        )
        return learner, point.model_copy(update={"n": self.teacher_n})

    def minibatches(self, problem: Problem, streams: Streams, inputs: int) -> Minibatches:
        """Fresh examples, labelled by the networks of the course in turn."""
        assert self.batch_size is not None
        fresh = FreshBatches(problem, self.batch_size, inputs)
        return _Taught(self, fresh, problem, self.course(problem, streams))

    def work(self, point: Point) -> float:
        """Also the teacher's scores at every step; not the training of the teacher, which is a
        trial of its own.
        """
        examples = float(self.steps_at(point.n) * self.rows(point.n))
        return super().work(point) + 2.0 * examples * (point.d + 1) * self.teacher_width

    def memory_bytes(self, point: Point) -> float:
        """Also the teacher's networks, twice, and its hidden values."""
        _, inputs, hidden = Sizes.of(1, point.d, self.teacher_width)
        own = super().memory_bytes(point)
        return own + 4.0 * hidden * (2.0 * self.teacher_stages * (inputs + 1) + 2.0 * SCALED_ON)

    def course(self, problem: Problem, streams: Streams) -> torch.Tensor:
        """The networks that each trial learns from, in turn: (B, L, P), the last the teacher."""
        networks = problem.lesson["networks"].to(problem.n.device)
        match self.method:
            case "one_shot":
                return networks[:, -1:]
            case "progressive":
                return networks
            case "curriculum":
                first = self._projected(networks[:, -1], problem, streams.at("projection"))
                return torch.stack([first, networks[:, -1]], 1)

    def _projected(
        self, networks: torch.Tensor, problem: Problem, streams: Streams
    ) -> torch.Tensor:
        """The same hidden layers (B, P) under random outer weights, of mean 0 and variance 1."""
        net = self.teachers(problem, networks)
        net.outer[:, : self.teacher_width] = streams.normals(self.teacher_width)
        net.offset.zero_()
        x = problem.target.examples(
            problem.concept, problem.point, SCALED_ON, streams.at("examples")
        ).x
        values = scores(net, x, ACTIVATIONS[self.activation])
        deviation = values.std(1, keepdim=True).clamp_min(1e-12)
        net.outer.div_(deviation)
        net.offset.copy_(-values.mean(1, keepdim=True) / deviation)
        return net.rows()

    def teachers(self, problem: Problem, networks: torch.Tensor) -> Parameters:
        """Networks of the teacher's size from their rows (B, P)."""
        sizes = Sizes.of(len(networks), problem.point.d, self.teacher_width)
        net = Parameters.zeros(sizes, networks.dtype, networks.device)
        net.put_rows(range(len(networks)), networks)
        return net

    def lesson_at(self, step: int, n: int, lessons: int) -> int:
        """Which network of a course of so many is learnt from at a step (from 0) of n's."""
        steps = self.steps_at(n)
        if self.method == "curriculum":
            return int(step >= self.first_share * steps)
        return min(lessons * step // steps, lessons - 1)


class _Taught:
    """Fresh batches whose labels are the scores of each trial's current network of its course."""

    def __init__(
        self, student: DistilledStudent, fresh: FreshBatches, problem: Problem, course: torch.Tensor
    ) -> None:
        self.rows = fresh.rows
        self._student, self._fresh, self._problem, self._course = student, fresh, problem, course
        self._activation = ACTIVATIONS[student.activation]

    def chunk(self, number: int, trials: Sequence[int]) -> Iterator[Batch]:
        """See `Minibatches`."""
        picked = self._course[list(trials)]
        n = self._problem.n[list(trials)].tolist()
        places: list[int] = []
        for offset, batch in enumerate(self._fresh.chunk(number, trials)):
            step = number * CHUNK_STEPS + offset
            now = [self._student.lesson_at(step, one, picked.shape[1]) for one in n]
            if now != places:
                places = now
                net = self._student.teachers(
                    self._problem, picked[torch.arange(len(now)), torch.tensor(now)]
                )
            yield batch._replace(y=scores_of_padded(net, batch.x, self._activation))
