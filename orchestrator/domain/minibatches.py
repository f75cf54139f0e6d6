"""Minibatches for all trials of a pack: drawn from a finite sample, or streamed fresh."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch

from orchestrator.domain.batched_net import padded
from orchestrator.domain.learner import Problem, rounded_up
from orchestrator.domain.streams import Streams

CHUNK_STEPS = 32
"""Steps whose minibatches are drawn together; it shapes every trial's data, so never a setting."""


class Batch(NamedTuple):
    """One step: x (B, rows, inputs) as `padded` makes it, y and weight (B, rows).

    A trial's own rows have weights that sum to 1; the others have weight 0 and are zero.
    """

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor


class Minibatches(Protocol):
    """The examples of every step, a chunk of steps at a time."""

    rows: int
    """Padded rows of a batch."""

    def chunk(self, number: int, trials: Sequence[int]) -> Iterator[Batch]:
        """Batches of steps number * CHUNK_STEPS onwards for those trials of the pack.

        A batch is valid until the next one is asked for.
        """


class FiniteBatches:
    """All n examples while n <= batch_size or batch_size is None, else draws with replacement."""

    def __init__(
        self, problem: Problem, streams: Streams, batch_size: int | None, inputs: int
    ) -> None:
        count = problem.padded_n
        self.rows = rounded_up(count if batch_size is None else batch_size)
        self._n, self._streams = problem.n, streams
        self._used = problem.n if batch_size is None else problem.n.clamp_max(batch_size)
        # One row more than there are examples: zeros, for places that are no trial's.
        self._stride = count + 1
        self._x = padded(problem.x, self._stride, inputs).flatten(0, 1)
        self._y = torch.nn.functional.pad(problem.y.to(problem.dtype), (0, 1)).flatten()

    def chunk(self, number: int, trials: Sequence[int]) -> Iterator[Batch]:
        """See `Minibatches`. A pack that uses all its examples gets one batch again and again."""
        picked = torch.tensor(trials, device=self._n.device)
        weight = _weights(self._used[picked], self.rows, self._x.dtype)
        x = self._x.new_empty(len(trials) * self.rows, self._x.shape[1])
        y = self._y.new_empty(len(trials) * self.rows)
        batch = Batch(x.view(len(trials), self.rows, -1), y.view(len(trials), self.rows), weight)
        last = None
        for places in self._places(number, trials, picked):
            if places is not last:
                torch.index_select(self._x, 0, places, out=x)
                torch.index_select(self._y, 0, places, out=y)
            last = places
            yield batch

    def _places(
        self, number: int, trials: Sequence[int], picked: torch.Tensor
    ) -> Sequence[torch.Tensor]:
        """Per step, where in the tables the rows of every trial's batch lie: int64 (B * rows,)."""
        n, used = self._n[picked, None], self._used[picked, None]
        place = torch.arange(self.rows, device=n.device)
        everything = torch.where(place < used, place, self._stride - 1)
        start = picked[:, None] * self._stride
        if bool((used == n).all()):
            return [(everything + start).flatten()] * CHUNK_STEPS
        streams = some(self._streams, trials).at(f"batch/{number}")
        drawn = streams.indices(n[:, 0], CHUNK_STEPS, self.rows).transpose(0, 1)
        drawn = torch.where((used == n) | (place >= used), everything, drawn)
        return (drawn + start).reshape(CHUNK_STEPS, -1).unbind()


class FreshBatches:
    """The next batch_size examples of an endless stream at every step, n of them in all."""

    def __init__(self, problem: Problem, batch_size: int, inputs: int) -> None:
        self.rows = rounded_up(batch_size)
        self._problem, self._batch_size, self._inputs = problem, batch_size, inputs

    def chunk(self, number: int, trials: Sequence[int]) -> Iterator[Batch]:
        """See `Minibatches`. After a trial's n examples its weights are 0."""
        size = self._batch_size
        examples = some_trials(self._problem, trials).fresh(number, CHUNK_STEPS * size)
        steps = torch.arange(number * CHUNK_STEPS, (number + 1) * CHUNK_STEPS)
        left = self._problem.n[list(trials)] - steps[:, None].to(self._problem.n.device) * size
        weight = _weights(left.clamp(0, size), self.rows, examples.x.dtype)
        parts = zip(torch.split(examples.x, size, 1), torch.split(examples.y, size, 1), weight,
                    strict=True)  # fmt: skip
        for x, y, own in parts:
            yield Batch(
                padded(x, self.rows, self._inputs),
                torch.nn.functional.pad(y.to(x.dtype), (0, self.rows - size)),
                own,
            )


def some_trials(problem: Problem, trials: Sequence[int]) -> Problem:
    """Some trials of a pack, in that order, for what is drawn fresh."""
    rows = list(trials)
    return replace(
        problem,
        n=problem.n[rows],
        concept=problem.concept[rows],
        streams=some(problem.streams, trials),
    )


def some(streams: Streams, trials: Sequence[int]) -> Streams:
    """The streams of some trials of a pack, at the same scope."""
    keys = [streams.keys[trial] for trial in trials]
    return Streams(keys, streams.scope, streams.device, streams.dtype)


def _weights(counts: torch.Tensor, rows: int, dtype: torch.dtype) -> torch.Tensor:
    """1 / count for the first `count` of `rows` places, else 0: (…,) -> (…, rows)."""
    own = torch.arange(rows, device=counts.device) < counts[..., None]
    return own.to(dtype) / counts.clamp_min(1)[..., None].to(dtype)
