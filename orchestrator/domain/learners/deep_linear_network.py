"""A deep linear network under gradient descent: when is each mode of a linear map learnt?"""

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Labels

FEWEST_TOGETHER = 256
"""Trials of up to so many steps share a call whatever their n. By hand: a few milliseconds."""


class DeepLinearNetwork(Learner):
    """W = W_L … W_2 W_1 after n steps of gradient descent on mean |W x - y|^2 / 2; n counts steps.

    Every step uses the first d examples, which for whitened inputs say all there is. With S = mean
    y x' and C = mean x x' a step is

        W_l <- W_l + learning_rate (W_L … W_{l+1})' (S - W C) (W_{l-1} … W_1)'.

    The modes are the singular triples (u_i, s_i, v_i) of S, and mode i is learnt so far as
    a_i = u_i' W v_i has come towards s_i; `least_mode` is the smallest a_i / s_i. It exceeds 1/2
    once the slowest mode is learnt, so that n* is that mode's learning time. Modes with s_i below
    d * 2.2e-16 * s_1 do not count.

    Weights start as one of

    - `aligned`: W_l = scale R_{l+1} R_l' with R_1 = V, R_{L+1} = U and random orthonormal columns
      in between. Modes then do not see each other: with C = I and small steps, a_i(t) at
      t = n * learning_rate obeys da/dt = L a^{2 - 2/L} (s - a) from scale^L, exactly. For L = 2 it
      is a sigmoid that reaches s/2 at

          t = ln(s / scale^2 - 1) / (2 s);

    - `random`: entries N(0, scale^2 / inputs of the layer). For L = 2 the mean of W_1 v and W_2' u
      alone grows, so that modes start from its squared length, scale^2 (1 + width / d) / 4 up to
      fluctuations of relative size sqrt(2 / width);
    - `orthogonal`: `scale` times random orthonormal columns or rows.

    `width` is that of every hidden layer, d unless given. x is (B, d, d) real, y (B, d, p) vectors.
    A trial that is not finite diverges: steps above about 2 / (L s^{2 - 2/L}) do that. Curves,
    `least_mode` and `train_loss`, are values after steps 1, 2, 4, … and the last.

    Defaults: scale and rate, by hand, leave 0.5% between steps and flow at s = 1.

    Source: Saxe, McClelland & Ganguli (2013), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", arXiv:1312.6120; our learning_rate is 1 / tau.
    """

    kind: Literal["deep_linear_network"] = "deep_linear_network"
    depth: int = Field(2, ge=1, description="L, the number of weight matrices")
    width: int | None = Field(None, ge=1, description="of hidden layers; null: d")
    initial: Literal["aligned", "random", "orthogonal"] = "aligned"
    scale: float = Field(0.01, gt=0.0, description="size of every layer's first singular values")
    learning_rate: float = Field(0.01, gt=0.0)

    reads: ClassVar[frozenset[Labels]] = frozenset({"vector"})
    reports: ClassVar[tuple[str, ...]] = ("least_mode", "train_loss")
    predicts: ClassVar[bool] = False
    linear: ClassVar[bool] = True
    n_counts: ClassVar[str] = "steps of gradient descent"

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Coefficients are the entries of W, row by row: (B, p * d)."""
        statistics = Statistics.of(problem)
        layers = self.initial_layers(statistics, streams)
        return _Descent(self, statistics, layers, problem.n.tolist()).fit()

    def initial_layers(self, statistics: "Statistics", streams: Streams) -> list[torch.Tensor]:
        """W_1 … W_L before the first step, each (B, outputs, inputs)."""
        outputs, inputs = statistics.S.shape[1:]
        hidden = [self.width or inputs] * (self.depth - 1)
        sizes = [inputs, *hidden, outputs]
        if self.initial == "aligned":
            return self._aligned(sizes, statistics, streams)
        shapes = [(after, before) for before, after in pairwise(sizes)]
        if self.initial == "random":
            return [
                streams.normals(*shape) * (self.scale / float(shape[1]) ** 0.5) for shape in shapes
            ]
        return [self.scale * _isometry(*shape, streams) for shape in shapes]

    def _aligned(
        self, sizes: Sequence[int], statistics: "Statistics", streams: Streams
    ) -> list[torch.Tensor]:
        modes = min(sizes)
        frames = [
            statistics.V[:, :, :modes],
            *(orthonormal_columns(size, modes, streams) for size in sizes[1:-1]),
            statistics.U[:, :, :modes],
        ]
        return [
            self.scale * torch.stack([a @ b.T for a, b in zip(after, before, strict=True)])
            for before, after in pairwise(frames)
        ]

    def work(self, point: Point) -> float:
        """3 L - 2 products of matrices at every step, at two operations each."""
        width = self.width or point.d
        return 2.0 * (3 * self.depth - 2) * point.n * point.d * point.d * width

    def memory_bytes(self, point: Point) -> float:
        """Three matrices per layer, and ten more."""
        widest = rounded_up(max(self.width or point.d, point.d))
        return 8.0 * (3.0 * self.depth + 10.0) * widest**2

    def shape(self, point: Point) -> Hashable:
        """Nothing is summed over n; trials within a factor of two of each other share steps."""
        return max(FEWEST_TOGETHER, 1 << (point.n - 1).bit_length())

    def padded_n(self, points: Sequence[Point]) -> int:
        """The d examples that every step uses."""
        return points[0].d


class Statistics(NamedTuple):
    """Examples x (B, N, d), y (B, N, p), their S (B, p, d) and C (B, d, d), and the modes of S:
    U (B, p, m), s (B, m), V (B, d, m).

    S, C and modes are nan for a trial whose data are not finite.
    """

    x: torch.Tensor
    y: torch.Tensor
    S: torch.Tensor
    C: torch.Tensor
    U: torch.Tensor
    s: torch.Tensor
    V: torch.Tensor

    @classmethod
    def of(cls, problem: Problem) -> "Statistics":
        """Those of all examples that were given, trial by trial."""
        x, y = problem.x, problem.y
        trials = [_moments(one.clone(), its.clone()) for one, its in zip(x, y, strict=True)]
        return cls(x, y, *(torch.stack(parts) for parts in zip(*trials, strict=True)))

    def measures(self, W: torch.Tensor) -> dict[str, torch.Tensor]:
        """`least_mode` and `train_loss` of each trial's map: W (B, p, d) -> (B,)."""
        return {"least_mode": self._least_mode(W), "train_loss": self._loss(W)}

    def _least_mode(self, W: torch.Tensor) -> torch.Tensor:
        a = ((W[:, :, :, None] * self.V[:, None]).sum(2) * self.U).sum(1)
        counts = self.s > self.s[:, :1] * max(W.shape[1:]) * torch.finfo(W.dtype).eps
        least = torch.where(counts, a / self.s, torch.inf).amin(1)
        return torch.where(counts.any(1), least, torch.nan)

    def _loss(self, W: torch.Tensor) -> torch.Tensor:
        trials = zip(self.x, self.y, W, strict=True)
        missing = [x.clone() @ one.T.clone() - y for x, y, one in trials]
        return torch.stack([one.square().sum(1).mean() / 2.0 for one in missing])


