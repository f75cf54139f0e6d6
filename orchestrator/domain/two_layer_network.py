"""Learners that train a two-layer network by minibatches, all layers at once: what they share."""

import bisect
import math
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from orchestrator.domain.batched_net import (
    ACTIVATIONS,
    LOSS_VALUES,
    LOSSES,
    Gradient,
    Parameters,
    Sizes,
    scores,
    scores_of_padded,
)
from orchestrator.domain.checkpoints import Checkpoint
from orchestrator.domain.curves import Trace, logged_steps
from orchestrator.domain.learner import Fit, Learner, Outcome, Problem, rounded_up
from orchestrator.domain.measures import on_test
from orchestrator.domain.minibatches import CHUNK_STEPS, FiniteBatches, FreshBatches, Minibatches
from orchestrator.domain.optimisers import Adam, Optimiser, Sgd, decay
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams

MIXED_N = 4096
"""Up to this n trials of any n share a call; above, n within a factor of two."""

MOMENTS = ("first moment", "second moment")
"""What Adam remembers of each network, by the names it is saved under."""

VECTORS = 32
"""torch takes so many float32 at once where the processor has AVX-512, and what is left of a tensor
one by one, by functions that differ in the last bits: scores, (B, rows), must leave nothing. A lone
trial needs a twin anyway, see `run_pack`."""


