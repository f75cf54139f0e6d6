"""One pass over an endless stream: every trial of a pack sees its n fresh examples once."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from orchestrator.domain.learner import Problem
from orchestrator.domain.minibatches import some_trials


@dataclass(frozen=True)
class Piece:
    """The next examples of those `trials` that use some of them.

    x is (T, rows, d), y (T, rows) and n (T,) with T = len(trials); the last trial may be there
    twice. Row i is number `start` + i of a trial's stream; its own are those below n.
    """

    trials: list[int]
    start: int
    x: torch.Tensor
    y: torch.Tensor
    n: torch.Tensor

    def between(self, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """1 for rows whose number is at least first (T,) and below last (T,), else 0: (T, rows)."""
        number = torch.arange(self.start, self.start + self.y.shape[1], device=self.y.device)
        inside = (number >= first[:, None]) & (number < last[:, None])
        return inside.to(self.x.dtype)


def pieces(
    problem: Problem, rows: int, first: torch.Tensor | None = None, last: torch.Tensor | None = None
) -> Iterator[Piece]:
    """Pieces of `rows` examples that hold numbers from first (B,) on and below last (B,).

    By default from 0 to each trial's n. `rows` shapes every trial's data, so that a learner's
    settings alone may decide it. A trial's pieces do not depend on its company; a lone one comes
    with a twin, as in `run_pack`.
    """
    starts = [0] * len(problem) if first is None else first.tolist()
    ends = (problem.n if last is None else last).tolist()
    for start in range(0, max(ends), rows):
        trials = [
            trial
            for trial in range(len(problem))
            if start < ends[trial] and starts[trial] < start + rows
        ]
        if trials:
            kept = trials if len(trials) > 1 else trials * 2
            own = some_trials(problem, kept)
            drawn = own.fresh(start // rows, rows)
            yield Piece(kept, start, drawn.x, drawn.y.to(drawn.x.dtype), own.n)