def _moments(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    S, C = y.T @ x / len(x), x.T @ x / len(x)
    if not (bool(S.isfinite().all()) and bool(C.isfinite().all())):
        S, C = torch.full_like(S, torch.nan), torch.full_like(C, torch.nan)
        few = min(S.shape)
        return S, C, S[:, :few], S[0].new_full((few,), torch.nan), S.T[:, :few]
    U, s, Vt = torch.linalg.svd(S, full_matrices=False)
    return S, C, U, s, Vt.T


def _isometry(rows: int, columns: int, streams: Streams) -> torch.Tensor:
    """Random orthonormal columns, or rows where those are fewer: (B, rows, columns)."""
    if columns > rows:
        return orthonormal_columns(columns, rows, streams).mT
    return orthonormal_columns(rows, columns, streams)


class _Descent:
    """One call of `fit`: all layers padded with zeros, and W as it stood after each trial's n."""

    def __init__(
        self,
        learner: DeepLinearNetwork,
        statistics: Statistics,
        layers: Sequence[torch.Tensor],
        last: Sequence[int],
    ) -> None:
        self._rate, self._statistics, self._last = learner.learning_rate, statistics, last
        self._layers = [_padded(one) for one in layers]
        self._S, self._C = _padded(statistics.S), _padded(statistics.C)
        self._W = torch.full_like(statistics.S, torch.nan)
        self._logged = set(logged_steps())
        steps = sorted(self._logged.union(last))
        self._curves = {name: Trace(len(last), steps) for name in learner.reports}

    def fit(self) -> Fit:
        ends, steps = set(self._last), max(self._last)
        for step in range(1, steps + 1):
            self._step()
            if step in ends or step in self._logged:
                self._look(step)
        finite = self._W.isfinite().all(2).all(1).tolist()
        return Fit(
            outcomes=[Outcome.FITTED if one else Outcome.DIVERGED for one in finite],
            measures=self._statistics.measures(self._W),
            coefficients=self._W.flatten(1),
            curves=[
                {name: trace.curve(trial) for name, trace in self._curves.items()}
                for trial in range(len(self._last))
            ],
        )

    def _step(self) -> None:
        below = self._products()
        pull = self._S - torch.bmm(below[-1], self._C)
        for place in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[place]
            uphill = torch.bmm(pull, below[place - 1].mT) if place else pull
            pull = torch.bmm(layer.mT, pull) if place else pull
            self._layers[place] = layer + uphill * self._rate

    def _products(self) -> list[torch.Tensor]:
        """W_1, W_2 W_1, …, W."""
        below = [self._layers[0]]
        for layer in self._layers[1:]:
            below.append(torch.bmm(layer, below[-1]))
        return below

    def _look(self, step: int) -> None:
        """Note the curves of trials that have not ended, and keep W of those that end here."""
        outputs, inputs = self._W.shape[1:]
        W = self._products()[-1][:, :outputs, :inputs].contiguous()
        going_on = [trial for trial, last in enumerate(self._last) if step <= last]
        ending = [trial for trial in going_on if self._last[trial] == step]
        self._W[ending] = W[ending]
        noted = going_on if step in self._logged else ending
        for name, values in self._statistics.measures(W).items():
            self._curves[name].note(step, noted, values[noted])


def _padded(matrices: torch.Tensor) -> torch.Tensor:
    """The same (B, rows, columns) with zeros up to multiples of 16."""
    _, rows, columns = matrices.shape
    return torch.nn.functional.pad(
        matrices, (0, rounded_up(columns) - columns, 0, rounded_up(rows) - rows)
    )
