"""A race of settings: which of them gets the next trials, and where. Pure functions of counts.

Wanted is the least n_star over the settings of one arm at every (d, k) (`inference.best`). Each
setting has a posterior of its own over all (d, k), so what it shows at one d tells whether it is
worth a trial at another; between settings two things are passed on.

Trials go to a setting by its chance of being sampled in top-two Thompson sampling: half of a cell's
trials to the setting that is best with the most probability, half to the others in proportion to
theirs, so a setting that has fallen behind soon gets nothing, and no setting is dropped for good.
The chances are used as shares, where the original draws, so that a round is a function of counts.

    share_h = a_h (b + (1 - b) sum_{j != h} a_j / (1 - a_j)),   a_h = P(h is best),  b = 1/2

Source: Russo (2020), "Simple Bayesian algorithms for best-arm identification", Operations Research
68:1625, section 3.2 (first at COLT 2016).

And a rival is asked one question only, whether it needs fewer examples than the best: the range of
n in which its threshold is sought ends where the best one's interval does. A handful of failures
there settles it, and where above that its threshold lies is never paid for.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference import best, design
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Asked, Choice, Tally
from orchestrator.search import planning
from orchestrator.search.planning import AtHand, Goal, Group, Work, fitted

Array = NDArray[np.float64]

DRAWS = 2_048
"""Draws of each setting's thresholds; a chance of 1% is known to 0.2%."""

TO_THE_BEST = 0.5
"""Share b of the trials at a cell for the setting that looks best, Russo's default."""

NOTHING = 0.004
"""A setting whose share at a cell is below this is not asked there: that of a rival whose chance of
being best is well under one in a hundred. Chosen by hand."""

CEILING = math.log(2) / 8
"""The end of a rival's range moves in steps of this many nats, two rungs of the ladder, so that a
fit serves again while the best one's interval narrows a little. Chosen by hand."""

CLOSER = 0.5
"""Settings are followed to this share of the tolerance, because the interval of the best of several
is up to 1.5 times as wide as the chosen one's own."""


@dataclass(frozen=True)
class Runner:
    """A setting in the race with what is known of it; counts as in `planning.Group`."""

    setting: Mapping[str, Any]
    tallies: tuple[Tally, ...]
    pending: tuple[Choice, ...]
    work: Work = planning.equal_work
    at_hand: AtHand | None = None


@dataclass(frozen=True)
class Race:
    """The settings of one arm, all asked for the same thresholds."""

    asked: tuple[Asked, ...]
    runners: tuple[Runner, ...]
    goal: Goal

    @property
    def posteriors(self) -> list[Posterior]:
        """What each setting's trials say of all thresholds."""
        return [fitted(self.asked, runner.tallies, self.goal) for runner in self.runners]

    @property
    def open(self) -> list[int]:
        """Places of the thresholds of which the best is not known well enough yet."""
        found = self.posteriors
        return [i for i in range(len(self.asked)) if not best.is_settled(found, i)]


def choose(race: Race, trials: int) -> list[tuple[int, Choice]]:
    """The best use of `trials` further trials: (runner's place, choice).

    Empty when every threshold is settled, or where no setting could use a trial: those that hold
    an interval open have more gaps than answers.
    """
    open_cells = race.open
    if not open_cells or trials < 1:
        return []
    if len(race.runners) == 1:
        runner = race.runners[0]
        group = Group(
            race.asked, runner.tallies, runner.pending, runner.work, at_hand=runner.at_hand
        )
        return [(0, choice) for choice in planning.choose(group, trials, race.goal)]
    shares = _shares(race, open_cells)
    entries = {
        h: entry
        for h in range(len(race.runners))
        if (entry := _entry(race, h, open_cells, shares[h])) is not None
    }
    while entries:
        dealt = deal(trials, {h: entry.weight for h, entry in entries.items()})
        idle = [h for h, count in dealt.items() if count and entries[h].is_settled]
        if not idle:
            return [
                (h, choice)
                for h, count in dealt.items()
                if count
                for choice in entries[h].choose(count)
            ]
        for h in idle:
            del entries[h]
    return []


