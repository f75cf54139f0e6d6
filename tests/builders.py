"""Small things for tests that name only what matters to them."""

from collections.abc import Sequence

import torch

from orchestrator.domain.learner import Learner, Problem
from orchestrator.domain.learners.linear_separator import LinearSeparator
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Target
from orchestrator.domain.targets.random_labels import RandomLabels
from orchestrator.domain.trial import Cell, Trial


def a_point(d: int = 8, n: int = 12, k: int = 1) -> Point:
    return Point(d=d, n=n, k=k)


def a_cell(
    target: Target | None = None,
    learner: Learner | None = None,
    d: int = 8,
    n: int = 12,
    k: int = 1,
) -> Cell:
    """By default a linear separator on random labels, the cheapest pair there is."""
    return Cell(target or RandomLabels(), learner or LinearSeparator(), a_point(d, n, k))


def a_trial(
    target: Target | None = None,
    learner: Learner | None = None,
    d: int = 8,
    n: int = 12,
    k: int = 1,
    repeat: int = 0,
    seed: int = 0,
) -> Trial:
    return Trial(a_cell(target, learner, d, n, k), repeat, seed)


def trials(cell: Cell, count: int, seed: int = 0) -> list[Trial]:
    """Repeats 0 to count - 1 of a cell."""
    return [Trial(cell, repeat, seed) for repeat in range(count)]


def a_problem(
    x: torch.Tensor, y: torch.Tensor, n: Sequence[int], target: Target | None = None
) -> Problem:
    """A pack with the given examples, x (B, N, d) and y (B, N), in place of drawn ones."""
    streams = Streams([str(trial) for trial in range(len(x))])
    point = Point(d=x.shape[2], n=max(n), k=1)
    target = target or RandomLabels()
    problem = Problem(
        target=target,
        point=point,
        n=torch.tensor(n),
        concept=target.draw(point, streams.at("concept")),
        streams=streams,
        dtype=x.dtype,
        padded_n=x.shape[1],
    )
    problem.__dict__["train"] = Examples(x, y)  # where cached_property looks first
    return problem


def training_examples(trial: Trial) -> tuple[Examples, torch.Tensor]:
    """The n examples that a trial of the default dtype sees, x (n, d) and y (n,); its concept."""
    streams, point, target = Streams([trial.key]), trial.cell.point, trial.cell.target
    concept = target.draw(point, streams.at("concept"))
    examples = target.examples(concept, point, point.n, streams.at("train"))
    return Examples(examples.x[0], examples.y[0]), concept[0]