class TwoLayerNetwork(Learner):
    """Base of learners that train f(x) = sum_j a_j phi(w_j . x + b_j) + c; `two_layer` says how.

    A subclass may train on other labels than the target's (`minibatches`), and may keep where the
    networks stood along the way, for others to learn from (`kept_steps`).
    """

    width: int = Field(128, ge=1, description="hidden units")
    activation: Literal["relu", "tanh", "quadratic", "silu"] = "relu"
    loss: Literal["logistic", "squared", "hinge", "correlation"] = "logistic"
    optimiser: Literal["sgd", "adam"] = "adam"
    learning_rate: float = Field(0.01, gt=0.0)
    weight_decay: float = Field(1.0, ge=0.0, description="decoupled, of both weight matrices")
    batch_size: int | None = Field(64, ge=1, description="null: all n examples at every step")
    samples: Literal["finite", "fresh"] = "finite"
    steps: int = Field(800, ge=1, description="steps on a finite sample")
    stop_at: float | None = Field(
        None, gt=-1.0, lt=1.0, description="end once test accuracy (or R^2) exceeds this"
    )
    check_every: int = Field(50, ge=1, description="steps between looks at test accuracy")

    reports: ClassVar[tuple[str, ...]] = ("steps",)
    resumable: ClassVar[bool] = True
    dtype: ClassVar[torch.dtype] = torch.float32

    @model_validator(mode="after")
    def _fresh_samples_come_in_batches(self) -> Self:
        if self.samples == "fresh" and self.batch_size is None:
            raise ValueError("samples: fresh needs a batch_size; null means all n at every step")
        return self

    def fit(self, problem: Problem, streams: Streams) -> Fit:
        """Train every trial of the pack."""
        return _Training(self, problem, streams).fit()

    def initial(self, point: Point, streams: Streams) -> Parameters:
        """Networks before the first step, one per stream."""
        sizes = Sizes.of(len(streams), point.d, self.width)
        net = Parameters.zeros(sizes, streams.dtype, streams.device)
        weights = streams.normals(self.width, point.d).mT
        net.first[:, : point.d, : self.width] = weights / math.sqrt(point.d)
        net.outer[:, : self.width] = streams.normals(self.width) / math.sqrt(self.width)
        return net

    def minibatches(self, problem: Problem, streams: Streams, inputs: int) -> Minibatches:
        """The examples of every step, as networks of so many padded inputs read them."""
        if self.samples == "finite":
            return FiniteBatches(problem, streams, self.batch_size, inputs)
        assert self.batch_size is not None  # the settings say so
        return FreshBatches(problem, self.batch_size, inputs)

    def kept_steps(self, n: int) -> list[int]:
        """After which steps a trial's network is kept as what it teaches; as many at every n."""
        return []

    def rows(self, n: int) -> int:
        """Examples in a step at that n."""
        return n if self.batch_size is None else min(n, self.batch_size)

    def steps_at(self, n: int) -> int:
        """Steps of a trial that is not stopped early."""
        return -(-n // self.rows(n)) if self.samples == "fresh" else self.steps

    def logged(self) -> list[int]:
        """The steps at which learning curves have a value."""
        return logged_steps(self.steps) if self.samples == "finite" else logged_steps()

    def work(self, point: Point) -> float:
        """Three matrix products a step, and one for 1,000 test examples, at two operations each."""
        weights = float((point.d + 1) * self.width)
        return weights * (6.0 * self.steps_at(point.n) * self.rows(point.n) + 2000.0)

    def memory_bytes(self, point: Point) -> float:
        """Examples, six copies of the weights and four of a batch's hidden values, in float32."""
        _, inputs, hidden = Sizes.of(1, point.d, self.width)
        rows = rounded_up(max(self.rows(point.n), 128))
        kept = CHUNK_STEPS * rows if self.samples == "fresh" else point.n
        return 4.0 * (3.0 * (kept + 1000.0) * inputs + 6.0 * inputs * hidden + 4.0 * rows * hidden)

    def shape(self, point: Point) -> Hashable:
        """Nothing is summed over n but a full batch, so that other steps may mix n."""
        if self.batch_size is None:
            return rounded_up(point.n)
        return 0 if self.samples == "fresh" else max(MIXED_N, 1 << (point.n - 1).bit_length())

    def padded_n(self, points: Sequence[Point]) -> int:
        """The largest n; fresh samples are not drawn at once."""
        return 1 if self.samples == "fresh" else max(point.n for point in points)


class _Training:
    """One call of `fit`: the pack's networks, and where each trial's stood when it was done."""

    def __init__(self, learner: TwoLayerNetwork, problem: Problem, streams: Streams) -> None:
        self._learner, self._problem = learner, problem
        self._net = learner.initial(problem.point, streams.at("initial"))
        self._final = self._net.like()
        names = MOMENTS if learner.optimiser == "adam" else ()
        self._moments = {name: self._net.like() for name in names}
        self._batches = learner.minibatches(problem, streams, self._net.sizes.inputs)
        self._activation = ACTIVATIONS[learner.activation]
        self._last = [learner.steps_at(n) for n in problem.n.tolist()]
        self._taken = [0] * len(problem)
        self._outcomes = [Outcome.FITTED] * len(problem)
        self._train_loss = Trace(len(problem), learner.logged())
        self._kept_steps = [learner.kept_steps(n) for n in problem.n.tolist()]
        self._kept_at = _by_step(self._kept_steps)
        stages = len(self._kept_steps[0])
        self._kept = self._net.rows()[:, None].repeat(1, stages, 1) if stages else None

    def fit(self) -> Fit:
        trials, number = self._begin()
        while trials:
            self._chunk(number, trials)
            left = [place for place, trial in enumerate(trials) if not self._taken[trial]]
            trials, number = self._keep(trials, left), number + 1
            if trials and self._problem.checkpointer.is_due:
                self._problem.checkpointer.save(self._checkpoint(number, trials))
        self._note_divergence()
        return Fit(
            outcomes=self._outcomes,
            measures={"steps": torch.tensor(self._taken, dtype=torch.float64)},
            predict=lambda x: scores(self._final, x, self._activation),
            lesson={} if self._kept is None else {"networks": self._kept.cpu()},
            curves=[{"train_loss": self._train_loss.curve(one)} for one in range(len(self._taken))],
        )

    def _begin(self) -> tuple[list[int], int]:
        """The trials to train and their next chunk: all from the first, or as they were saved."""
        everyone = list(range(len(self._problem)))
        saved = self._problem.checkpointer.saved()
        if saved is None:
            return self._keep(everyone, everyone), 0
        self._net.put_rows(everyone, saved.state["net"])
        for name, moment in self._moments.items():
            moment.put_rows(everyone, saved.state[name])
        self._taken = saved.state["steps taken"].tolist()
        self._outcomes = [list(Outcome)[place] for place in saved.state["outcome"].tolist()]
        self._train_loss.table = saved.state["train loss"].cpu()
        self._kept = saved.state.get("kept")
        done = [trial for trial in everyone if self._taken[trial]]
        self._final.put(done, self._net, done)
        return self._keep(everyone, [one for one in everyone if not self._taken[one]]), saved.at

    def _optimiser_after(self, steps: int) -> Optimiser:
        """One that has taken so many steps, with the moments as they stand."""
        rates = [self._learner.learning_rate]
        if self._learner.optimiser == "sgd":
            return Sgd(rates)
        first, second = ([self._moments[name].flat] for name in MOMENTS)
        return Adam(rates, first, second, steps)

    def _checkpoint(self, number: int, trials: list[int]) -> Checkpoint:
        """Where all trials stand before that chunk, of which `trials` are not done."""

        def rows(done: Parameters, going_on: Parameters) -> torch.Tensor:
            found = done.rows()
            found[trials] = going_on.rows()
            return found

        return Checkpoint(
            number,
            {
                "net": rows(self._final, self._net),
                **{name: rows(self._final.like(), one) for name, one in self._moments.items()},
                "train loss": self._train_loss.table,
                **({} if self._kept is None else {"kept": self._kept}),
                "steps taken": torch.tensor(self._taken),  # 0 while not done
                "outcome": torch.tensor([list(Outcome).index(one) for one in self._outcomes]),
            },
        )

    def _keep(self, trials: list[int], places: list[int]) -> list[int]:
        """Go on with the trials at those places only, and with twins where they need one."""
        kept = list({trials[place]: place for place in places}.values())  # without older twins
        if len(kept) == 1 or (len(kept) % 2 and self._batches.rows % VECTORS):
            kept.append(kept[-1])
        if not kept or kept == list(range(len(trials))):
            return [trials[place] for place in kept]
        self._net = self._net.taken(kept)
        self._moments = {name: one.taken(kept) for name, one in self._moments.items()}
        return [trials[place] for place in kept]

    def _chunk(self, number: int, trials: list[int]) -> None:
        """Take the steps of one chunk, until all trials are done."""
        learner = self._learner
        gradient = Gradient(self._net, self._batches.rows, self._activation, LOSSES[learner.loss])
        optimiser = self._optimiser_after(number * CHUNK_STEPS)
        shrink = 1.0 - learner.learning_rate * learner.weight_decay
        for offset, batch in enumerate(self._batches.chunk(number, trials)):
            step = number * CHUNK_STEPS + offset + 1
            if step in self._train_loss:
                self._note_loss(step, trials, *batch)
            downhill = gradient.at(self._net, *batch)
            if learner.weight_decay > 0.0:
                decay(self._net, self._problem.point.d, shrink)
            optimiser.step([self._net.flat], [downhill.flat])
            if step in self._kept_at:
                self._keep_networks(step, trials)
            self._look(step, trials)
            if all(self._taken[trial] for trial in trials):
                return

    def _keep_networks(self, step: int, trials: list[int]) -> None:
        assert self._kept is not None
        networks = self._net.rows()
        for trial, place in self._kept_at[step]:
            if trial in trials and not self._taken[trial]:  # it may have been stopped before
                self._kept[trial, place] = networks[trials.index(trial)]

    def _keep_last(self, step: int, done: list[int], networks: torch.Tensor) -> None:
        """Trials are done after that step: what they would have kept later is as they end."""
        assert self._kept is not None
        for trial, network in zip(done, networks, strict=True):
            later = bisect.bisect_right(self._kept_steps[trial], step)
            self._kept[trial, later:] = network

    def _note_loss(
        self,
        step: int,
        trials: list[int],
        x: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor,
    ) -> None:
        """The mean loss on a step's examples, of those that have not ended."""
        values = LOSS_VALUES[self._learner.loss](
            scores_of_padded(self._net, x, self._activation), y
        )
        going_on = [place for place, trial in enumerate(trials) if not self._taken[trial]]
        mean = (values * weight).sum(1)[going_on]
        self._train_loss.note(step, [trials[place] for place in going_on], mean)

    def _look(self, step: int, trials: list[int]) -> None:
        """Put aside the trials that are done after that step.

        A trial's own end and the multiples of `check_every` are all that counts for it: trials of
        other n in the pack may end at any step.
        """
        learner = self._learner
        at_check = learner.stop_at is not None and step % learner.check_every == 0
        ending = [self._last[trial] == step for trial in trials]
        if not (at_check or any(ending)):
            return
        good = self._passed(trials) if learner.stop_at is not None else [False] * len(trials)
        done = [
            place
            for place, trial in enumerate(trials)
            if not self._taken[trial] and (ending[place] or (at_check and good[place]))
        ]
        self._final.put([trials[place] for place in done], self._net, done)
        if done and self._kept is not None:
            self._keep_last(step, [trials[place] for place in done], self._net.rows()[done])
        for place in done:
            self._taken[trials[place]] = step
            if learner.stop_at is not None and not good[place]:
                self._outcomes[trials[place]] = Outcome.OUT_OF_BUDGET

    def _passed(self, trials: list[int]) -> list[bool]:
        """Which trials stand above `stop_at` on the examples that will judge them."""
        test, labels = self._problem.test, self._problem.target.labels
        found = on_test(scores(self._net, test.x[trials], self._activation), test.y[trials], labels)
        measure = found["r_squared" if labels == "real" else "test_accuracy"]
        assert self._learner.stop_at is not None
        return [value > self._learner.stop_at for value in measure.tolist()]

    def _note_divergence(self) -> None:
        for trial, finite in enumerate(self._final.finite().tolist()):
            if not finite:
                self._outcomes[trial] = Outcome.DIVERGED


def _by_step(kept: Sequence[Sequence[int]]) -> dict[int, list[tuple[int, int]]]:
    """By step, whose network is kept then and in which place; `kept` has each trial's steps."""
    found: dict[int, list[tuple[int, int]]] = {}
    for trial, steps in enumerate(kept):
        for place, step in enumerate(steps):
            found.setdefault(step, []).append((trial, place))
    return found