def chances(posteriors: Sequence[Posterior], i: int) -> Array:
    """The probability of each setting to have the least i-th threshold: (settings,)."""
    draws = np.column_stack([_draws(posterior, h)[:, i] for h, posterior in enumerate(posteriors)])
    barred = [p.threshold(i).status in best.BARRED for p in posteriors]
    draws[:, barred] = np.inf
    return np.bincount(draws.argmin(1), minlength=len(posteriors)) / len(draws)


def top_two(chance: Array) -> Array:
    """Shares of top-two Thompson sampling from the chances of being best; both sum to 1."""
    odds = chance / np.maximum(1 - chance, 1e-12)
    shares = chance * (TO_THE_BEST + (1 - TO_THE_BEST) * (odds.sum() - odds))
    return np.asarray(shares / shares.sum())


_Name = TypeVar("_Name", bound=Hashable)


def deal(count: int, weights: Mapping[_Name, float]) -> dict[_Name, int]:
    """`count` dealt out in proportion to `weights`, by largest remainders, the first ones first."""
    total = sum(weights.values())
    exact = {name: count * weight / total for name, weight in weights.items()}
    dealt = {name: math.floor(share) for name, share in exact.items()}
    by_rest = sorted(exact, key=lambda name: dealt[name] - exact[name])
    for name in by_rest[: count - sum(dealt.values())]:
        dealt[name] += 1
    return dealt


def _draws(posterior: Posterior, h: int) -> Array:
    """Draws of log n_star, other ones for every setting: (DRAWS, asked)."""
    return posterior.samples(DRAWS, np.random.Generator(np.random.Philox(key=h)))


def _shares(race: Race, open_cells: Sequence[int]) -> Array:
    """Each setting's share of the trials at each open threshold: (settings, open)."""
    posteriors = race.posteriors
    shares = np.column_stack([top_two(chances(posteriors, i)) for i in open_cells])
    for column, i in enumerate(open_cells):
        chosen = best.best(posteriors, i).chosen
        if shares[chosen, column] < 1 and fitted(
            race.asked, race.runners[chosen].tallies, _closer(race)
        ).settled(i):
            shares[chosen, column] = 0.0  # only its rivals hold the interval open
    return shares


@dataclass(frozen=True)
class _Entry:
    """What one setting is asked in this round; `weight` is its share of the trials."""

    runner: Runner
    asked: tuple[Asked, ...]
    goal: Goal
    weight: float

    @property
    def posterior(self) -> Posterior:
        return fitted(self.asked, self.runner.tallies, self.goal)

    @property
    def is_settled(self) -> bool:
        return all(self.posterior.settled(i) for i in range(len(self.asked)))

    def choose(self, trials: int) -> list[Choice]:
        return design.choose(
            self.posterior,
            self.asked,
            self.runner.tallies,
            self.runner.pending,
            trials=trials,
            work=self.runner.work,
            tolerance=self.goal.tolerance,
            at_hand=self.runner.at_hand,
        )


def _entry(race: Race, h: int, open_cells: Sequence[int], shares: Array) -> _Entry | None:
    """What setting h is asked; None where it has no share of anything."""
    posteriors = race.posteriors
    asked = tuple(
        _below_the_best(race.asked[i], posteriors, i, h)
        for i, share in zip(open_cells, shares, strict=True)
        if share >= NOTHING
    )
    if not asked:
        return None
    return _Entry(race.runners[h], asked, _closer(race), float(shares.sum()))


def _closer(race: Race) -> Goal:
    """To the tolerance at which the best of several is known to the one that is wanted.

    The confidence is that of one end of an interval, shared out among the settings: one that is
    above its range with it no longer reaches below the best, and one below it is so for good.
    """
    tail = (1 - race.goal.confidence) / 2
    return replace(
        race.goal,
        confidence=1 - tail / len(race.runners),
        tolerance=CLOSER * race.goal.tolerance,
    )


def _below_the_best(asked: Asked, posteriors: Sequence[Posterior], i: int, h: int) -> Asked:
    """The range of n in which it matters to setting h where its threshold lies."""
    highs = [
        high
        for j, posterior in enumerate(posteriors)
        if j != h and (high := posterior.threshold(i).high) is not None
    ]
    if not highs:
        return asked
    steps = math.ceil(math.log(min(highs) / asked.low) / CEILING)
    high = math.ceil(asked.low * math.exp(steps * CEILING))
    return replace(asked, high=min(asked.high, max(asked.low, high)))
